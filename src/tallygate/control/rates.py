"""/api/exchange-rate: how many points a US dollar is."""

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import amounts, bodies, lists
from tallygate.control.amounts import Decimals, Points
from tallygate.control.bodies import Text
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.errors import Code, Refusal
from tallygate.core.price_commands import RateView, SetRate
from tallygate.store import prices


class NewRate(bodies.Body, kw_only=True):
    """Points for a US dollar."""

    rate: Decimals
    reason: Text = ""


class ExchangeRate(msgspec.Struct, kw_only=True):
    """The rate in effect; `version` is its id, as charges pin it."""

    version: str
    rate: Points
    rate_micros: int
    reason: str
    updated_at: str
    admin_id: str


class RateChange(msgspec.Struct, kw_only=True):
    """`old_rate` is null for the first rate."""

    version: str
    old_rate: Points | None
    old_rate_micros: int | None
    new_rate: Points
    new_rate_micros: int
    admin_id: str
    reason: str
    timestamp: str


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/exchange-rate", tags=["models"])

    @router.get("", **described(ExchangeRate))
    async def show_rate() -> Response:
        """How many points a US dollar is now."""
        async with parts.database.reading() as tx:
            found = await prices.rate_history(tx)
        if not found:
            raise Refusal(Code.NOT_FOUND, "no exchange rate is set")
        return bodies.answer(exchange_rate(found[0]))

    @router.put("", **described(ExchangeRate, body=NewRate))
    async def set_rate(request: Request) -> Response:
        """Set the rate. It counts for every event that is received after this answer."""
        body = await bodies.read(request, NewRate)
        change = SetRate(rate=amounts.read_decimal(body.rate, "rate"), reason=body.reason)
        return bodies.answer(exchange_rate(await order(parts.clerk, request, change, RateView)))

    @router.get("/history", **described(lists.Page[RateChange]))
    async def show_history(limit: str | None = None, cursor: str | None = None) -> Response:
        """Every rate there was, the latest first."""
        async with parts.database.reading() as tx:
            found = [rate_change(one) for one in await prices.rate_history(tx)]
        return bodies.answer(lists.cut(found, limit, cursor))

    return router


def exchange_rate(view: RateView) -> ExchangeRate:
    return ExchangeRate(
        version=str(view.id),
        rate=amounts.points(view.micros_per_usd),
        rate_micros=view.micros_per_usd,
        reason=view.reason,
        updated_at=bodies.rfc3339(view.created_ms) or "",
        admin_id=view.actor,
    )


def rate_change(view: RateView) -> RateChange:
    old = view.old_micros_per_usd
    return RateChange(
        version=str(view.id),
        old_rate=None if old is None else amounts.points(old),
        old_rate_micros=old,
        new_rate=amounts.points(view.micros_per_usd),
        new_rate_micros=view.micros_per_usd,
        admin_id=view.actor,
        reason=view.reason,
        timestamp=bodies.rfc3339(view.created_ms) or "",
    )
