"""/api/consumption/live: charges as they are made, and how deliveries fare, as they happen."""

import structlog
from fastapi import APIRouter, Response

from tallygate.control.live import Live
from tallygate.control.looks import streamed
from tallygate.control.parts import Parts

log = structlog.get_logger("tallygate.control")


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/consumption", tags=["charges"])
    live = Live(parts.database, parts.clerk, parts.is_ending, _failed)

    @router.get("/live", responses={200: {"content": {"text/event-stream": {}}}})
    async def watch_consumption() -> Response:
        """Server-sent events: `consumption` is a charge, `status` is how deliveries fare now,
        `behind` says that the store does not answer."""
        return streamed(await live.look())

    return router


def _failed(name: str, error: BaseException) -> None:
    log.error("a part of the control plane died", part=name, exc_info=error)
