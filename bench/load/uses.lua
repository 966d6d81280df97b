-- POST batches of uses, each with an id of its own, of tokens in turn; report as JSON.
-- Arguments: file with the head up to Content-Length, a prefix of ids, events in a batch, file with
-- the hashes of the tokens, one a line.
local head, prefix, size, hashes, number = "", "", 1, {}, 0

function init(args)
    local file = assert(io.open(args[1], "rb"))
    head = file:read("*a")
    file:close()
    prefix, size = args[2], tonumber(args[3])
    for line in io.lines(args[4]) do
        hashes[#hashes + 1] = line
    end
end

function request()
    local events, now = {}, os.time()
    for place = 1, size do
        number = number + 1
        events[place] = string.format(
            '{"token_hash":"%s","route":"/api/orders","timestamp":%d%03d,"ip_address":' ..
            '"203.0.113.%d","user_agent":"n8n/1.64.0","response_status":200,' ..
            '"response_time_ms":%d,"event_id":"%s-%09d"}',
            hashes[number % #hashes + 1], now - 1, number % 1000, number % 250, number % 90,
            prefix, number)
    end
    local body = size == 1 and events[1] or "[" .. table.concat(events, ",") .. "]"
    return head .. #body .. "\r\n\r\n" .. body
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\n{"requests":%d,"duration_s":%.6f,"bytes":%d,"p50_ms":%.3f,"p99_ms":%.3f,' ..
        '"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
        summary.requests, summary.duration / 1e6, summary.bytes,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
