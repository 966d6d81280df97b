"""A fake Dify server on 127.0.0.1: its service API with its real framing, well or badly.

    with running_dify() as dify:
        … dify.base_url, dify.stats …

A request's `query` (or `inputs.behaviour`) names how it is answered, from TABLE; anything else is
answered well. Each answer has ids of its own, `Ids(1)` the first one's.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.fakes import dify_answers as says
from tests.fakes.dify_answers import Ids
from tests.fakes.exchange import Exchange
from tests.fakes.upstream import RunningUpstream

METERED = ("chat-messages", "completion-messages", "workflows/run")
APP_KEY = "app-0123456789abcdefghijklmn"

Events = Callable[[Ids], Iterator[bytes]]


class FakeDify(RunningUpstream):
    """One Dify server; it takes any key but those in `refused_keys`."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = self._answer
        self.answered = 0
        self.refused_keys: set[str] = set()

    def __enter__(self) -> "FakeDify":
        super().__enter__()
        return self

    def bodies(self) -> list[Any]:
        """The JSON bodies that came."""
        return [json.loads(seen.body) for seen in self.stats.seen if seen.body]

    def _answer(self, exchange: Exchange) -> None:
        if exchange.seen.key in self.refused_keys:
            fail(exchange, 401, "unauthorized")
            return
        path = exchange.seen.path.removeprefix("/v1/")
        if path in METERED:
            self.answered += 1
            answer_metered(exchange, path, Ids(self.answered))
        else:
            answer_other(exchange, path)


def answer_metered(exchange: Exchange, path: str, ids: Ids) -> None:
    body = json.loads(exchange.seen.body)
    name = (body.get("inputs") or {}).get("behaviour") or body.get("query") or ""
    if (failure := FAILURES.get(name)) is not None:
        fail(exchange, *failure)
    elif body.get("response_mode") == "streaming":
        exchange.stream(events_of(path, name)(ids), every_s=0.02 if name == "slow" else 0.0)
    elif name == "failed-chatflow":
        fail(exchange, 400, "invalid_param")
    else:
        counted = COUNTED.get(name, says.usage)()
        exchange.answer(200, json.dumps(says.blocking(ids, path, counted)).encode())


def events_of(path: str, name: str) -> Events:
    if name in TABLE:
        return TABLE[name]
    if path == "workflows/run":
        return says.workflow
    return says.completion if path == "completion-messages" else says.chat


def answer_other(exchange: Exchange, path: str) -> None:
    """What is not metered: stopping, uploads, lists. The answer says what was asked."""
    seen = exchange.seen
    if path.endswith("/stop"):
        exchange.answer(200, b'{"result": "success"}')
    elif path == "text-to-audio":
        exchange.answer(200, b"ID3" + bytes(1000), kind=b"audio/mpeg")
    elif path == "files/upload":
        exchange.answer(201, json.dumps({"id": Ids(9).message, "bytes": len(seen.body)}).encode())
    else:
        asked = {"method": seen.method.decode(), "target": seen.target.decode()}
        exchange.answer(200, json.dumps({"data": [], "limit": 20, **asked}).encode())


def fail(exchange: Exchange, status: int, code: str) -> None:
    exchange.answer(status, json.dumps(says.error_body(status, code)).encode())


def stopped(ids: Ids) -> Iterator[bytes]:
    """Stopped half-way: a message_end comes all the same, with Dify's own estimate."""
    yield from list(says.pieces(ids))[:2]
    yield says.message_end(ids, says.usage(PROMPT_OF_STOPPED, 2))


def cut(ids: Ids) -> Iterator[bytes]:
    """The framing ends, the events do not."""
    yield from list(says.chat(ids))[:-1]


PROMPT_OF_STOPPED = 9

# status and code; 429 of two kinds: one to try again, one not to.
FAILURES = {
    "unauthorized": (401, "unauthorized"),
    "busy": (429, "too_many_requests"),
    "quota": (429, "rate_limit_error"),
    "bad": (400, "invalid_param"),
    "broken": (500, "internal_server_error"),
}
COUNTED: dict[str, Callable[[], dict[str, Any] | None]] = {
    "zero-price": says.free_usage,
    "no-usage": lambda: None,
}
TABLE: dict[str, Events] = {
    "agent": says.agent,
    "chatflow": says.chatflow,
    "chatflow-message-first": lambda ids: says.chatflow(ids, is_message_end_first=True),
    "failed-chatflow": says.failed_chatflow,
    "error": lambda ids: iter([*list(says.pieces(ids))[:2], says.error(ids)]),
    "zero-price": lambda ids: says.chat(ids, says.free_usage()),
    "no-usage": says.no_usage,
    "unnamed": says.unnamed_workflow,
    "stopped": stopped,
    "cut": cut,
}


@contextlib.contextmanager
def running_dify() -> Iterator[FakeDify]:
    with FakeDify() as dify:
        yield dify
