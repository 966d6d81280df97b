"""The points calculator: what a use costs, part by part, each exact, and the whole as it is billed.

Parts are exact decimals; only the whole is rounded, as `pricing` does it. In US dollars a price in
points is divided by the rate, and then the last of twelve decimals is rounded up.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from tallygate.core.money import MICROS, PICOS, format_decimal
from tallygate.core.pricing import Currency, Price, Rate, cached, cost
from tallygate.core.usage import (
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
)

REQUEST: Final = "request"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """`cost` is a decimal text in the currency that was asked for."""

    name: str
    count: int
    cost: str


class Calculation(msgspec.Struct, frozen=True, kw_only=True):
    """`micros` is what would be charged, `total` the same in the currency that was asked for."""

    micros: int
    output_micros: int
    currency: Currency
    parts: list[Part]
    total: str


class NeedsRate(ValueError):
    """A price in one currency was to be shown in the other, and there is no rate."""


def calculate(
    counts: Mapping[str, int], price: Price, rate: Rate | None, currency: Currency
) -> Calculation:
    """What this use costs under these versions; NeedsRate if that can not be said."""
    if rate is None and (price.currency is Currency.USD or currency is Currency.USD):
        raise NeedsRate("set an exchange rate first: points for a US dollar")
    whole = cost(counts, price, rate)
    parts = [
        Part(name=name, count=count, cost=_written(picos, price.currency, rate, currency))
        for name, count, picos in _picos_of_parts(counts, price)
    ]
    if currency is Currency.POINTS:
        total = format_decimal(whole.micros, MICROS)
    else:
        picos = sum(picos for _, _, picos in _picos_of_parts(counts, price))
        total = _written(picos, price.currency, rate, currency)
    return Calculation(
        micros=whole.micros,
        output_micros=whole.output_micros,
        currency=currency,
        parts=parts,
        total=total,
    )


def _picos_of_parts(counts: Mapping[str, int], price: Price) -> list[tuple[str, int, int]]:
    """Name, count, and pico-units of the price's own currency; input is what was not cached."""
    read, written = cached(counts)
    fresh = counts.get(INPUT_TOKENS, 0) - read - written
    output = counts.get(OUTPUT_TOKENS, 0)
    read_picos = price.input_picos if price.cache_read_picos is None else price.cache_read_picos
    write_picos = price.input_picos if price.cache_write_picos is None else price.cache_write_picos
    return [
        (INPUT_TOKENS, fresh, fresh * price.input_picos),
        (CACHE_READ_TOKENS, read, read * read_picos),
        (CACHE_WRITE_TOKENS, written, written * write_picos),
        (OUTPUT_TOKENS, output, output * price.output_picos),
        (REQUEST, 1, price.request_picos),
    ]


def _written(picos: int, written_in: Currency, rate: Rate | None, currency: Currency) -> str:
    if written_in is currency:
        return format_decimal(picos, PICOS)
    assert rate is not None, "calculate asked for one"
    if currency is Currency.POINTS:  # pico-dollars times micro-points for a dollar
        return format_decimal(picos * rate.micros_per_usd, PICOS * MICROS)
    return format_decimal(-(-picos * MICROS // rate.micros_per_usd), PICOS)
