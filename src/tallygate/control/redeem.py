"""Redeem codes: made in batches, shown once; and redeeming one, with guessing slowed down.

Each try spends a guess of its address and one of its account in advance, and a good code gives them
back: who tries a thousand codes at once has as few guesses as who tries them one by one.
"""

import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import amounts, bodies, lists
from tallygate.control.amounts import Points, PointsIn
from tallygate.control.callers import caller_of
from tallygate.control.openapi import described
from tallygate.control.orders import actor_of, order
from tallygate.control.parts import Parts
from tallygate.control.refusals import TryLater
from tallygate.control.wallets import read_id
from tallygate.core.errors import Code, Refusal
from tallygate.core.wallet_commands import (
    BatchView,
    CreateBatch,
    RedeemCode,
    RedeemedView,
    VoidBatch,
)
from tallygate.store import redeem
from tallygate.store.redeem import CodeView

CODES_MAX = 10_000


class NewBatch(bodies.Body, kw_only=True):
    """`count` codes, `points` each. With `grant_days` a code gives money that ends."""

    count: Annotated[int, msgspec.Meta(ge=1, le=CODES_MAX)]
    points: PointsIn
    label: Annotated[str, msgspec.Meta(max_length=500)] = ""
    expires_at: datetime.datetime | None = None
    grant_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] | None = None


class Redemption(bodies.Body, kw_only=True):
    """`user_id` is whose wallet the code is for."""

    code: Annotated[str, msgspec.Meta(max_length=200)]
    user_id: str = ""


class Batch(msgspec.Struct, kw_only=True):
    """`codes` only in the answer to its making."""

    id: str
    label: str
    points: Points
    points_micros: int
    count: int
    redeemed: int
    expires_at: str | None
    grant_days: int | None
    voided_at: str | None
    created_at: str
    codes: list[str] | UnsetType = UNSET


class MaskedCode(msgspec.Struct, kw_only=True):
    code: str
    user_id: str | None
    redeemed_at: str | None


class Redeemed(msgspec.Struct, kw_only=True):
    user_id: str
    points: Points
    points_micros: int
    balance: Points
    balance_micros: int


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["redeem codes"])
    _batches(router, parts)
    _changes(router, parts)
    return router


def _batches(router: APIRouter, parts: Parts) -> None:
    @router.get("/redeem-batches", **described(lists.Page[Batch]))
    async def list_batches(limit: str | None = None, cursor: str | None = None) -> Response:
        """Every batch, the newest first."""
        async with parts.database.reading() as tx:
            found = await redeem.list_batches(tx)
        return bodies.answer(lists.cut([shown(one) for one in found], limit, cursor))

    @router.get("/redeem-batches/{batch_id}/codes", **described(lists.Page[MaskedCode]))
    async def list_codes(
        batch_id: str, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """The codes of a batch, masked, and who redeemed them."""
        async with parts.database.reading() as tx:
            if await redeem.find(tx, read_id(batch_id)) is None:
                raise Refusal(Code.NOT_FOUND, "there is no such batch")
            found = await redeem.list_codes(tx, read_id(batch_id))
        return bodies.answer(lists.cut([masked(one) for one in found], limit, cursor))


def _changes(router: APIRouter, parts: Parts) -> None:
    @router.post("/redeem-batches", **described(Batch, status=201, body=NewBatch))
    async def create_batch(request: Request) -> Response:
        """Make codes. They are in the answer, and only there."""
        body = await bodies.read(request, NewBatch)
        expires_at = body.expires_at
        change = CreateBatch(
            count=body.count,
            micros=amounts.read_points(body.points),
            label=body.label,
            expires_ms=None if expires_at is None else bodies.read_time(expires_at, "expires_at"),
            grant_days=body.grant_days,
        )
        return bodies.answer(shown(await order(parts.clerk, request, change, BatchView)), 201)

    @router.post("/redeem-batches/{batch_id}/void", **described(Batch))
    async def void_batch(request: Request, batch_id: str) -> Response:
        """No code of it can be redeemed from now on."""
        await bodies.read(request, bodies.Body)
        change = VoidBatch(batch_id=read_id(batch_id))
        return bodies.answer(shown(await order(parts.clerk, request, change, BatchView)))

    @router.post("/user/redeem", **described(Redeemed, body=Redemption))
    async def redeem_code(request: Request) -> Response:
        """Turn a code into points of a user. A bad code is refused, whatever is wrong with it."""
        body = await bodies.read(request, Redemption)
        own = caller_of(request).account_id
        if own is not None and body.user_id not in ("", own):
            raise Refusal(Code.FORBIDDEN, "a code is redeemed into one's own wallet")
        user_id = own or body.user_id
        if not user_id:
            raise Refusal(Code.BAD_REQUEST, "`user_id`: say whose wallet", param="user_id")
        return bodies.answer(await redeem_for(parts, request, user_id, body.code))


async def redeem_for(parts: Parts, request: Request, user_id: str, code: str) -> Redeemed:
    """Redeem a code for a user, whoever has found out who that is."""
    guesses = parts.code_guesses
    guessers = (f"address {actor_of(request).address}", f"account {user_id}")
    if wait_s := max(guesses.wait_s(guesser) for guesser in guessers):
        raise TryLater(Code.RATE_LIMIT_EXCEEDED, "too many codes that are not good", wait_s)
    for guesser in guessers:
        guesses.spend(guesser)
    change = RedeemCode(account_id=user_id, code=code)
    try:
        done = await order(parts.clerk, request, change, RedeemedView)
    except Refusal as refusal:
        if refusal.code is not Code.IMPOSSIBLE:
            _give_back(parts, guessers)
        raise
    _give_back(parts, guessers)
    return redeemed(done)


def _give_back(parts: Parts, guessers: tuple[str, ...]) -> None:
    for guesser in guessers:
        parts.code_guesses.give_back(guesser)


def shown(view: BatchView) -> Batch:
    batch = Batch(
        id=str(view.id),
        label=view.label,
        points=amounts.points(view.amount_micros),
        points_micros=view.amount_micros,
        count=view.count,
        redeemed=view.redeemed,
        expires_at=bodies.rfc3339(view.expires_ms),
        grant_days=view.grant_days,
        voided_at=bodies.rfc3339(view.voided_ms),
        created_at=bodies.rfc3339(view.created_ms) or "",
    )
    if view.codes is not None:
        batch.codes = view.codes
    return batch


def masked(view: CodeView) -> MaskedCode:
    redeemed_at = bodies.rfc3339(view.redeemed_ms)
    return MaskedCode(code=view.masked, user_id=view.account_id, redeemed_at=redeemed_at)


def redeemed(view: RedeemedView) -> Redeemed:
    return Redeemed(
        user_id=view.account_id,
        points=amounts.points(view.amount_micros),
        points_micros=view.amount_micros,
        balance=amounts.points(view.balance_micros),
        balance_micros=view.balance_micros,
    )
