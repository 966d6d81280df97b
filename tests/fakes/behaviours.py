"""How the fake upstream answers: well by default, or in the way that the model's name asks for.

A model called `fail-503`, `cut-stream` or `many-chunks-200` is answered so; the header
`x-fake-behaviour` does the same for any model. A number at the end is the behaviour's argument.
"""

import gzip
import re
from collections.abc import Callable, Iterator

import msgspec

from tests.fakes import answers
from tests.fakes.exchange import Exchange

MODELS = ["fake-chat", "fake-embedding", "deepseek-chat", "deepseek-reasoner", "claude-fake"]
BIG_BYTES = 8 << 20
_NUMBER = re.compile(r"-(\d+)$")

Behaviour = Callable[[Exchange, int], None]


def behave(exchange: Exchange) -> None:
    """Answer, as asked."""
    header = exchange.seen.header(b"x-fake-behaviour")
    name = exchange.asked.model if header is None else header.decode("latin-1")
    argument = 0
    if name not in TABLE and (number := _NUMBER.search(name)):
        name, argument = name[: number.start()], int(number[1])
    TABLE.get(name, well)(exchange, argument)


def well(exchange: Exchange, _: int = 0) -> None:
    """As a healthy provider does."""
    if exchange.operation == "/models":
        exchange.answer(200, answers.models(MODELS))
    elif exchange.asked.stream:
        exchange.stream(events_of(exchange))
    else:
        body = body_of(exchange)
        if body is None:
            exchange.answer(404, error_of(exchange, 404))
        else:
            exchange.answer(200, body)


def events_of(exchange: Exchange, chunks: int = answers.CHUNKS) -> Iterator[bytes]:
    asked = exchange.asked
    if exchange.operation == "/messages":
        return answers.message_events(asked.model)
    if exchange.operation == "/responses":
        return answers.response_events(asked.model)
    if exchange.operation == "/completions":
        return answers.completion_events(asked.model, include_usage=asked.wants_usage)
    return answers.chat_events(asked.model, chunks=chunks, include_usage=asked.wants_usage)


def body_of(exchange: Exchange) -> bytes | None:
    model = exchange.asked.model
    match exchange.operation:
        case "/chat/completions":
            return answers.chat(model)
        case "/completions":
            return answers.completion(model)
        case "/embeddings":
            inputs = msgspec.json.decode(exchange.asked.input)
            return answers.embeddings(model, len(inputs) if isinstance(inputs, list) else 1)
        case "/responses":
            return answers.dumped(answers.response(model))
        case "/messages":
            return answers.message(model)
    return None


def error_of(exchange: Exchange, status: int) -> bytes:
    is_anthropic = exchange.operation.startswith("/messages")
    return (answers.anthropic_error if is_anthropic else answers.openai_error)(status)


def fail(exchange: Exchange, status: int) -> None:
    more = b"retry-after: 1\r\n" if status in (429, 503) else b""
    exchange.answer(status, error_of(exchange, status), more=more)


def slow_first_byte(exchange: Exchange, ms: int) -> None:
    exchange.later((ms or 1000) / 1000, lambda: well(exchange))


def cut_stream(exchange: Exchange, chunks: int) -> None:
    exchange.start_chunked()
    for number, one in enumerate(events_of(exchange)):
        if number == (chunks or 3):
            break
        exchange.chunk(one)
    exchange.close()


def no_done(exchange: Exchange, _: int) -> None:
    """Framed to its end, but neither usage nor the terminal event come."""
    events = list(events_of(exchange))
    exchange.stream(events[: answers.CHUNKS // 2])


def event_error(exchange: Exchange, _: int) -> None:
    events = list(events_of(exchange))[:2]
    exchange.stream([*events, b"data: " + error_of(exchange, 500) + b"\n\n"])


def garbage_json(exchange: Exchange, _: int) -> None:
    if exchange.asked.stream:
        exchange.stream([b"data: {not json\n\n", b"data: [DONE]\n\n"])
    else:
        exchange.answer(200, b'{"choices": [ this is not JSON')


def no_usage(exchange: Exchange, _: int) -> None:
    model = exchange.asked.model
    if exchange.asked.stream:
        events = answers.chat_events(model, include_usage=False, is_usage_missing=True)
        exchange.stream(events)
    else:
        exchange.answer(200, answers.chat(model, has_usage=False))


def gzipped(exchange: Exchange, _: int) -> None:
    """Encoded although nobody asked for it."""
    encoding = b"content-encoding: gzip\r\n"
    if exchange.asked.stream:
        exchange.start_chunked(more=encoding)
        exchange.chunk(gzip.compress(b"".join(events_of(exchange))))
        exchange.end_chunked()
    else:
        exchange.answer(200, gzip.compress(body_of(exchange) or b""), more=encoding)


def close_delimited(exchange: Exchange, _: int) -> None:
    is_stream = bool(exchange.asked.stream)
    kind = b"text/event-stream" if is_stream else b"application/json"
    body = b"".join(events_of(exchange)) if is_stream else body_of(exchange) or b""
    exchange.write(exchange.head(200, b"connection: close\r\n", kind) + body)
    exchange.close()


def no_content(exchange: Exchange, _: int) -> None:
    exchange.write(b"HTTP/1.1 204 No Content\r\nx-request-id: req_fake\r\n\r\n")
    exchange.finish()


def big(exchange: Exchange, megabytes: int) -> None:
    size = megabytes << 20 or BIG_BYTES
    exchange.answer(200, answers.chat(exchange.asked.model, content="x" * size))


def stall(_exchange: Exchange, _: int) -> None:
    """Never a byte."""


def stall_stream(exchange: Exchange, chunks: int) -> None:
    """An answer begins and then stays silent."""
    exchange.start_chunked()
    for number, one in enumerate(events_of(exchange)):
        if number == (chunks or 1):
            break
        exchange.chunk(one)


def bad_chunk(exchange: Exchange, _: int) -> None:
    exchange.start_chunked()
    exchange.chunk(next(events_of(exchange)))
    exchange.write(b"zz\r\nnot a chunk\r\n")
    exchange.close()


def trailers(exchange: Exchange, _: int) -> None:
    exchange.start_chunked(b"application/json")
    exchange.chunk(body_of(exchange) or b"")
    exchange.end_chunked(b"x-evil: from the trailer\r\ncontent-length: 5\r\n")


def informational(exchange: Exchange, _: int) -> None:
    exchange.write(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n")
    exchange.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    well(exchange)


def wrong_length(exchange: Exchange, _: int) -> None:
    """Fewer bytes than promised, then the end."""
    body = body_of(exchange) or b""
    framing = b"content-length: %d\r\n" % (len(body) + 10)
    exchange.write(exchange.head(200, framing) + body)
    exchange.close()


def surplus(exchange: Exchange, _: int) -> None:
    """More bytes than promised: the start of an answer that nobody asked for."""
    body = body_of(exchange) or b""
    framing = b"content-length: %d\r\n" % len(body)
    poison = b'HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{"poison":"true"}'
    exchange.write(exchange.head(200, framing) + body + poison)
    exchange.finish()


def garbage_http(exchange: Exchange, _: int) -> None:
    exchange.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
    exchange.close()


def two_framings(exchange: Exchange, _: int) -> None:
    framing = b"content-length: 5\r\ntransfer-encoding: chunked\r\n"
    exchange.write(exchange.head(200, framing) + b"5\r\nhello\r\n0\r\n\r\n")
    exchange.finish()


def endless_head(exchange: Exchange, _: int) -> None:
    exchange.write(b"HTTP/1.1 200 OK\r\n" + b"x-filler: " + b"x" * (4 << 20))


def many_chunks(exchange: Exchange, chunks: int) -> None:
    exchange.stream(events_of(exchange, chunks or 200))


def paced_chunks(exchange: Exchange, chunks: int) -> None:
    """A chunk each 10 ms."""
    exchange.stream(events_of(exchange, chunks or 200), every_s=0.01)


def byte_by_byte(exchange: Exchange, _: int) -> None:
    """Every byte of the events in a chunk of its own."""
    whole = b"".join(events_of(exchange))
    exchange.stream(whole[index : index + 1] for index in range(len(whole)))


def close_after(exchange: Exchange, _: int) -> None:
    """Keep-alive promised, then closed: the pooled connection goes stale."""
    exchange.answer(200, body_of(exchange) or b"")
    exchange.close()


TABLE: dict[str, Behaviour] = {
    "fail": fail,
    "slow-first-byte": slow_first_byte,
    "cut-stream": cut_stream,
    "no-done": no_done,
    "event-error": event_error,
    "reset": lambda exchange, _: exchange.reset(),
    "garbage-json": garbage_json,
    "garbage-http": garbage_http,
    "no-usage": no_usage,
    "gzip": gzipped,
    "close-delimited": close_delimited,
    "close-after": close_after,
    "204": no_content,
    "big": big,
    "stall": stall,
    "stall-stream": stall_stream,
    "bad-chunk": bad_chunk,
    "trailers": trailers,
    "1xx": informational,
    "wrong-length": wrong_length,
    "surplus": surplus,
    "two-framings": two_framings,
    "endless-head": endless_head,
    "many-chunks": many_chunks,
    "paced-chunks": paced_chunks,
    "byte-by-byte": byte_by_byte,
}
