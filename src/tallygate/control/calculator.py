"""/api/prices/calculate: what a use would cost now, part by part."""

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import amounts, bodies
from tallygate.control.amounts import Points
from tallygate.control.openapi import described
from tallygate.control.parts import Parts
from tallygate.core.calculation import Calculation, NeedsRate, Part, calculate
from tallygate.core.errors import Code, Refusal
from tallygate.core.pricing import Currency, Price, Prices
from tallygate.core.usage import (
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
)
from tallygate.store import prices

Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]


class Use(bodies.Body, kw_only=True):
    """Counts of one use; cached tokens are a part of the input. `currency` is the answer's."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    input_tokens: Count = 0
    output_tokens: Count = 0
    cache_read_tokens: Count = 0
    cache_write_tokens: Count = 0
    currency: Literal["points", "usd"] = "points"


class Calculated(msgspec.Struct, kw_only=True):
    """`points` is what would be charged: rounded once, up. Parts are exact and sum up to it."""

    model: str
    model_name: str
    price_version: str
    rate_version: str | None
    currency: str
    parts: list[Part]
    total: str
    points: Points
    points_micros: int


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/prices", tags=["models"])

    @router.post("/calculate", **described(Calculated, body=Use))
    async def calculate_cost(request: Request) -> Response:
        """What a use costs under the prices and the rate in effect; nothing is charged."""
        use = await bodies.read(request, Use)
        _check(use)
        now_ms = await parts.database.clock_ms()
        async with parts.database.reading() as tx:
            book = await prices.read_book(tx, now_ms)
        price = find_price(Prices(book), use.model, now_ms)
        counts = {
            INPUT_TOKENS: use.input_tokens,
            OUTPUT_TOKENS: use.output_tokens,
            CACHE_READ_TOKENS: use.cache_read_tokens,
            CACHE_WRITE_TOKENS: use.cache_write_tokens,
        }
        try:
            found = calculate(counts, price, book.rate, Currency(use.currency))
        except NeedsRate as error:
            raise Refusal(Code.NO_EXCHANGE_RATE, str(error)) from None
        rate_version = None if book.rate is None else str(book.rate.id)
        return bodies.answer(_calculated(use, price, rate_version, found))

    return router


def find_price(book: Prices, model: str, now_ms: int) -> Price:
    """The price in effect for a model, or the reason why there is none."""
    price = book.find(model, now_ms)
    if price is not None:
        return price
    if book.is_known(model):
        message = f"the price of {model!r} is not active now"
    else:
        message = f"the model {model!r} has no price"
    raise Refusal(Code.UNKNOWN_MODEL, message, param="model")


def _check(use: Use) -> None:
    if use.cache_read_tokens + use.cache_write_tokens > use.input_tokens:
        raise Refusal(
            Code.BAD_REQUEST,
            "`input_tokens`: cached tokens are a part of the input, so it can not be less",
            param="input_tokens",
        )


def _calculated(use: Use, price: Price, rate_version: str | None, found: Calculation) -> Calculated:
    return Calculated(
        model=use.model,
        model_name=price.model,
        price_version=str(price.id),
        rate_version=rate_version,
        currency=found.currency.value,
        parts=found.parts,
        total=found.total,
        points=amounts.points(found.micros),
        points_micros=found.micros,
    )
