"""What a use costs: counts times a pinned price times a pinned rate, rounded once, up, at the end.

    cost in pico-units  = Σ count × price of its dimension  + the price of a request
    micro-points        = ⌈ cost × rate / 10¹² ⌉   a price in US dollars, rate in micro-points each
                        = ⌈ cost / 10⁶ ⌉           a price in points

Worked examples are in docs/reference/pricing.md, and each of them is a test.
"""

import enum
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from tallygate.core.money import MICROS, PICOS
from tallygate.core.usage import (
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
)

DEFAULT: Final = "*"  # the model name under which an operator keeps the price of unknown models
_PICOS_PER_MICRO: Final = PICOS // MICROS


class Currency(enum.StrEnum):
    """What a price is written in."""

    USD = "usd"
    POINTS = "points"


class Price(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One version of one model's price. Pico-units per token, and per request."""

    id: int
    model: str
    currency: Currency
    per_tokens: int  # how it was written: 1,000 or 1,000,000 tokens; changes no cost
    input_picos: int
    output_picos: int
    cache_read_picos: int | None  # None: as input
    cache_write_picos: int | None  # None: as input
    request_picos: int
    is_active: bool
    effective_ms: int


class Rate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many micro-points a US dollar is."""

    id: int
    micros_per_usd: int


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What one use costs. `output_micros` is the part of `micros` that is shown for output."""

    micros: int
    output_micros: int


class Book(msgspec.Struct, frozen=True, array_like=True):
    """All prices that are or will be in effect, the aliases and the rate; sent whole to gateways.

    `prices` are sorted by when they take effect, then by id: of a model's versions the last one
    counts whose time has come. A version that is in effect already has `effective_ms` 0, so that
    no clock which lags a little thinks that its time is still to come.
    """

    version: int = 0
    prices: tuple[Price, ...] = ()
    aliases: dict[str, str] = {}
    rate: Rate | None = None


class Prices:
    """A book, indexed: which price is a model's at a time."""

    __slots__ = ("_aliases", "_by_name", "_folded", "_next_ms", "_resolved", "book")

    def __init__(self, book: Book) -> None:
        self.book = book
        self._by_name: dict[str, list[Price]] = {}
        for price in book.prices:
            self._by_name.setdefault(price.model, []).append(price)
        self._folded: dict[str, str] = {}
        for name in sorted(self._by_name, reverse=True):
            self._folded[name.casefold()] = name
        self._aliases = {name.casefold(): model for name, model in book.aliases.items()}
        # Names asked for, and what they came to; forgotten when a version takes effect.
        self._resolved: dict[str, Price | None] = {}
        self._next_ms = 0

    def find(self, name: str, now_ms: int) -> Price | None:
        """The price in effect: by exact name, ignoring case, by alias, or else the default."""
        if now_ms >= self._next_ms:
            self._turn(now_ms)
        try:
            return self._resolved[name]
        except KeyError:
            return self._resolve(name, now_ms)

    def is_known(self, name: str) -> bool:
        """Whether `name` has a price of its own, in effect or not."""
        return self._name_of(name) is not None

    def _turn(self, now_ms: int) -> None:
        self._resolved.clear()
        upcoming = [p.effective_ms for p in self.book.prices if p.effective_ms > now_ms]
        self._next_ms = min(upcoming, default=1 << 62)

    def _resolve(self, name: str, now_ms: int) -> Price | None:
        own = self._name_of(name)
        found = self._in_effect(own, now_ms) if own is not None else None
        if found is None and own is None:
            found = self._in_effect(DEFAULT, now_ms)
        if found is not None and not found.is_active:
            found = None
        if len(self._resolved) < RESOLVED_MAX:
            self._resolved[name] = found
        return found

    def _name_of(self, name: str) -> str | None:
        if name in self._by_name:
            return name
        folded = name.casefold()
        if folded in self._folded:
            return self._folded[folded]
        target = self._aliases.get(folded)
        if target is None:
            return None
        return target if target in self._by_name else self._folded.get(target.casefold())

    def _in_effect(self, name: str, now_ms: int) -> Price | None:
        versions = self._by_name.get(name, ())
        return next((p for p in reversed(versions) if p.effective_ms <= now_ms), None)


RESOLVED_MAX: Final = 4096


def output_picos_of(counts: Mapping[str, int], price: Price) -> int:
    return counts.get(OUTPUT_TOKENS, 0) * price.output_picos


def picos_of(counts: Mapping[str, int], price: Price) -> int:
    """Exact, in the price's currency. Cached input is a part of the input, at its own price."""
    cost = (
        counts.get(INPUT_TOKENS, 0) * price.input_picos
        + counts.get(OUTPUT_TOKENS, 0) * price.output_picos
        + price.request_picos
    )
    if CACHE_READ_TOKENS not in counts and CACHE_WRITE_TOKENS not in counts:
        return cost
    read, written = cached(counts)
    if read and price.cache_read_picos is not None:
        cost += read * (price.cache_read_picos - price.input_picos)
    if written and price.cache_write_picos is not None:
        cost += written * (price.cache_write_picos - price.input_picos)
    return cost


def cached(counts: Mapping[str, int]) -> tuple[int, int]:
    """Input that was read from a cache and written to one; together never more than the input,
    whatever a source says: otherwise a cheap cache could make a cost negative."""
    whole = counts.get(INPUT_TOKENS, 0)
    read = min(counts.get(CACHE_READ_TOKENS, 0), whole)
    return read, min(counts.get(CACHE_WRITE_TOKENS, 0), whole - read)


def micros_of(picos: int, currency: Currency, micros_per_usd: int) -> int:
    """The one rounding there is: up, to a whole micro-point."""
    if currency is _POINTS:
        return -(-picos // _PICOS_PER_MICRO)
    return -(-picos * micros_per_usd // PICOS)


def cost(counts: Mapping[str, int], price: Price, rate: Rate | None) -> Cost:
    """What this use costs under these versions."""
    picos = picos_of(counts, price)
    output = output_picos_of(counts, price)
    # Output is rounded down, so that what is shown for input and output adds up.
    if price.currency is _POINTS:
        micros, of_output = -(-picos // _PICOS_PER_MICRO), output // _PICOS_PER_MICRO
    else:
        assert rate is not None and rate.micros_per_usd, "a price in US dollars needs a rate"
        micros = -(-picos * rate.micros_per_usd // PICOS)
        of_output = output * rate.micros_per_usd // PICOS
    return Cost(micros, of_output if of_output < micros else micros)


def cost_of_parts(parts: Iterable[tuple[Mapping[str, int], Price]], rate: Rate | None) -> Cost:
    """What an event costs that used several models: summed exactly, then rounded once."""
    per_usd = 0 if rate is None else rate.micros_per_usd
    total = output = 0  # in 10⁻¹² micro-points
    for counts, price in parts:
        scale = PICOS // _PICOS_PER_MICRO if price.currency is _POINTS else per_usd
        assert scale, "a price in US dollars needs a rate"
        total += picos_of(counts, price) * scale
        output += output_picos_of(counts, price) * scale
    return Cost(-(-total // PICOS), min(output // PICOS, -(-total // PICOS)))


def reserve_micros(input_tokens: int, output_tokens: int, price: Price, rate: Rate | None) -> int:
    """At most what a request will cost, as far as its token counts are right."""
    dearest = price.input_picos
    if price.cache_read_picos is not None and price.cache_read_picos > dearest:
        dearest = price.cache_read_picos
    if price.cache_write_picos is not None and price.cache_write_picos > dearest:
        dearest = price.cache_write_picos
    picos = input_tokens * dearest + output_tokens * price.output_picos + price.request_picos
    return micros_of(picos, price.currency, rate.micros_per_usd if rate is not None else 0)


_POINTS: Final = Currency.POINTS
