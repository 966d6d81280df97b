"""/api/charges: what was charged and why, what waits for somebody, and each sum computed again.

`?state=unpaid` lists what there was no money for, `?state=review` what is above the largest charge.
"""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import amounts, bodies, lists
from tallygate.control.amounts import Points
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.billing_commands import (
    ApproveCharge,
    ChargeView,
    RejectCharge,
    SettleAccount,
    SettleCharge,
    Settled,
)
from tallygate.core.charging import Source, State, charge_id_of, consumption_id
from tallygate.core.errors import Code, Refusal
from tallygate.core.replay import Unreplayable, Versions, explain, parts_of, replay
from tallygate.store import charge_rows, charge_views, ledger_check, prices
from tallygate.store.charge_views import Filter
from tallygate.store.database import Tx

_QUERY = {
    "user_id": "of one account only",
    "state": ", ".join(state.value for state in State),
    "source": ", ".join(source.value for source in Source),
    "model": "as it was reported",
    "message_id": "of one message of Dify's",
    "from": "a day, or a time with its zone; received from it on",
    "to": "a day, which is included, or a time with its zone, which is not",
}


class Why(bodies.Body, kw_only=True):
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Charge(msgspec.Struct, kw_only=True):
    """One event, and what was charged for it. Costs are those of its pinned versions.

    Of an unpaid, noted or rejected one nothing was taken, and `points` is what it would have cost.
    """

    id: str
    user_id: str
    state: str
    source: str
    instance: str
    model: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    total_tokens: int
    input_cost: Points
    output_cost: Points
    points: Points
    points_micros: int
    refunded: Points
    refunded_micros: int
    balance_after: Points
    balance_after_micros: int
    price_version: str | None
    rate_version: str | None
    key_id: str | None
    request_id: str
    conversation_id: str
    message_id: str
    event_at: str
    received_at: str


class Report(msgspec.Struct, kw_only=True):
    """What another source said of the same event."""

    source: str
    user_id: str
    model: str
    input_tokens: int
    output_tokens: int


class Replay(msgspec.Struct, kw_only=True):
    """The sum computed again from the pinned versions; `lines` show every step.

    `points` is null where the amount was named instead of computed.
    """

    is_same: bool
    points: Points | None
    points_micros: int | None
    lines: list[str]


class ChargeDetail(msgspec.Struct, kw_only=True):
    charge: Charge
    reports: list[Report]
    replay: Replay


class SettledAccount(msgspec.Struct, kw_only=True):
    """How many charges were paid now, and what is still unpaid."""

    user_id: str
    paid: int
    paid_points: Points
    paid_micros: int
    unpaid: int
    unpaid_points: Points
    unpaid_micros: int


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["charges"])
    _reading(router, parts)
    _deciding(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    @router.get("/charges", **described(lists.Page[Charge], query=_QUERY))
    async def list_charges(
        request: Request, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """Charges that match, the newest first."""
        size, before_id = lists.read_limit(limit), lists.read_cursor(cursor)
        wanted = _filter(request, parts.time_zone)
        async with parts.database.reading() as tx:
            total = await charge_views.count(tx, wanted)
            rows = await charge_views.page(tx, wanted, limit=size + 1, before_id=before_id)
        items = [shown(row) for row in rows[:size]]
        following = str(rows[size - 1].id) if len(rows) > size else None
        return bodies.answer(lists.Page(items=items, total=total, next=following))

    @router.get("/charges/{charge_id}", **described(ChargeDetail))
    async def show_charge(charge_id: str) -> Response:
        """A charge with everything that was said of its event, and its sum computed again."""
        async with parts.database.reading() as tx:
            found = await charge_views.find(tx, read_id(charge_id))
            if found is None:
                raise Refusal(Code.NOT_FOUND, "there is no such charge")
            replayed = await _replay(tx, found.id)
        reports = [
            Report(
                source=source,
                user_id=told.account_id,
                model=told.model,
                input_tokens=told.input_tokens,
                output_tokens=told.output_tokens,
            )
            for source, told in sorted(charge_rows.read_reports(found.reports).items())
        ]
        return bodies.answer(ChargeDetail(charge=shown(found), reports=reports, replay=replayed))


def _deciding(router: APIRouter, parts: Parts) -> None:
    @router.post("/charges/{charge_id}/settle", **described(Charge))
    async def settle_charge(request: Request, charge_id: str) -> Response:
        """Charge what was unpaid, at the price of then; 402 if there is still no money for it."""
        change = SettleCharge(charge_id=read_id(charge_id))
        return bodies.answer(shown(await order(parts.clerk, request, change, ChargeView)))

    @router.post("/charges/{charge_id}/approve", **described(Charge, body=Why))
    async def approve_charge(request: Request, charge_id: str) -> Response:
        """Charge what was held for review; unpaid if the balance is too small."""
        body = await bodies.read(request, Why)
        change = ApproveCharge(charge_id=read_id(charge_id), reason=body.reason)
        return bodies.answer(shown(await order(parts.clerk, request, change, ChargeView)))

    @router.post("/charges/{charge_id}/reject", **described(Charge, body=Why))
    async def reject_charge(request: Request, charge_id: str) -> Response:
        """Never charge what is unpaid or held for review."""
        body = await bodies.read(request, Why)
        change = RejectCharge(charge_id=read_id(charge_id), reason=body.reason)
        return bodies.answer(shown(await order(parts.clerk, request, change, ChargeView)))

    @router.post("/users/{user_id:path}/wallet/settle", **described(SettledAccount))
    async def settle_account(request: Request, user_id: str) -> Response:
        """Charge what this account has left unpaid, the oldest first, as far as money goes."""
        settled = await order(parts.clerk, request, SettleAccount(account_id=user_id), Settled)
        return bodies.answer(
            SettledAccount(
                user_id=settled.account_id,
                paid=settled.paid,
                paid_points=amounts.points(settled.paid_micros),
                paid_micros=settled.paid_micros,
                unpaid=settled.unpaid,
                unpaid_points=amounts.points(settled.unpaid_micros),
                unpaid_micros=settled.unpaid_micros,
            )
        )


def _filter(request: Request, zone: str) -> Filter:
    asked = request.query_params
    for name, kind in (("state", State), ("source", Source)):
        if name in asked and asked[name] not in set(kind):
            known = ", ".join(one.value for one in kind)
            raise Refusal(Code.BAD_REQUEST, f"`{name}`: use one of {known}", param=name)
    return Filter(
        account_id=asked.get("user_id"),
        state=asked.get("state"),
        source=asked.get("source"),
        model=asked.get("model"),
        message_id=asked.get("message_id"),
        from_ms=bodies.query_time(request, "from", zone),
        before_ms=bodies.query_time(request, "to", zone, days_later=1),
    )


def read_id(text: str) -> int:
    number = charge_id_of(text)
    if number is None:
        raise Refusal(Code.NOT_FOUND, "there is no such charge")
    return number


async def _replay(tx: Tx, charge_id: int) -> Replay:
    """A version that is gone shows as a difference, with what is missing."""
    pinned = await ledger_check.find_pinned(tx, charge_id)
    assert pinned is not None, "charges are never deleted"
    try:
        ids = {part.price_id for part in parts_of(pinned)}
        rates = set() if pinned.rate_id is None else {pinned.rate_id}
        versions = Versions(
            await prices.pinned(tx, ids) if ids else {},
            await prices.pinned_rates(tx, rates) if rates else {},
        )
        cost = replay(pinned, versions)
        lines = list(explain(pinned, versions))
    except Unreplayable as error:
        return Replay(is_same=False, points=None, points_micros=None, lines=[str(error)])
    if cost is None:
        return Replay(is_same=True, points=None, points_micros=None, lines=lines)
    return Replay(
        is_same=cost.micros == pinned.micros,
        points=amounts.points(cost.micros),
        points_micros=cost.micros,
        lines=lines,
    )


def shown(view: ChargeView) -> Charge:
    return Charge(
        id=consumption_id(view.id),
        user_id=view.account_id,
        state=view.state,
        source=view.source,
        instance=view.instance,
        model=view.model,
        input_tokens=view.input_tokens,
        output_tokens=view.output_tokens,
        cache_read_tokens=view.cache_read_tokens,
        cache_write_tokens=view.cache_write_tokens,
        total_tokens=view.input_tokens + view.output_tokens,
        input_cost=amounts.points(view.micros - view.output_micros),
        output_cost=amounts.points(view.output_micros),
        points=amounts.points(view.micros),
        points_micros=view.micros,
        refunded=amounts.points(view.refunded_micros),
        refunded_micros=view.refunded_micros,
        balance_after=amounts.points(view.balance_micros),
        balance_after_micros=view.balance_micros,
        price_version=None if view.price_id is None else str(view.price_id),
        rate_version=None if view.rate_id is None else str(view.rate_id),
        key_id=str(view.key_id) if view.key_id else None,
        request_id=view.request_id,
        conversation_id=view.conversation_id,
        message_id=view.message_id,
        event_at=bodies.rfc3339(view.event_ms) or "",
        received_at=bodies.rfc3339(view.at_ms) or "",
    )
