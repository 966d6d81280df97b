"""/admin/usage, to the letter of the seed: what each key used on a day, and the day's reset.

The report sees every request that was already answered: everything is settled first. A node that
could not be reached in time is named in `x-tallygate-stale`.
"""

import datetime

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import barrier, bodies
from tallygate.control.admin_keys import unsealed
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.commands import ResetUsage
from tallygate.core.windows import zone_of
from tallygate.store import usage


class Reset(bodies.Body, kw_only=True):
    """`day` is today when it is left out."""

    day: str | None = None


class ResetDone(msgspec.Struct, kw_only=True):
    """`reset` counts the keys whose use was cleared."""

    day: str
    reset: int


class KeyUsage(msgspec.Struct, kw_only=True):
    key: str
    label: str
    created_at: int
    daily_limit: int | None
    requests: int
    updated_at: int | None


class DayUsage(msgspec.Struct, kw_only=True):
    """Every key that exists, unused ones with 0 and null."""

    day: str
    total_keys: int
    total_requests: int
    keys: list[KeyUsage]


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/admin/usage", tags=["usage"])

    @router.get("", **described(DayUsage))
    async def show_usage(request: Request, day: str | None = None) -> Response:
        """What each key used on a day, today by default."""
        asked = bodies.read_day(day) if day is not None else await _today(parts)
        stale = await barrier.settle(parts, request)
        async with parts.database.reading() as tx:
            used = [_shown(parts, one) for one in await usage.day_usage(tx, asked)]
        report = DayUsage(
            day=asked.isoformat(),
            total_keys=len(used),
            total_requests=sum(one.requests for one in used),
            keys=used,
        )
        return bodies.answer(report, headers=stale)

    @router.post("/reset", **described(ResetDone, body=Reset))
    async def reset_usage(request: Request) -> Response:
        """Clear a day's counters of all keys; usage rows stay. In effect within a second."""
        body = await bodies.read(request, Reset)
        day = bodies.read_day(body.day) if body.day is not None else await _today(parts)
        change = ResetUsage(day=day.isoformat())
        return bodies.answer(await order(parts.clerk, request, change, ResetDone))

    return router


async def _today(parts: Parts) -> datetime.date:
    """By the store's clock, in the zone that days are counted in."""
    now_ms = await parts.database.clock_ms()
    return datetime.datetime.fromtimestamp(now_ms / 1000, zone_of(parts.time_zone)).date()


def _shown(parts: Parts, one: usage.DayUsage) -> KeyUsage:
    return KeyUsage(
        key=unsealed(parts, one.key_id, one.sealed) or one.masked,
        label=one.label,
        created_at=one.created_ms,
        daily_limit=one.daily_limit,
        requests=one.requests,
        updated_at=one.updated_ms if one.requests else None,
    )
