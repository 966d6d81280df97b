"""/api/users/{id}/wallet: a balance, what changes it, and the ledger that explains it.

Points are JSON numbers, each with its micro-points beside it. A user's id may hold any character.
"""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import amounts, barrier, bodies, lists
from tallygate.control.amounts import OptionalPointsIn, Points, PointsIn
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.charging import consumption_id
from tallygate.core.errors import Code, Refusal
from tallygate.core.wallet import EntryKind
from tallygate.core.wallet_commands import (
    AdjustWallet,
    ConfigureWallet,
    TopUpWallet,
    WalletView,
)
from tallygate.store import wallet_views
from tallygate.store.wallet_views import EntryView, LedgerFilter

_LEDGER_QUERY = {
    "kind": f"entries of this kind only: {', '.join(EntryKind)}",
    "from": "a day, or a time with its zone; from it on",
    "to": "a day, which is included, or a time with its zone, which is not",
    "sort": "-at, the newest first, if not given; at, the oldest first",
}

Reason = Annotated[str, msgspec.Meta(max_length=500)]


class Amount(bodies.Body, kw_only=True):
    points: PointsIn
    reason: Reason = ""


class Adjustment(bodies.Body, kw_only=True):
    """Up or down; `force` goes below the floor, and takes what is held or leased as well."""

    points: PointsIn
    reason: Reason = ""
    force: bool = False


class WalletChange(bodies.Body, kw_only=True):
    """`floor`: 0, or below: how far it may be overdrawn. `warn_below` null: no warning."""

    floor: PointsIn | UnsetType = UNSET
    warn_below: OptionalPointsIn | UnsetType = UNSET


class Why(bodies.Body, kw_only=True):
    reason: Reason = ""


class Wallet(msgspec.Struct, kw_only=True):
    """`free` is what is neither held nor leased to gateways."""

    user_id: str
    balance: Points
    balance_micros: int
    held: Points
    held_micros: int
    leased: Points
    leased_micros: int
    free: Points
    free_micros: int
    granted: Points
    granted_micros: int
    floor: Points
    floor_micros: int
    warn_below: Points | None
    warn_below_micros: int | None


class LedgerEntry(msgspec.Struct, kw_only=True):
    """`points` is what it did to the balance, `held` to what is held."""

    id: str
    kind: str
    points: Points
    points_micros: int
    held: Points
    held_micros: int
    balance: Points
    balance_micros: int
    charge_id: str | None
    grant_id: str | None
    hold_id: str | None
    reason: str
    actor: str
    at: str


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["wallets"])
    _reading(router, parts)
    _money(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    @router.get("/users/{user_id:path}/wallet", **described(Wallet))
    async def show_wallet(request: Request, user_id: str) -> Response:
        """The balance, with everything that was answered until now."""
        await find(parts, user_id)
        stale = await barrier.settle(parts, request)
        return bodies.answer(shown(await find(parts, user_id)), headers=stale)

    @router.get(
        "/users/{user_id:path}/wallet/ledger",
        **described(lists.Page[LedgerEntry], query=_LEDGER_QUERY),
    )
    async def list_ledger(
        request: Request, user_id: str, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """Every change of the wallet, the newest first."""
        size, after_id = lists.read_limit(limit), lists.read_cursor(cursor)
        wanted = _wanted_entries(request, parts.time_zone)
        wallet = await find(parts, user_id)
        async with parts.database.reading() as tx:
            rows, total = await wallet_views.page_of_ledger(
                tx, wallet.id, limit=size + 1, after_id=after_id, wanted=wanted
            )
        items = [entry(row) for row in rows[:size]]
        following = items[-1].id if len(rows) > size else None
        return bodies.answer(lists.Page(items=items, total=total, next=following))


def _wanted_entries(request: Request, zone: str) -> LedgerFilter:
    kind, sort = (request.query_params.get(name) or None for name in ("kind", "sort"))
    if kind is not None and kind not in list(EntryKind):
        message = f"`kind`: use one of {', '.join(EntryKind)}"
        raise Refusal(Code.BAD_REQUEST, message, param="kind")
    if sort not in (None, "at", "-at"):
        raise Refusal(Code.BAD_REQUEST, "`sort`: use at or -at", param="sort")
    return LedgerFilter(
        kind=kind,
        from_ms=bodies.query_time(request, "from", zone),
        before_ms=bodies.query_time(request, "to", zone, days_later=1),
        is_oldest_first=sort == "at",
    )


def _money(router: APIRouter, parts: Parts) -> None:
    @router.post("/users/{user_id:path}/wallet/top-up", **described(Wallet, body=Amount))
    async def top_up(request: Request, user_id: str) -> Response:
        """Add ordinary money."""
        body = await bodies.read(request, Amount)
        micros = amounts.read_points(body.points)
        change = TopUpWallet(account_id=user_id, micros=micros, reason=body.reason)
        return bodies.answer(shown(await order(parts.clerk, request, change, WalletView)))

    @router.post("/users/{user_id:path}/wallet/adjust", **described(Wallet, body=Adjustment))
    async def adjust(request: Request, user_id: str) -> Response:
        """Correct the balance, up or down to the wallet's floor."""
        body = await bodies.read(request, Adjustment)
        change = AdjustWallet(
            account_id=user_id,
            micros=amounts.read_points(body.points),
            reason=body.reason,
            is_forced=body.force,
        )
        return bodies.answer(shown(await order(parts.clerk, request, change, WalletView)))

    @router.patch("/users/{user_id:path}/wallet", **described(Wallet, body=WalletChange))
    async def configure(request: Request, user_id: str) -> Response:
        """Set how far it may be overdrawn, and below which balance to warn."""
        body = await bodies.read(request, WalletChange)
        change = ConfigureWallet(
            account_id=user_id,
            floor_micros=UNSET if body.floor is UNSET else amounts.read_points(body.floor, "floor"),
            warn_micros=(
                UNSET
                if body.warn_below is UNSET
                else amounts.read_optional_points(body.warn_below, "warn_below")
            ),
        )
        return bodies.answer(shown(await order(parts.clerk, request, change, WalletView)))


async def find(parts: Parts, user_id: str) -> WalletView:
    async with parts.database.reading() as tx:
        found = await wallet_views.find_wallet(tx, user_id)
    if found is None:
        raise Refusal(Code.NOT_FOUND, "there is no such user")
    return found


def read_id(text: str) -> int:
    """An id in a path; what is none names nothing."""
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    raise Refusal(Code.NOT_FOUND, "there is nothing of this id")


def shown(view: WalletView) -> Wallet:
    warn_micros = view.warn_micros
    return Wallet(
        user_id=view.account_id,
        balance=amounts.points(view.balance_micros),
        balance_micros=view.balance_micros,
        held=amounts.points(view.held_micros),
        held_micros=view.held_micros,
        leased=amounts.points(view.leased_micros),
        leased_micros=view.leased_micros,
        free=amounts.points(view.free_micros),
        free_micros=view.free_micros,
        granted=amounts.points(view.granted_micros),
        granted_micros=view.granted_micros,
        floor=amounts.points(view.floor_micros),
        floor_micros=view.floor_micros,
        warn_below=None if warn_micros is None else amounts.points(warn_micros),
        warn_below_micros=warn_micros,
    )


def entry(view: EntryView) -> LedgerEntry:
    return LedgerEntry(
        id=str(view.id),
        kind=view.kind,
        points=amounts.points(view.amount_micros),
        points_micros=view.amount_micros,
        held=amounts.points(view.held_micros),
        held_micros=view.held_micros,
        balance=amounts.points(view.balance_micros),
        balance_micros=view.balance_micros,
        charge_id=None if view.charge_id is None else consumption_id(view.charge_id),
        grant_id=name_of(view.grant_id),
        hold_id=name_of(view.hold_id),
        reason=view.reason,
        actor=view.actor,
        at=bodies.rfc3339(view.at_ms) or "",
    )


def name_of(number: int | None) -> str | None:
    return None if number is None else str(number)
