"""/metrics: Prometheus' text format, for the operator only.

The clerk has the figures of every worker (`Inspect`); telemetry gives them their names.
"""

from collections.abc import Awaitable, Callable

import msgspec
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


class Worker(msgspec.Struct):
    """A worker as the clerk describes it."""

    slot: int
    gauges: bytes


class Inspection(msgspec.Struct):
    """What the clerk answers to `Inspect`, as far as it is exposed."""

    workers: list[Worker]
    figures: dict[str, int]


def renderer(clerk: Clerk) -> Callable[[], Awaitable[bytes]]:
    """What reads the figures and renders them, whenever it is scraped."""

    async def render_now() -> bytes:
        value = await clerk.command(Inspect(), Actor("metrics", "local", ""))
        found = msgspec.convert(value, Inspection, builtin_types=(bytes,))
        return exposition.render({one.slot: one.gauges for one in found.workers}, found.figures)

    return render_now
