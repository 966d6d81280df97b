"""What the fake upstream says: bodies and events in the shapes that real providers send.

Every figure is fixed, so that a test can say to the token what must have been metered.
"""

import json
from collections.abc import Iterator
from typing import Any

PROMPT_TOKENS = 11
CHUNKS = 7  # words of an ordinary answer; each is one token and, streamed, one event
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
CREATED_S = 1_700_000_000


def dumped(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def event(value: object) -> bytes:
    return b"data: " + dumped(value) + b"\n\n"


def named_event(name: str, value: object) -> bytes:
    return b"event: " + name.encode() + b"\n" + event(value)


def chat_usage(model: str, completion_tokens: int) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion_tokens,
        "total_tokens": PROMPT_TOKENS + completion_tokens,
    }
    if model.startswith("deepseek"):
        usage["prompt_tokens_details"] = {"cached_tokens": 4}
        usage["prompt_cache_hit_tokens"] = 4
        usage["prompt_cache_miss_tokens"] = PROMPT_TOKENS - 4
    return usage


def chat(model: str, *, content: str | None = None, has_usage: bool = True) -> bytes:
    content = " ".join(words(CHUNKS)) if content is None else content
    message = {"role": "assistant", "content": content}
    answer = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": CREATED_S,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": chat_usage(model, CHUNKS),
        "system_fingerprint": "fp_fake",
    }
    if not has_usage:
        del answer["usage"]
    return dumped(answer)


def words(count: int) -> list[str]:
    return [f"word{number}" for number in range(count)]


def chat_events(
    model: str, *, chunks: int = CHUNKS, include_usage: bool, is_usage_missing: bool = False
) -> Iterator[bytes]:
    """A chat as OpenAI streams it, or DeepSeek: with comments, and usage on the last choice."""
    is_deepseek = model.startswith("deepseek")
    wants_usage = include_usage and not is_usage_missing
    if is_deepseek:
        yield KEEP_ALIVE
    for number, word in enumerate(words(chunks)):
        delta: dict[str, str] = {"content": word if number == 0 else f" {word}"}
        if number == 0:
            delta["role"] = "assistant"
        yield event(_chunk(model, [_choice(delta, None)], wants_usage, None))
    usage = chat_usage(model, chunks) if wants_usage else None
    last_usage = usage if is_deepseek else None
    yield event(_chunk(model, [_choice({}, "stop")], wants_usage, last_usage))
    if usage is not None and not is_deepseek:
        yield event(_chunk(model, [], wants_usage, usage))
    yield DONE


def _choice(delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _chunk(
    model: str, choices: list[dict[str, Any]], wants_usage: bool, usage: dict[str, Any] | None
) -> dict[str, Any]:
    chunk: dict[str, Any] = {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": CREATED_S,
        "model": model,
        "system_fingerprint": "fp_fake",
        "choices": choices,
    }
    if wants_usage:
        chunk["usage"] = usage
    return chunk


def completion(model: str) -> bytes:
    choice = {"index": 0, "text": " ".join(words(CHUNKS)), "finish_reason": "stop"}
    answer = {"id": "cmpl-fake", "object": "text_completion", "created": CREATED_S, "model": model}
    return dumped({**answer, "choices": [choice], "usage": chat_usage(model, CHUNKS)})


def completion_events(model: str, *, include_usage: bool) -> Iterator[bytes]:
    base = {"id": "cmpl-fake", "object": "text_completion", "created": CREATED_S, "model": model}
    for word in words(CHUNKS):
        choice = {"index": 0, "text": word, "finish_reason": None}
        yield event({**base, "choices": [choice]})
    if include_usage:
        yield event({**base, "choices": [], "usage": chat_usage(model, CHUNKS)})
    yield DONE


def embeddings(model: str, inputs: int) -> bytes:
    data = [
        {"object": "embedding", "index": index, "embedding": [0.25, -0.5, 0.125]}
        for index in range(inputs)
    ]
    usage = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}
    return dumped({"object": "list", "data": data, "model": model, "usage": usage})


def models(names: list[str]) -> bytes:
    data = [
        {"id": name, "object": "model", "created": CREATED_S, "owned_by": "fake"} for name in names
    ]
    return dumped({"object": "list", "data": data})


def response(model: str, status: str = "completed") -> dict[str, Any]:
    """An answer of the Responses API."""
    text = {"type": "output_text", "text": " ".join(words(CHUNKS)), "annotations": []}
    is_done = status == "completed"
    message = {
        "type": "message",
        "id": "msg_fake",
        "status": status,
        "role": "assistant",
        "content": [text],
    }
    usage = {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": CHUNKS,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": PROMPT_TOKENS + CHUNKS,
    }
    return {
        "id": "resp_fake",
        "object": "response",
        "created_at": CREATED_S,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [message] if is_done else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage if is_done else None,
    }


def response_events(model: str) -> Iterator[bytes]:
    started = {"type": "response.created", "sequence_number": 0}
    yield named_event("response.created", {**started, "response": response(model, "in_progress")})
    for number, word in enumerate(words(CHUNKS)):
        delta = {
            "type": "response.output_text.delta",
            "sequence_number": number + 1,
            "item_id": "msg_fake",
            "output_index": 0,
            "content_index": 0,
            "delta": word if number == 0 else f" {word}",
            "logprobs": [],
        }
        yield named_event("response.output_text.delta", delta)
    ended = {"type": "response.completed", "sequence_number": CHUNKS + 1}
    yield named_event("response.completed", {**ended, "response": response(model)})


def message(model: str) -> bytes:
    """An answer of Anthropic's Messages API."""
    text = {"type": "text", "text": " ".join(words(CHUNKS))}
    return dumped(_message(model, [text], "end_turn", CHUNKS))


def _message(
    model: str, content: list[dict[str, Any]], stop_reason: str | None, output_tokens: int
) -> dict[str, Any]:
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": PROMPT_TOKENS - 5,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 3,
            "output_tokens": output_tokens,
        },
    }


def message_events(model: str) -> Iterator[bytes]:
    """`message_delta.usage` is cumulative, as Anthropic's is."""
    started = {"type": "message_start", "message": _message(model, [], None, 1)}
    yield named_event("message_start", started)
    block = {"type": "text", "text": ""}
    opened = {"type": "content_block_start", "index": 0, "content_block": block}
    yield named_event("content_block_start", opened)
    yield named_event("ping", {"type": "ping"})
    for number, word in enumerate(words(CHUNKS)):
        delta = {"type": "text_delta", "text": word if number == 0 else f" {word}"}
        change = {"type": "content_block_delta", "index": 0, "delta": delta}
        yield named_event("content_block_delta", change)
    yield named_event("content_block_stop", {"type": "content_block_stop", "index": 0})
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    last = {"type": "message_delta", "delta": ended, "usage": {"output_tokens": CHUNKS}}
    yield named_event("message_delta", last)
    yield named_event("message_stop", {"type": "message_stop"})


OPENAI_ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_balance", None),
    403: ("permission_error", None),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def openai_error(status: int) -> bytes:
    kind, code = OPENAI_ERRORS.get(status, ("server_error", None))
    text = f"the fake upstream was asked to answer {status}"
    return dumped({"error": {"message": text, "type": kind, "param": None, "code": code}})


ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def anthropic_error(status: int) -> bytes:
    kind = ANTHROPIC_ERRORS.get(status, "api_error")
    text = f"the fake upstream was asked to answer {status}"
    error = {"type": kind, "message": text}
    return dumped({"type": "error", "error": error, "request_id": "req_fake"})
