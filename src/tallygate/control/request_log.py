"""The outermost layer: gives each request its id and, when it is answered, one line in the log.

The line names the route, never the path: a path of /admin/keys holds a key.
"""

import re
import secrets
import time
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("tallygate.control")

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestLog:
    """ASGI middleware around the whole application, its error handlers included."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        started = time.monotonic()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            await self._application(scope, receive, send_with_id)
        except Exception:
            if not status:  # not answered and not logged yet: the server above does both
                raise
        finally:
            _write_line(scope, request_id, status, time.monotonic() - started)


def _write_line(scope: Scope, request_id: str, status: int, took_s: float) -> None:
    route: Any = scope.get("route")
    log.info(
        "request",
        request_id=request_id,
        method=scope["method"],
        route=getattr(route, "path", "none"),
        status=status,
        duration_ms=round(took_s * 1000, 1),
    )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value).decode()
    return f"req_{secrets.token_hex(12)}"
