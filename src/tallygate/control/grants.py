"""Grants: money with a priority and perhaps an end, given, listed, and ended before its time."""

import datetime
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import amounts, bodies, lists, wallets
from tallygate.control.amounts import Points, PointsIn
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.control.wallets import Reason, Wallet, Why, find, read_id
from tallygate.core.wallet_commands import GrantPoints, GrantView, VoidGrant
from tallygate.store import wallet_views


class NewGrant(bodies.Body, kw_only=True):
    """Spent before other money: the lowest `priority` first, then what ends first."""

    points: PointsIn
    reason: Reason = ""
    category: Literal["paid", "promotional"] = "promotional"
    priority: Annotated[int, msgspec.Meta(ge=-1000, le=1000)] = 0
    expires_at: datetime.datetime | None = None


class Grant(msgspec.Struct, kw_only=True):
    id: str
    user_id: str
    category: str
    priority: int
    amount: Points
    amount_micros: int
    left: Points
    left_micros: int
    expires_at: str | None
    voided_at: str | None
    created_at: str


class GrantedWallet(Wallet, kw_only=True):
    """The wallet as it is with the grant, and the grant's id."""

    grant_id: str


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["wallets"])

    @router.get("/users/{user_id:path}/wallet/grants", **described(lists.Page[Grant]))
    async def list_grants(
        user_id: str, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """Every grant, the newest first."""
        size, before_id = lists.read_limit(limit), lists.read_cursor(cursor)
        wallet = await find(parts, user_id)
        async with parts.database.reading() as tx:
            rows, total = await wallet_views.page_of_grants(
                tx, wallet.id, limit=size + 1, before_id=before_id
            )
        items = [shown(row) for row in rows[:size]]
        following = items[-1].id if len(rows) > size else None
        return bodies.answer(lists.Page(items=items, total=total, next=following))

    @router.post("/users/{user_id:path}/wallet/grant", **described(GrantedWallet, body=NewGrant))
    async def grant(request: Request, user_id: str) -> Response:
        """Add money that is spent before the rest, and perhaps ends."""
        body = await bodies.read(request, NewGrant)
        expires_at = body.expires_at
        change = GrantPoints(
            account_id=user_id,
            micros=amounts.read_points(body.points),
            reason=body.reason,
            category=body.category,
            priority=body.priority,
            expires_ms=None if expires_at is None else bodies.read_time(expires_at, "expires_at"),
        )
        given = await order(parts.clerk, request, change, GrantView)
        wallet = wallets.shown(await find(parts, user_id))
        return bodies.answer(GrantedWallet(**bodies.plain(wallet), grant_id=str(given.id)))

    @router.post("/grants/{grant_id}/void", **described(Grant, body=Why))
    async def void_grant(request: Request, grant_id: str) -> Response:
        """End a grant now; what is held of it ends when it is let go."""
        body = await bodies.read(request, Why)
        change = VoidGrant(grant_id=read_id(grant_id), reason=body.reason)
        return bodies.answer(shown(await order(parts.clerk, request, change, GrantView)))

    return router


def shown(view: GrantView) -> Grant:
    return Grant(
        id=str(view.id),
        user_id=view.account_id,
        category=view.category,
        priority=view.priority,
        amount=amounts.points(view.amount_micros),
        amount_micros=view.amount_micros,
        left=amounts.points(view.left_micros),
        left_micros=view.left_micros,
        expires_at=bodies.rfc3339(view.expires_ms),
        voided_at=bodies.rfc3339(view.voided_ms),
        created_at=bodies.rfc3339(view.created_ms) or "",
    )
