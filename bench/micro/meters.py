"""Nanoseconds for each thing that metering does on the hot path: `python bench/micro/meters.py`.

The best of many short runs, so that a neighbour on the machine does not show in the figures.
"""

import json
import timeit
from collections.abc import Callable

from tallygate.core.meters import Meter, meter_for
from tallygate.core.request import Dialect, read_request, upstream_body

RUNS, REPEATS = 1_000, 200


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _chunk(**members: object) -> bytes:
    chunk = {
        "id": "chatcmpl-9xyzABCDEFGHIJKLMNOP",
        "object": "chat.completion.chunk",
        "created": 1_725_000_000,
        "model": "gpt-4o-mini-2024-07-18",
        "system_fingerprint": "fp_0ba0d124f1",
        "choices": [
            {"index": 0, "delta": {"content": " world"}, "logprobs": None, "finish_reason": None}
        ],
    }
    return b"data: " + _json(chunk | members) + b"\n\n"


USAGE = {
    "prompt_tokens": 19,
    "completion_tokens": 10,
    "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
TEXT = _chunk(usage=None)
TEXT_WITHOUT = _chunk()
USAGE_CHUNK = _chunk(choices=[], usage=USAGE)
CLAUDE = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":" world"}}\n\n'
)
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
RESPONSE = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'
    b'"sequence_number":7,"item_id":"msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e586661",'
    b'"output_index":0,"content_index":0,"delta":" world"}\n\n'
)
ANSWER = _json(
    {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1_741_569_952,
        "model": "gpt-4o-mini",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello!"}, "logprobs": None}
        ],
        "usage": USAGE,
        "system_fingerprint": "fp_1",
    }
)
SMALL = _json(
    {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hello, how are you?"}],
        "stream": True,
        "temperature": 0.7,
        "max_tokens": 256,
    }
)
LARGE = _json(
    {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "You are a helpful assistant. " * 275}],
        "stream": True,
    }
)
SPACED = json.dumps(json.loads(SMALL)).encode()


def _stream(dialect: Dialect, first: bytes) -> Meter:
    meter = meter_for(dialect, is_stream=True, strips_usage_chunk=True, input_tokens_estimate=50)
    for _ in range(9):  # past the search for the model's name
        meter.feed(first)
    return meter


def _meter_answer() -> None:
    meter = meter_for(
        Dialect.OPENAI_CHAT, is_stream=False, strips_usage_chunk=False, input_tokens_estimate=50
    )
    meter.feed(ANSWER)
    meter.finish()
    meter.usage()


def _report(name: str, action: Callable[[], object]) -> None:
    seconds = min(timeit.repeat(action, number=RUNS, repeat=REPEATS))
    print(f"{name:52}{seconds / RUNS * 1e9:8.0f} ns")


def main() -> None:
    """Measure, and print a line for each."""
    chat = _stream(Dialect.OPENAI_CHAT, TEXT)
    claude = _stream(Dialect.ANTHROPIC_MESSAGES, CLAUDE)
    responses = _stream(Dialect.OPENAI_RESPONSES, RESPONSE)
    _report("an empty call (included in all)", lambda: None)
    _report(f"chat, pass-through, usage null, {len(TEXT)} B", lambda: chat.feed(TEXT))
    _report(f"chat, pass-through, {len(TEXT_WITHOUT)} B", lambda: chat.feed(TEXT_WITHOUT))
    ten = TEXT * 10
    _report(f"chat, ten events in one read, {len(ten)} B", lambda: chat.feed(ten))
    _report(f"messages, pass-through, {len(CLAUDE)} B", lambda: claude.feed(CLAUDE))
    _report(f"messages, ping, {len(PING)} B", lambda: claude.feed(PING))
    _report(f"responses, pass-through, {len(RESPONSE)} B", lambda: responses.feed(RESPONSE))
    _report(f"chat, usage chunk, stripped, {len(USAGE_CHUNK)} B", lambda: chat.feed(USAGE_CHUNK))
    _report("chat, an event in two reads", lambda: (chat.feed(TEXT[:99]), chat.feed(TEXT[99:])))
    _report("a stream's meter made", _stream_made)
    _report(f"plain answer, made, fed and read, {len(ANSWER)} B", _meter_answer)
    for name, body in (("small", SMALL), ("spaced", SPACED), ("large", LARGE)):
        request = read_request(Dialect.OPENAI_CHAT, body)
        size = f"{name}, {len(body)} B"
        _report(f"read_request, {size}", lambda: read_request(Dialect.OPENAI_CHAT, body))  # noqa: B023
        _report(f"upstream_body, {size}", lambda: upstream_body(request, model=None))  # noqa: B023
        _report(f"upstream_body, other model, {size}", lambda: upstream_body(request, model="m"))  # noqa: B023


def _stream_made() -> Meter:
    return meter_for(
        Dialect.OPENAI_CHAT, is_stream=True, strips_usage_chunk=True, input_tokens_estimate=50
    )


if __name__ == "__main__":
    main()
