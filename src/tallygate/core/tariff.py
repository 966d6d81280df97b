"""A price with the rate that goes with it, worked out once for the many requests that they price.

It says what core/pricing.py says, to the micro-point (a property test compares them), without
looking the price's members up and multiplying by the rate for each request again.
"""

from collections.abc import Mapping

from tallygate.core.money import MICROS, PICOS
from tallygate.core.pricing import Currency, Price, Rate, cached
from tallygate.core.usage import (
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
)


class Tariff:
    """What a model's requests cost. `is_usable` False: in US dollars, and there is no rate."""

    __slots__ = (
        *("_dearest", "_input", "_output", "_read_more", "_request", "_write_more"),
        *("is_free", "is_usable", "price", "price_id", "rate", "rate_id"),
    )

    def __init__(self, price: Price, rate: Rate | None) -> None:
        if price.currency is Currency.POINTS:
            rate = None
        self.price = price
        self.rate = rate
        self.price_id = price.id
        self.rate_id = 0 if rate is None else rate.id
        self.is_usable = rate is not None or price.currency is Currency.POINTS
        scale = MICROS if rate is None else rate.micros_per_usd  # to 10⁻¹² micro-points
        fresh = price.input_picos
        read = fresh if price.cache_read_picos is None else price.cache_read_picos
        written = fresh if price.cache_write_picos is None else price.cache_write_picos
        self._input = fresh * scale
        self._read_more = (read - fresh) * scale  # than as input, of which it is a part
        self._write_more = (written - fresh) * scale
        self._output = price.output_picos * scale
        self._request = price.request_picos * scale
        self._dearest = max(fresh, read, written) * scale
        self.is_free = not (self._dearest or self._output or self._request)

    def __repr__(self) -> str:
        return f"<Tariff {self.price.model} price={self.price_id} rate={self.rate_id}>"

    def at_most(self, input_tokens: int, output_tokens: int) -> int:
        """What a request may cost, as far as its counts are right; 0 only of what costs nothing."""
        if self.is_free:
            return 0
        total = input_tokens * self._dearest + output_tokens * self._output + self._request
        return -(-total // PICOS) or 1

    def cost(self, counts: Mapping[str, int]) -> tuple[int, int]:
        """Micro-points in all, and those of them that output cost; both are counted, or nothing."""
        if not counts:  # a call that nobody meters
            return -(-self._request // PICOS), 0
        output = counts[OUTPUT_TOKENS] * self._output
        total = counts[INPUT_TOKENS] * self._input + output + self._request
        if CACHE_READ_TOKENS in counts or CACHE_WRITE_TOKENS in counts:
            read, written = cached(counts)
            total += read * self._read_more + written * self._write_more
        micros, of_output = -(-total // PICOS), output // PICOS
        return micros, of_output if of_output < micros else micros
