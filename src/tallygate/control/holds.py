"""Holds: money set aside for an owner, then charged or let go; and refunds of charges."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import amounts, bodies, lists
from tallygate.control.amounts import OptionalPointsIn, Points, PointsIn
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.control.wallets import Reason, find, read_id
from tallygate.core.charging import charge_id_of, consumption_id
from tallygate.core.errors import Code, Refusal
from tallygate.core.wallet_commands import (
    CaptureHold,
    HoldView,
    PlaceHold,
    RefundCharge,
    RefundView,
    ReleaseHold,
)
from tallygate.store import wallet_views

LASTS_S_DEFAULT = 3600
LASTS_S_MAX = 366 * 86_400

Owner = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NewHold(bodies.Body, kw_only=True):
    """Let go by itself after `expires_in_s` seconds, an hour by default."""

    points: PointsIn
    owner: Owner
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=LASTS_S_MAX)] = LASTS_S_DEFAULT
    reason: Reason = ""


class HoldEnd(bodies.Body, kw_only=True):
    """`owner`, if given, must be the hold's own."""

    owner: Owner | None = None
    reason: Reason = ""


class Capture(HoldEnd, kw_only=True):
    """`points` at most what is held, all of it by default; what is not charged is free again."""

    points: OptionalPointsIn | UnsetType = UNSET


class NewRefund(bodies.Body, kw_only=True):
    """`points` at most what was not given back yet, all of it by default."""

    points: OptionalPointsIn | UnsetType = UNSET
    reason: Reason = ""


class Hold(msgspec.Struct, kw_only=True):
    """`state` is open, captured, released or expired; `charge_id` is what it became."""

    id: str
    user_id: str
    amount: Points
    amount_micros: int
    owner: str
    state: str
    charge_id: str | None
    reason: str
    created_at: str
    expires_at: str


class Refund(msgspec.Struct, kw_only=True):
    """`refunded` now, `refunded_in_all` of `points`; `state` is refunded once that is whole."""

    charge_id: str
    user_id: str
    state: str
    points: Points
    points_micros: int
    refunded: Points
    refunded_micros: int
    refunded_in_all: Points
    refunded_in_all_micros: int
    balance: Points
    balance_micros: int


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["wallets"])
    _holds(router, parts)
    _ends(router, parts)
    return router


def _holds(router: APIRouter, parts: Parts) -> None:
    @router.get("/users/{user_id:path}/wallet/holds", **described(lists.Page[Hold]))
    async def list_holds(
        user_id: str, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """Every hold, the newest first."""
        size, before_id = lists.read_limit(limit), lists.read_cursor(cursor)
        wallet = await find(parts, user_id)
        async with parts.database.reading() as tx:
            rows, total = await wallet_views.page_of_holds(
                tx, wallet.id, limit=size + 1, before_id=before_id
            )
        items = [shown(row) for row in rows[:size]]
        following = items[-1].id if len(rows) > size else None
        return bodies.answer(lists.Page(items=items, total=total, next=following))

    @router.post("/users/{user_id:path}/wallet/holds", **described(Hold, status=201, body=NewHold))
    async def place_hold(request: Request, user_id: str) -> Response:
        """Set money aside that is free."""
        body = await bodies.read(request, NewHold)
        change = PlaceHold(
            account_id=user_id,
            micros=amounts.read_points(body.points),
            owner=body.owner,
            lasts_ms=body.expires_in_s * 1000,
            reason=body.reason,
        )
        return bodies.answer(shown(await order(parts.clerk, request, change, HoldView)), 201)


def _ends(router: APIRouter, parts: Parts) -> None:
    @router.post("/holds/{hold_id}/capture", **described(Hold, body=Capture))
    async def capture_hold(request: Request, hold_id: str) -> Response:
        """Charge a hold, or a part of it."""
        body = await bodies.read(request, Capture)
        change = CaptureHold(
            hold_id=read_id(hold_id),
            micros=amounts.read_optional_points(body.points),
            owner=body.owner or "",
            reason=body.reason,
        )
        return bodies.answer(shown(await order(parts.clerk, request, change, HoldView)))

    @router.post("/holds/{hold_id}/release", **described(Hold, body=HoldEnd))
    async def release_hold(request: Request, hold_id: str) -> Response:
        """Let a hold go: its money is free again."""
        body = await bodies.read(request, HoldEnd)
        change = ReleaseHold(hold_id=read_id(hold_id), owner=body.owner or "", reason=body.reason)
        return bodies.answer(shown(await order(parts.clerk, request, change, HoldView)))

    @router.post("/charges/{charge_id}/refund", **described(Refund, body=NewRefund))
    async def refund_charge(request: Request, charge_id: str) -> Response:
        """Give back a charge, or a part of it; never more than it took."""
        body = await bodies.read(request, NewRefund)
        number = charge_id_of(charge_id)
        if number is None:
            raise Refusal(Code.NOT_FOUND, "there is no such charge")
        change = RefundCharge(
            charge_id=number,
            micros=amounts.read_optional_points(body.points),
            reason=body.reason,
        )
        return bodies.answer(refund(await order(parts.clerk, request, change, RefundView)))


def shown(view: HoldView) -> Hold:
    return Hold(
        id=str(view.id),
        user_id=view.account_id,
        amount=amounts.points(view.amount_micros),
        amount_micros=view.amount_micros,
        owner=view.owner,
        state=view.state,
        charge_id=None if view.charge_id is None else consumption_id(view.charge_id),
        reason=view.reason,
        created_at=bodies.rfc3339(view.created_ms) or "",
        expires_at=bodies.rfc3339(view.expires_ms) or "",
    )


def refund(view: RefundView) -> Refund:
    return Refund(
        charge_id=consumption_id(view.charge_id),
        user_id=view.account_id,
        state=view.state,
        points=amounts.points(view.micros),
        points_micros=view.micros,
        refunded=amounts.points(view.now_refunded_micros),
        refunded_micros=view.now_refunded_micros,
        refunded_in_all=amounts.points(view.refunded_micros),
        refunded_in_all_micros=view.refunded_micros,
        balance=amounts.points(view.balance_micros),
        balance_micros=view.balance_micros,
    )
