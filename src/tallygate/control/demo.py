"""The demo provider: one model, `demo/echo`, that repeats what it was told.

It lets a first key, chat, charge and chart happen without an account anywhere. Gateways reach it
over the control plane's own socket; a request that was relayed from outside is told that there is
nothing here.
"""

import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from tallygate.core.errors import Code, Refusal

MODEL = "demo/echo"
PATH = "/internal/demo/v1"
_RELAYED = ("x-forwarded-for", "forwarded", "x-forwarded-host")
_WORDS = re.compile(r"\S+\s*|\s+")


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class Chat(msgspec.Struct):
    """What the echo reads of a chat request; everything else is accepted and ignored."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


def routes(now_ms: Callable[[], int]) -> APIRouter:
    router = APIRouter(prefix=PATH, include_in_schema=False)
    numbers = itertools.count(1)

    @router.get("/models")
    async def list_models(request: Request) -> Response:
        _refuse_outsiders(request)
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "tallygate-demo"}
        return _json({"object": "list", "data": [model]})

    @router.post("/chat/completions")
    async def complete(request: Request) -> Response:
        _refuse_outsiders(request)
        try:
            chat = msgspec.json.decode(await request.body(), type=Chat)
        except msgspec.DecodeError as error:
            return _error(400, "invalid_request", f"the body is not a chat request: {error}")
        if chat.model not in (MODEL, "echo"):
            return _error(404, "model_not_found", f"the demo has one model, {MODEL}")
        words, finish_reason = _cut(_words(_echo(chat)), chat)
        usage = _usage(chat, words)
        base = {"id": f"chatcmpl-demo-{now_ms()}-{next(numbers)}", "created": now_ms() // 1000}
        if chat.stream:
            stream = _events(base, words, finish_reason, usage, chat.stream_options)
            return StreamingResponse(stream, media_type="text/event-stream")
        message = {"role": "assistant", "content": "".join(words)}
        choice = {"index": 0, "message": message, "finish_reason": finish_reason}
        completion = {**base, "object": "chat.completion", "model": MODEL, "choices": [choice]}
        return _json({**completion, "usage": usage})

    return router


def _refuse_outsiders(request: Request) -> None:
    if any(name in request.headers for name in _RELAYED):
        raise Refusal(Code.NOT_FOUND, "there is nothing here; /docs lists what is")


def _echo(chat: Chat) -> str:
    """The text of the last message, whatever its form."""
    content = chat.messages[-1].get("content") if chat.messages else ""
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "\n".join(text for text in texts if isinstance(text, str))
    return f"Echo: {content if isinstance(content, str) else ''}"


def _words(text: str) -> list[str]:
    return _WORDS.findall(text)


def _cut(words: list[str], chat: Chat) -> tuple[list[str], str]:
    """A word is this model's token; a limit on them is kept to."""
    limit = chat.max_completion_tokens or chat.max_tokens
    if limit is not None and 0 < limit < len(words):
        return words[:limit], "length"
    return words, "stop"


def _usage(chat: Chat, words: Iterable[str]) -> dict[str, int]:
    asked = sum(len(_words(str(message.get("content") or ""))) for message in chat.messages)
    answered = len(list(words))
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
    }


async def _events(
    base: dict[str, Any],
    words: list[str],
    finish_reason: str,
    usage: dict[str, int],
    options: StreamOptions | None,
) -> AsyncIterator[bytes]:
    base = {**base, "object": "chat.completion.chunk", "model": MODEL}
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": word}, None) for word in words]
    for delta, reason in [*deltas, ({}, finish_reason)]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        yield _event({**base, "choices": [choice]})
    if options and options.include_usage:
        yield _event({**base, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _event(value: object) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _error(status: int, code: str, message: str) -> Response:
    detail = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return _json({"error": detail}, status)
