"""/metrics: Prometheus' text format, for the operator only.

The clerk has the figures of every worker (`Inspect`); telemetry gives them their names.
"""

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from fastapi import APIRouter, Response

from tallygate.control.orders import Clerk
from tallygate.control.parts import Parts
from tallygate.core.commands import Inspect
from tallygate.core.ports import Actor

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/metrics")
    async def show_metrics() -> Response:
        return Response(await parts.render_metrics(), media_type=CONTENT_TYPE)

    return router


def renderer(clerk: Clerk, render: Callable[[Any], bytes]) -> Callable[[], Awaitable[bytes]]:
    """What reads the clerk's figures and renders them, whenever it is scraped."""

    async def render_now() -> bytes:
        return render(await clerk.command(Inspect(), Actor("metrics", "local", "")))

    return render_now


def exposition(figures: Any) -> bytes:
    """The figures under their own names, without help or types, where no telemetry is given."""
    lines = [f"{name} {value}\n" for name, value in _samples("tallygate", figures)]
    return "".join(lines).encode()


def _samples(name: str, value: Any) -> Iterator[tuple[str, int | float]]:
    if isinstance(value, int | float):
        yield re.sub(r"[^a-zA-Z0-9_]", "_", name), value + 0
    elif isinstance(value, dict):
        for part, inner in value.items():
            yield from _samples(f"{name}_{part}", inner)
