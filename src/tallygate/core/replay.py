"""A charge computed again from the versions that it pins, and shown step by step.

`parts` of a charge that used several models are `[[model, price id, counts], …]`: summed exactly,
then rounded once.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from tallygate.core.money import MICROS, PICOS, format_decimal, format_points
from tallygate.core.pricing import Cost, Currency, Price, Rate, cost_of_parts
from tallygate.core.usage import (
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
)


class Part(msgspec.Struct, frozen=True, array_like=True):
    """What of a charge was used of one model, at which version of its price."""

    model: str
    price_id: int
    counts: dict[str, int]


class Pinned(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A charge as far as its computation goes."""

    id: int
    wallet_id: int | None
    state: str
    source: str
    model: str
    price_id: int | None
    rate_id: int | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    micros: int
    output_micros: int
    refunded_micros: int
    parts: str | None

    @property
    def counts(self) -> dict[str, int]:
        return {
            INPUT_TOKENS: self.input_tokens,
            OUTPUT_TOKENS: self.output_tokens,
            CACHE_READ_TOKENS: self.cache_read_tokens,
            CACHE_WRITE_TOKENS: self.cache_write_tokens,
        }


class Unreplayable(ValueError):
    """A version that the charge pins is not there; the message names it."""


class Versions(msgspec.Struct):
    """Every version of every price and rate, by id."""

    prices: dict[int, Price]
    rates: dict[int, Rate]


_PARTS: Final = msgspec.json.Decoder(list[Part])


def parts_of(pinned: Pinned) -> list[Part]:
    """None for an amount that was named instead of computed."""
    if pinned.parts is not None:
        try:
            return _PARTS.decode(pinned.parts)
        except msgspec.MsgspecError as error:
            raise Unreplayable(f"its parts can not be read: {error}") from None
    if pinned.price_id is None:
        return []
    return [Part(pinned.model, pinned.price_id, pinned.counts)]


def replay(pinned: Pinned, versions: Versions) -> Cost | None:
    """What it costs by the versions that it pins; None if it pins none."""
    parts = parts_of(pinned)
    if not parts:
        return None
    rate = _rate(pinned, versions)
    priced = [(part.counts, _price(part.price_id, versions)) for part in parts]
    if rate is None and any(price.currency is Currency.USD for _, price in priced):
        raise Unreplayable("a price in US dollars and no rate")
    return cost_of_parts(priced, rate)


def _price(price_id: int, versions: Versions) -> Price:
    try:
        return versions.prices[price_id]
    except KeyError:
        raise Unreplayable(f"there is no price {price_id}") from None


def _rate(pinned: Pinned, versions: Versions) -> Rate | None:
    if pinned.rate_id is None:
        return None
    try:
        return versions.rates[pinned.rate_id]
    except KeyError:
        raise Unreplayable(f"there is no rate {pinned.rate_id}") from None


def explain(pinned: Pinned, versions: Versions) -> Iterator[str]:
    """The computation, line by line, exact to its last step, which is the one rounding."""
    rate = _rate(pinned, versions)
    whole = replay(pinned, versions)
    if whole is None:
        yield f"its amount was named: {format_points(pinned.micros)} points"
        return
    for part in parts_of(pinned):
        price = _price(part.price_id, versions)
        yield f"price {price.id} of {price.model}, in {price.currency.value} per token:"
        for name, count, each in _rows(part.counts, price):
            picos = count * each
            product = format_decimal(picos, PICOS)
            yield f"  {name}: {count} × {format_decimal(each, PICOS)} = {product}"
    if rate is not None:
        yield f"rate {rate.id}: {format_decimal(rate.micros_per_usd, MICROS)} points for 1 usd"
    yield f"rounded up once: {format_points(whole.micros)} points ({whole.micros} micro-points)"


def _rows(counts: Mapping[str, int], price: Price) -> Iterator[tuple[str, int, int]]:
    """Name, count and pico-units each; what was cached is a part of the input."""
    read, written = counts.get(CACHE_READ_TOKENS, 0), counts.get(CACHE_WRITE_TOKENS, 0)
    read_at = price.input_picos if price.cache_read_picos is None else price.cache_read_picos
    write_at = price.input_picos if price.cache_write_picos is None else price.cache_write_picos
    fresh = counts.get(INPUT_TOKENS, 0) - read - written
    for name, count, each in (
        ("input tokens", fresh, price.input_picos),
        ("cache-read tokens", read, read_at),
        ("cache-write tokens", written, write_at),
        ("output tokens", counts.get(OUTPUT_TOKENS, 0), price.output_picos),
        ("request", 1, price.request_picos),
    ):
        if count and each:
            yield name, count, each
