"""/api/user/points: what people ask before and after they use a model, to the letter of the seed.

For whoever is signed in and for a user's own key; the admin token names `user_id`. Fields are taken
in both spellings. `points` are JSON numbers, exact to six decimals.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import barrier, bodies, spellings
from tallygate.control.amounts import Points, points
from tallygate.control.openapi import described
from tallygate.control.parts import Parts
from tallygate.control.price_shelf import PriceShelf, cost_micros, find_price
from tallygate.control.subjects import subject_of
from tallygate.core.errors import Code, Refusal
from tallygate.core.estimating import TOKENS_MAX, Use, percentile, usual_tokens
from tallygate.core.pricing import DEFAULT, Price, Prices
from tallygate.store import points as asked
from tallygate.store.database import Tx
from tallygate.store.points import Funds, Recent

Tokens = Annotated[int, msgspec.Meta(ge=0, le=TOKENS_MAX)]
ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
UserId = Annotated[str, msgspec.Meta(max_length=256)]


class BalanceQuestion(bodies.Body, kw_only=True, rename="camel"):
    """Whether there is enough for this use; `userId` for the admin token only.

    One of the two counts may be left out, and is 0 then; without both nothing is asked.
    """

    model: ModelName
    input_tokens: Tokens | UnsetType = UNSET
    output_tokens: Tokens | UnsetType = UNSET
    user_id: UserId | UnsetType = UNSET


class BalanceAnswer(msgspec.Struct, kw_only=True, rename="camel"):
    """`balance` is what can be spent: what holds set aside is not in it, what gateways lease is."""

    can_proceed: bool
    balance: Points
    estimated: Points
    shortfall: Points


class Estimate(msgspec.Struct, kw_only=True):
    """`points` by the price of now; `p50` and `p95` of what this user's recent uses did cost."""

    model: str
    input_tokens: int
    output_tokens: int
    points: Points
    points_micros: int
    p50: Points | None
    p95: Points | None


class Balance(msgspec.Struct, kw_only=True):
    """`available` is what is not held. What gateways lease is a part of both."""

    user_id: str
    balance: Points
    balance_micros: int
    held: Points
    held_micros: int
    available: Points
    available_micros: int


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/user/points", tags=["points"])
    shelf = PriceShelf()

    @router.get("/estimate", **described(Estimate, query=_ESTIMATE_QUERY))
    async def estimate(request: Request) -> Response:
        """What a use will cost; without tokens, one in the middle of this user's history."""
        user_id = subject_of(request, spellings.query(request, "user_id"))
        model = _model(request)
        tokens_in, tokens_out = (
            _tokens(request, name) for name in ("input_tokens", "output_tokens")
        )
        now_ms = parts.database.system_clock_ms()
        async with parts.database.reading() as tx:
            recent, version = await asked.recent_and_book(tx, user_id)
            prices = await shelf.read(tx, now_ms, version)
            if not recent:
                await _funds(tx, user_id, now_ms)
        return bodies.answer(_estimate(prices, model, tokens_in, tokens_out, recent, now_ms))

    @router.post("/check-balance", **described(BalanceAnswer, body=BalanceQuestion))
    async def check_balance(request: Request) -> Response:
        """Whether the balance is enough for this use, and what is missing."""
        body = await spellings.read(request, BalanceQuestion)
        named = body.user_id if body.user_id is not UNSET else None
        user_id = subject_of(request, named or spellings.query(request, "user_id"))
        now_ms = parts.database.system_clock_ms()
        async with parts.database.reading() as tx:
            found, version = await asked.find_funds_and_book(tx, user_id, now_ms)
            funds = _there(found)
            prices = await shelf.read(tx, now_ms, version)
        price, rate = find_price(prices, body.model, now_ms)
        micros = cost_micros(price, rate, *_counts(body))
        return bodies.answer(_judged(funds, micros))

    @router.get("/balance", **described(Balance, query=_USER_QUERY))
    async def show_balance(request: Request) -> Response:
        """The balance, with everything that was answered until now."""
        user_id = subject_of(request, spellings.query(request, "user_id"))
        stale = await barrier.settle(parts, request)
        async with parts.database.reading() as tx:
            funds = await _funds(tx, user_id, parts.database.system_clock_ms())
        return bodies.answer(_balance(user_id, funds), headers=stale)

    return router


_USER_QUERY = {"user_id": "whose; for the admin token only"}
_ESTIMATE_QUERY = {
    "model": "the model",
    "input_tokens": "tokens in; from this user's history if neither is given",
    "output_tokens": "tokens out",
    **_USER_QUERY,
}


async def _funds(tx: Tx, user_id: str, now_ms: int) -> Funds:
    return _there(await asked.find_funds(tx, user_id, now_ms))


def _there(found: Funds | None) -> Funds:
    if found is None:
        raise Refusal(Code.NOT_FOUND, "there is no such user", param="user_id")
    return found


def _estimate(
    prices: Prices,
    model: str,
    tokens_in: int | None,
    tokens_out: int | None,
    recent: Sequence[Recent],
    now_ms: int,
) -> Estimate:
    price, rate = find_price(prices, model, now_ms)
    names = {
        name
        for name in {one.model for one in recent}
        if _is_same(prices, price, model, name, now_ms)
    }
    uses = [
        Use(one.input_tokens, one.output_tokens, one.micros) for one in recent if one.model in names
    ]
    if tokens_in is None and tokens_out is None:
        usual = usual_tokens(uses)
        if usual is None:
            message = "there is no history of this model yet; send `input_tokens`, `output_tokens`"
            raise Refusal(Code.IMPOSSIBLE, message)
        tokens_in, tokens_out = usual
    tokens_in, tokens_out = tokens_in or 0, tokens_out or 0
    micros = cost_micros(price, rate, tokens_in, tokens_out)
    costs = [use.micros for use in uses]
    return Estimate(
        model=model,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        points=points(micros),
        points_micros=micros,
        p50=_optional(percentile(costs, 50)),
        p95=_optional(percentile(costs, 95)),
    )


def _is_same(prices: Prices, price: Price, model: str, other: str, now_ms: int) -> bool:
    """Whether two names mean one model; the price of unknown models says nothing about that."""
    if model.casefold() == other.casefold():
        return True
    return price.model != DEFAULT and prices.find(other, now_ms) is price


def _counts(body: BalanceQuestion) -> tuple[int, int]:
    """A use of nothing is free; whoever forgot to say of what must not hear that it may go on."""
    if body.input_tokens is UNSET and body.output_tokens is UNSET:
        message = "say how much: `inputTokens`, `outputTokens`"
        raise Refusal(Code.BAD_REQUEST, message, param="inputTokens")
    return body.input_tokens or 0, body.output_tokens or 0


def _judged(funds: Funds, micros: int) -> BalanceAnswer:
    missing = max(0, micros - funds.available_micros) if micros else 0
    return BalanceAnswer(
        can_proceed=not missing,
        balance=points(funds.available_micros),
        estimated=points(micros),
        shortfall=points(missing),
    )


def _balance(user_id: str, funds: Funds) -> Balance:
    return Balance(
        user_id=user_id,
        balance=points(funds.balance_micros),
        balance_micros=funds.balance_micros,
        held=points(funds.held_micros),
        held_micros=funds.held_micros,
        available=points(funds.available_micros),
        available_micros=funds.available_micros,
    )


def _optional(micros: int | None) -> msgspec.Raw | None:
    return None if micros is None else points(micros)


def _model(request: Request) -> str:
    model = spellings.query(request, "model")
    if model is None or len(model) > 256:
        raise Refusal(Code.BAD_REQUEST, "`model` is required", param="model")
    return model


def _tokens(request: Request, name: str) -> int | None:
    text = spellings.query(request, name)
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 8 and int(text) <= TOKENS_MAX:
        return int(text)
    raise Refusal(
        Code.BAD_REQUEST, f"`{name}`: use a whole number from 0 to {TOKENS_MAX}", param=name
    )
