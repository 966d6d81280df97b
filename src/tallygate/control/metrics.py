"""/metrics: Prometheus' text format, for the operator only.

The clerk has the figures of every worker (`Inspect`); telemetry gives them their names.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Response

from tallygate.control.orders import Clerk
from tallygate.control.parts import Parts
from tallygate.core.commands import Inspect
from tallygate.core.ports import Actor
from tallygate.telemetry import exposition


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    async def show_metrics() -> Response:
        return Response(await parts.render_metrics(), media_type=exposition.CONTENT_TYPE)

    return router


def renderer(
    clerk: Clerk, render: Callable[[Any], bytes] = exposition.render_inspection
) -> Callable[[], Awaitable[bytes]]:
    """What reads the figures and renders them, whenever it is scraped."""

    async def render_now() -> bytes:
        return render(await clerk.command(Inspect(keeper=True), Actor("metrics", "local", "")))

    return render_now
