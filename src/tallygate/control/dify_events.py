"""POST /api/dify/events: what a page saw of a Dify answer, told by the user who is signed in.

Anybody can forge what a browser says, but only of themselves: the account is the session's. What it
is worth is the operator's rule (TALLYGATE_DIFY_BROWSER_TRUST), and nobody makes it write more than
a person could have seen.
"""

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.own_account import own_id
from tallygate.control.parts import Parts
from tallygate.control.refusals import TryLater
from tallygate.core.dify_commands import BrowserAnswer, TakeBrowserEvents
from tallygate.core.errors import Code, Refusal

BODY_BYTES_MAX = 256 << 10
EVENTS_MAX = 100  # in one call

_batch = msgspec.json.Decoder(list[msgspec.Raw])


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/dify/events", tags=["dify"])

    @router.post("", **described(dict[str, Any]))
    async def report_dify_events(request: Request, app: str = "") -> Response:
        """One event or an array of up to 100, in any form that the webhook takes.

        An account may report one a second, and 120 more now and then; beyond that it is asked to
        come back later (429).
        """
        account_id = own_id(request)
        body = await _receive(request)
        _take_turn(parts, account_id, _count(body))
        command = TakeBrowserEvents(
            account_id=account_id, body=body, app=app, request_id=request.state.request_id
        )
        answer = await order(parts.clerk, request, command, BrowserAnswer)
        no_store = {"cache-control": "no-store"}
        return Response(answer.body, answer.status, no_store, "application/json")

    return router


async def _receive(request: Request) -> bytes:
    received = bytearray()
    async for piece in request.stream():
        received += piece
        if len(received) > BODY_BYTES_MAX:
            raise Refusal(Code.TOO_LARGE, f"send at most {BODY_BYTES_MAX} bytes")
    return bytes(received)


def _count(body: bytes) -> int:
    """How many events a body holds; what can not be read is refused later, and counts as one."""
    if body.lstrip()[:1] != b"[":
        return 1
    try:
        count = len(_batch.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 1
    if count > EVENTS_MAX:
        raise Refusal(Code.TOO_LARGE, f"send at most {EVENTS_MAX} events at once")
    return max(1, count)


def _take_turn(parts: Parts, account_id: str, count: int) -> None:
    """Each event is a transaction and perhaps a row: a page that floods is put off, unheard."""
    wait_s = parts.page_events.wait_s(account_id, count)
    if wait_s:
        message = "this account reports more than one event a second"
        raise TryLater(Code.RATE_LIMIT_EXCEEDED, message, wait_s)
    parts.page_events.spend(account_id, count)
