"""POST /api/dify/events: what a page saw of a Dify answer, told by the user who is signed in.

Anybody can forge what a browser says, but only of themselves: the account is the session's. What it
is worth is the operator's rule (TALLYGATE_DIFY_BROWSER_TRUST).
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.own_account import own_id
from tallygate.control.parts import Parts
from tallygate.core.dify_commands import BrowserAnswer, TakeBrowserEvents
from tallygate.core.errors import Code, Refusal

BODY_BYTES_MAX = 256 << 10


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/dify/events", tags=["dify"])

    @router.post("", **described(dict[str, Any]))
    async def report_dify_events(request: Request, app: str = "") -> Response:
        """One event or an array of them, in any form that the webhook takes."""
        account_id = own_id(request)
        received = bytearray()
        async for piece in request.stream():
            received += piece
            if len(received) > BODY_BYTES_MAX:
                raise Refusal(Code.TOO_LARGE, f"send at most {BODY_BYTES_MAX} bytes")
        command = TakeBrowserEvents(
            account_id=account_id,
            body=bytes(received),
            app=app,
            request_id=request.state.request_id,
        )
        answer = await order(parts.clerk, request, command, BrowserAnswer)
        no_store = {"cache-control": "no-store"}
        return Response(answer.body, answer.status, no_store, "application/json")

    return router
