"""Usage over time: series, the hours of a week, durations, errors."""

import datetime
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from tallygate.control.bodies import rfc3339
from tallygate.control.usage_figures import (
    Figures,
    Latency,
    Named,
    Rates,
    fields,
    latency,
    named,
    rates,
)
from tallygate.control.usage_question import Asked
from tallygate.core.histogram import BUCKETS, percentile
from tallygate.core.rollup import STEPS, Row
from tallygate.core.windows import Span, zone_of
from tallygate.store import usage_views
from tallygate.store.analytics import Filter, Per, ranking, sums

BUSIEST = 5
TOP = 10

EMPTY: Row = [0] * (STEPS + BUCKETS)


class Answer(msgspec.Struct, kw_only=True):
    """What all answers say of their time. `zone` is the one that days and hours are of.

    `is_complete` is false while sums catch up with many older rows, after an update or an import.
    """

    zone: str
    from_: str = msgspec.field(name="from")
    to: str
    is_complete: bool


class Point(Figures, kw_only=True):
    """One hour or day. `label` is how the clocks of the zone show its start."""

    start: str
    label: str
    p50_ms: int | None
    p95_ms: int | None


class Series(Answer, kw_only=True):
    """Every hour or day of the window, in order, also those without a use."""

    by: str
    items: list[Point]
    total: Figures


class Busy(msgspec.Struct, kw_only=True):
    """`weekday` 0 is Monday."""

    weekday: int
    hour: int
    uses: int


class Heatmap(Answer, kw_only=True):
    """`cells[weekday][hour]` are uses in that hour of all weeks; weekday 0 is Monday."""

    cells: list[list[int]]
    busiest: list[Busy]


class LatencyOf(Latency, kw_only=True):
    """Of one route or model."""

    name: str


class Latencies(Answer, kw_only=True):
    overall: Latency
    routes: list[LatencyOf]
    models: list[LatencyOf]


class RatesAt(Rates, kw_only=True):
    start: str
    label: str


class RatesOf(Rates, kw_only=True):
    name: str


class RatesOfToken(Rates, kw_only=True):
    token: Named


class Errors(Answer, kw_only=True):
    """`routes`, `models` and `tokens` with most errors come first; those without are left out."""

    by: str
    overall: Rates
    items: list[RatesAt]
    routes: list[RatesOf]
    models: list[RatesOf]
    tokens: list[RatesOfToken]


def frame(asked: Asked) -> dict[str, Any]:
    """The fields of Answer, each of its own type."""
    window = asked.window
    return {
        "zone": asked.zone,
        "from_": rfc3339(window.start_s * 1000) or "",
        "to": rfc3339(window.end_s * 1000) or "",
        "is_complete": asked.reach.is_whole,
    }


async def series(asked: Asked) -> Series:
    per = _per(asked)
    rows = await sums(asked.tx, asked.reach, asked.window, asked.filter, per, with_durations=True)
    items = [
        Point(
            **fields(row),
            **_moment(asked, start_s),
            p50_ms=percentile(row[STEPS:], 0.5),
            p95_ms=percentile(row[STEPS:], 0.95),
        )
        for start_s in asked.window.starts(asked.by)
        for row in (rows.get((start_s,), EMPTY),)
    ]
    return Series(**frame(asked), by=per.value, items=items, total=Figures(**fields(_sum(rows))))


def _per(asked: Asked) -> Per:
    return Per.DAY if asked.by is Span.DAY else Per.HOUR


def _sum(rows: Mapping[tuple[Any, ...], Row]) -> Row:
    """Of all that can be added up; when the latest use was can not."""
    return list(map(sum, zip(*rows.values(), strict=True))) if rows else EMPTY


def _moment(asked: Asked, start_s: int) -> dict[str, Any]:  # texts
    start = rfc3339(start_s * 1000) or ""
    return {"start": start, "label": asked.window.label(start_s, asked.by)}


async def heatmap(asked: Asked) -> Heatmap:
    rows = await sums(asked.tx, asked.reach, asked.window, asked.filter, Per.HOUR, names=("uses",))
    cells = [[0] * 24 for _ in range(7)]
    zone = zone_of(asked.zone)
    for (start_s,), row in rows.items():
        local = datetime.datetime.fromtimestamp(start_s, zone)
        cells[local.weekday()][local.hour] += row[0]
    hours = [Busy(weekday=d, hour=h, uses=cells[d][h]) for d in range(7) for h in range(24)]
    busiest = sorted((one for one in hours if one.uses), key=lambda one: -one.uses)[:BUSIEST]
    return Heatmap(**frame(asked), cells=cells, busiest=busiest)


async def latencies(asked: Asked) -> Latencies:
    routes, models = [await _slowest(asked, per) for per in (Per.ROUTE, Per.MODEL)]
    overall = await sums(asked.tx, asked.reach, asked.window, asked.filter, with_durations=True)
    whole = latency(overall.get((), EMPTY))
    return Latencies(**frame(asked), overall=whole, routes=routes, models=models)


async def _slowest(asked: Asked, per: Per) -> list[LatencyOf]:
    rows = await sums(asked.tx, asked.reach, asked.window, asked.filter, per, with_durations=True)
    found = [
        LatencyOf(name=name, **msgspec.structs.asdict(latency(row)))
        for (name,), row in rows.items()
        if name
    ]
    found = [one for one in found if one.timed]
    return sorted(found, key=lambda one: (-(one.p95_ms or 0), one.name))[: asked.limit]


async def errors(asked: Asked) -> Errors:
    per = _per(asked)
    rows = await _ended(asked, asked.filter, per)
    items = [
        RatesAt(**_rates(rows.get((start_s,), EMPTY)), **_moment(asked, start_s))
        for start_s in asked.window.starts(asked.by)
    ]
    of: dict[Per, list[RatesOf]] = {}
    for each in (Per.ROUTE, Per.MODEL):
        found = await _ended(asked, asked.filter, each)
        worst = [RatesOf(name=name, **_rates(row)) for (name,), row in found.items() if name]
        of[each] = _worst(worst, asked.limit)
    return Errors(
        **frame(asked),
        by=per.value,
        overall=rates(_sum(rows)),
        items=items,
        routes=of[Per.ROUTE],
        models=of[Per.MODEL],
        tokens=await _worst_tokens(asked),
    )


async def _ended(asked: Asked, wanted: Filter, per: Per) -> dict[tuple[Any, ...], Row]:
    """How uses ended, and nothing else of them."""
    return await sums(asked.tx, asked.reach, asked.window, wanted, per, names=_ENDS)


BROKEN = ("client_errors", "server_errors", "failures")
_ENDS = ("uses", "refused", "client_errors", "server_errors", "failures")


def _rates(row: Row) -> dict[str, Any]:
    return msgspec.structs.asdict(rates(row))


def _worst(found: list[RatesOf], limit: int) -> list[RatesOf]:
    bad = [one for one in found if one.error_rate]
    return sorted(bad, key=lambda one: (-one.error_rate * one.uses, one.name))[:limit]


async def _worst_tokens(asked: Asked) -> list[RatesOfToken]:
    ranked = await ranking(asked.tx, asked.reach, asked.window, asked.filter, Per.KEY, BROKEN)
    worst = [key_id for key_id, amount in ranked if amount][: asked.limit]
    of_them = replace(asked.filter, key_ids=tuple(worst))
    rows = await _ended(asked, of_them, Per.KEY) if worst else {}
    who = await usage_views.names(asked.tx, worst)
    return [
        RatesOfToken(token=named(key_id, who.get(key_id)), **_rates(rows.get((key_id,), EMPTY)))
        for key_id in worst
    ]
