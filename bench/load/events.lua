-- POST one event after the other, each with an id and a user of its own; report as JSON.
-- Arguments: file with the head up to Content-Length, a prefix of ids, how many users there are.
local head, prefix, users, number = "", "", 1, 0

function init(args)
    local file = assert(io.open(args[1], "rb"))
    head = file:read("*a")
    file:close()
    prefix, users = args[2], tonumber(args[3])
end

function request()
    number = number + 1
    local body = string.format(
        '{"event":"message_end","data":{"conversation_id":"4570c2d1-7a9e-4b6f","message_id":' ..
        '"%s-%08d","user_id":"user-%d","model_name":"gpt-4","input_tokens":1500,' ..
        '"output_tokens":800,"total_tokens":2300,"timestamp":%d},"request_id":"req_%d"}',
        prefix, number, number % users, os.time(), number)
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
