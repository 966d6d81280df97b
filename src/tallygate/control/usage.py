"""/api/usage: what is used, by whom, when, how fast and how well; exports; what it will cost.

Everybody sees what they may: members the uses of their own keys only. Any use is in the answers
within a second of its end.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from tallygate.control import bodies, usage_charts, usage_export, usage_money, usage_tops
from tallygate.control.live_overview import LiveOverview
from tallygate.control.looks import streamed
from tallygate.control.openapi import described
from tallygate.control.parts import Parts
from tallygate.control.price_shelf import PriceShelf
from tallygate.control.usage_question import (
    FILTER_QUERY,
    LIMIT_QUERY,
    WINDOW_QUERY,
    Asked,
    Question,
    look_up,
    read,
)
from tallygate.core.errors import Code, Refusal
from tallygate.store.analytics import Per

HEATMAP_DAYS = 28
UNUSED_DAYS = 30
FORECAST_DAYS = 30
ADVICE_DAYS = 7

_QUERY = {**WINDOW_QUERY, **FILTER_QUERY}
_SERIES_QUERY = {**_QUERY, "by": "hour or day; day if not given, hour with `hours`"}
_TOP_QUERY = {**_QUERY, **LIMIT_QUERY}
_RANK_QUERY = {**_TOP_QUERY, "rank": "what counts: uses, tokens or points; uses if not given"}
_UNUSED_QUERY = {
    **{name: FILTER_QUERY[name] for name in ("team", "token")},
    "days": f"unused for that many days, {UNUSED_DAYS} if not given",
    **LIMIT_QUERY,
}

T = TypeVar("T")

log = structlog.get_logger("tallygate.control")


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/usage", tags=["analytics"])
    _charts(router, parts)
    _tops(router, parts)
    _money(router, parts)

    @router.get("/overview", **described(usage_tops.Overview, query=FILTER_QUERY))
    async def show_overview(request: Request) -> Response:
        """Today in one call: sums, trend, active keys, top keys, routes and models."""
        return await _answer(parts, read(request), usage_tops.overview)

    live = LiveOverview(parts, _failed)

    @router.get("/overview/live", responses={200: {"content": {"text/event-stream": {}}}})
    async def watch_overview() -> Response:
        """Server-sent events: `overview`, as `/api/usage/overview` answers it, whenever it is
        another; `behind` says that the store does not answer just now."""
        return streamed(await live.look())

    text = {"schema": {"type": "string"}}
    content = {"text/csv": text, "application/x-ndjson": text}
    query = described(bytes, query={**WINDOW_QUERY, **FILTER_QUERY, **usage_export.QUERY})

    @router.get(
        "/export",
        responses={200: {"description": "the lines", "content": content}},
        openapi_extra={"parameters": query["openapi_extra"]["parameters"]},
    )
    async def export_usage(request: Request) -> Response:
        """Every use as CSV or JSONL, or sums by month per token, user or team; any size."""
        wanted = usage_export.order(read(request), dict(request.query_params))
        now_ms = await parts.database.clock_ms()
        async with parts.database.reading() as tx:
            asked = await usage_export.look_up_order(tx, wanted, parts.time_zone, now_ms)
        headers = {
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="{wanted.file_name}"',
        }
        return StreamingResponse(
            usage_export.pieces(parts.database, wanted, asked),
            headers=headers,
            media_type="text/csv" if wanted.is_csv else "application/x-ndjson",
        )

    return router


def _charts(router: APIRouter, parts: Parts) -> None:
    @router.get("/series", **described(usage_charts.Series, query=_SERIES_QUERY))
    async def show_series(request: Request) -> Response:
        """Uses, errors, tokens, points and durations by hour or day."""
        return await _answer(parts, read(request), usage_charts.series)

    @router.get("/heatmap", **described(usage_charts.Heatmap, query=_QUERY))
    async def show_heatmap(request: Request) -> Response:
        """Uses by weekday and hour, and the busiest hours; of 28 days if not said."""
        return await _answer(parts, read(request, days=HEATMAP_DAYS), usage_charts.heatmap)

    @router.get("/latency", **described(usage_charts.Latencies, query=_TOP_QUERY))
    async def show_latency(request: Request) -> Response:
        """Percentiles of durations, of everything, of each route and of each model."""
        return await _answer(parts, read(request), usage_charts.latencies)

    @router.get("/errors", **described(usage_charts.Errors, query={**_SERIES_QUERY, **LIMIT_QUERY}))
    async def show_errors(request: Request) -> Response:
        """Error rates over time, and where most of them are."""
        return await _answer(parts, read(request), usage_charts.errors)


def _tops(router: APIRouter, parts: Parts) -> None:
    @router.get("/top-tokens", **described(usage_tops.TopTokens, query=_RANK_QUERY))
    async def show_top_tokens(request: Request) -> Response:
        """The keys and tokens that are used most."""
        rank = request.query_params.get("rank") or "uses"
        if rank not in usage_tops.RANKS:
            message = f"`rank`: use one of {', '.join(usage_tops.RANKS)}"
            raise Refusal(Code.BAD_REQUEST, message, param="rank")
        return await _answer(parts, read(request), lambda asked: usage_tops.top_tokens(asked, rank))

    @router.get("/top-routes", **described(usage_tops.TopNames, query=_TOP_QUERY))
    async def show_top_routes(request: Request) -> Response:
        """The routes that are used most."""
        return await _answer(
            parts, read(request), lambda asked: usage_tops.top_names(asked, Per.ROUTE)
        )

    @router.get("/top-models", **described(usage_tops.TopNames, query=_TOP_QUERY))
    async def show_top_models(request: Request) -> Response:
        """The models that are used most."""
        return await _answer(
            parts, read(request), lambda asked: usage_tops.top_names(asked, Per.MODEL)
        )

    @router.get("/unused", **described(usage_tops.Unused, query=_UNUSED_QUERY))
    async def show_unused(request: Request) -> Response:
        """Keys and tokens that were never used, or not for some days."""
        asked = read(request, days=UNUSED_DAYS)
        days = asked.days or UNUSED_DAYS
        return await _answer(parts, asked, lambda found: usage_tops.unused(found, days))

    @router.get("/hot", **described(usage_tops.Hot, query={**FILTER_QUERY, **LIMIT_QUERY}))
    async def show_hot(request: Request) -> Response:
        """The routes that are used right now: in the last minute."""
        return await _answer(parts, read(request), usage_tops.hot)


def _money(router: APIRouter, parts: Parts) -> None:
    shelf = PriceShelf()

    @router.get(
        "/forecast", **described(usage_money.Forecast, query={**WINDOW_QUERY, **LIMIT_QUERY})
    )
    async def show_forecast(request: Request) -> Response:
        """When balances and budgets will be used up if it goes on as in the last 30 days."""
        return await _answer(parts, read(request, days=FORECAST_DAYS), usage_money.forecast)

    @router.get("/advice", **described(usage_money.Advice, query=_TOP_QUERY))
    async def show_advice(request: Request) -> Response:
        """Models that would have cost less for what each key did in the last 7 days."""

        async def advise(asked: Asked) -> usage_money.Advice:
            return await usage_money.advice(asked, await shelf.read(asked.tx, asked.now_ms))

        return await _answer(parts, read(request, days=ADVICE_DAYS), advise)


def _failed(name: str, error: BaseException) -> None:
    log.error("a part of the control plane died", part=name, exc_info=error)


async def _answer(parts: Parts, asked: Question, find: Callable[[Asked], Awaitable[T]]) -> Response:
    now_ms = await parts.database.clock_ms()
    async with parts.database.reading() as tx:
        return bodies.answer(await find(await look_up(tx, asked, parts.time_zone, now_ms)))
