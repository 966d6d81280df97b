-- POST one prepared request with another key and another X-Number each time; report as JSON.
-- Arguments: file of its bytes, in which a mark stands for the key; the mark; a file of keys, one a
-- line; how many of them.
local head, tail, keys, number = "", "", {}, 0

function init(args)
    local file = assert(io.open(args[1], "rb"))
    local wire = file:read("*a")
    file:close()
    local from, upto = wire:find(args[2], 1, true)
    head, tail = wire:sub(1, from - 1), wire:sub(upto + 1)
    for line in io.lines(args[3]) do
        if #keys < tonumber(args[4]) then
            keys[#keys + 1] = line
        end
    end
end

function request()
    number = number + 1
    return head .. keys[number % #keys + 1] .. "\r\nX-Number: " .. number .. tail
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
