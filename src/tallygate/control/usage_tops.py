"""Who and what is used most, who not at all, what is hot right now, and all of it in one call."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from tallygate.control.amounts import Points, points
from tallygate.control.usage_charts import EMPTY, Answer, Point, frame, series
from tallygate.control.usage_figures import Figures, Named, fields, last_use, named, share
from tallygate.control.usage_question import Asked
from tallygate.core.usage_window import last_days, last_hours
from tallygate.core.windows import Span
from tallygate.store import usage_views
from tallygate.store.analytics import Filter, Per, ranking, sums

HOT_S = 60
DAY_MS = 86_400_000
RANKS = {  # what is most, by which sums
    "uses": ("uses",),
    "tokens": ("input_tokens", "output_tokens"),
    "points": ("charge_micros",),
}


class TopToken(Figures, kw_only=True):
    """`share` of all uses in the window."""

    token: Named
    share: float
    last_use: str | None


class TopName(Figures, kw_only=True):
    """A route or a model."""

    name: str
    share: float
    last_use: str | None


class TopTokens(Answer, kw_only=True):
    """`used` counts all keys and tokens that were used."""

    items: list[TopToken]
    used: int
    total: Figures


class TopNames(Answer, kw_only=True):
    items: list[TopName]
    used: int
    total: Figures


class Unused(msgspec.Struct, kw_only=True):
    """Keys that exist: `never` used at all, and `idle` for that many days, the idlest first."""

    days: int
    never: list[Named]
    never_total: int
    idle: list[Named]
    idle_total: int


class HotRoute(msgspec.Struct, kw_only=True):
    route: str
    uses: int
    errors: int
    per_second: float


class Hot(msgspec.Struct, kw_only=True):
    """Uses that ended within the last minute. Not `is_complete`: of the newest 20,000 only."""

    seconds: int
    is_complete: bool
    items: list[HotRoute]


class Overview(Answer, kw_only=True):
    """Today, as the console's first page shows it. `charged_elsewhere` is what other sources than
    gateways were charged for today, such as a Dify server's webhook.
    """

    today: Figures
    yesterday: Figures
    active_keys: int
    charged_elsewhere: Points
    charged_elsewhere_micros: int
    trend: list[Point]
    hours: list[Point]
    top_tokens: list[TopToken]
    top_routes: list[TopName]
    top_models: list[TopName]


async def top_tokens(asked: Asked, by: str = "uses") -> TopTokens:
    ranked = await ranking(asked.tx, asked.reach, asked.window, asked.filter, Per.KEY, RANKS[by])
    used = [key_id for key_id, amount in ranked if amount]
    best = used[: asked.limit]
    whole = (await sums(asked.tx, asked.reach, asked.window, asked.filter)).get((), EMPTY)
    of_them = replace(asked.filter, key_ids=tuple(best))
    rows = await sums(asked.tx, asked.reach, asked.window, of_them, Per.KEY) if best else {}
    who = await usage_views.names(asked.tx, best)
    items = [
        TopToken(
            **fields(row),
            token=named(key_id, who.get(key_id)),
            share=share(row[0], whole[0]),
            last_use=last_use(row),
        )
        for key_id in best
        for row in (rows.get((key_id,), EMPTY),)
    ]
    total = Figures(**fields(whole))
    return TopTokens(**frame(asked), items=items, used=len(used), total=total)


async def top_names(asked: Asked, per: Per) -> TopNames:
    """Of routes, or of models."""
    rows = await sums(asked.tx, asked.reach, asked.window, asked.filter, per)
    whole = (await sums(asked.tx, asked.reach, asked.window, asked.filter)).get((), EMPTY)
    of = sorted(
        ((name, row) for (name,), row in rows.items() if name and row[0]), key=lambda one: one[0]
    )
    of.sort(key=lambda one: -one[1][0])
    items = [
        TopName(**fields(row), name=name, share=share(row[0], whole[0]), last_use=last_use(row))
        for name, row in of[: asked.limit]
    ]
    total = Figures(**fields(whole))
    return TopNames(**frame(asked), items=items, used=len(of), total=total)


async def unused(asked: Asked, days: int) -> Unused:
    before_ms = asked.now_ms - days * DAY_MS
    found = [
        await usage_views.idle_keys(asked.tx, asked.filter, before, limit=asked.limit)
        for before in (None, before_ms)
    ]
    (never, never_total), (idle, idle_total) = found
    return Unused(
        days=days,
        never=[named(one.id, one) for one in never],
        never_total=never_total,
        idle=[named(one.id, one) for one in idle],
        idle_total=idle_total,
    )


async def hot(asked: Asked) -> Hot:
    found, is_complete = await usage_views.newest(
        asked.tx, asked.filter, asked.now_ms - HOT_S * 1000
    )
    items = [
        HotRoute(route=route, uses=uses, errors=errors, per_second=round(uses / HOT_S, 2))
        for route, uses, errors in sorted(found, key=lambda one: (-one[1], one[0]))
    ]
    return Hot(seconds=HOT_S, is_complete=is_complete, items=items[: asked.limit])


async def overview(asked: Asked) -> Overview:
    zone, now_s = asked.zone, asked.now_ms // 1000
    today = replace(asked, window=last_days(1, zone, now_s), by=Span.DAY, limit=5)
    week = await series(replace(today, window=last_days(7, zone, now_s)))
    hours = await series(replace(asked, window=last_hours(24, zone, now_s), by=Span.HOUR))
    tokens = await top_tokens(today)
    since_ms = today.window.start_s * 1000
    elsewhere = await _elsewhere(today, since_ms)
    return Overview(
        **frame(today),
        today=_figures(week.items[-1:]),
        yesterday=_figures(week.items[-2:-1]),
        active_keys=tokens.used,
        charged_elsewhere=points(elsewhere),
        charged_elsewhere_micros=elsewhere,
        trend=week.items,
        hours=hours.items,
        top_tokens=tokens.items,
        top_routes=(await top_names(today, Per.ROUTE)).items,
        top_models=(await top_names(today, Per.MODEL)).items,
    )


def _figures(items: Sequence[Point]) -> Figures:
    (one,) = items
    return Figures(**{name: getattr(one, name) for name in Figures.__struct_fields__})


async def _elsewhere(asked: Asked, since_ms: int) -> int:
    wanted = asked.filter
    if wanted != Filter(user_id=wanted.user_id):  # of a team or a key nobody can say
        return 0
    return await usage_views.charged_elsewhere(asked.tx, since_ms, wanted.user_id)
