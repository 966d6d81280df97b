"""How much a use will probably cost, by the price of now and by what somebody used before."""

from collections.abc import Sequence
from typing import Final

import msgspec

TOKENS_MAX: Final = 10_000_000  # more in one event is refused when it comes to charging, too


class Use(msgspec.Struct, frozen=True):
    """A use of the same model that was paid for."""

    input_tokens: int
    output_tokens: int
    micros: int


def percentile(values: Sequence[int], percent: int) -> int | None:
    """The nearest rank: a value that was really there. None of nothing."""
    if not values:
        return None
    rank = -(-len(values) * percent // 100)
    return sorted(values)[max(rank, 1) - 1]


def usual_tokens(uses: Sequence[Use]) -> tuple[int, int] | None:
    """Tokens in and out of a use in the middle, for whoever names none."""
    tokens_in = percentile([use.input_tokens for use in uses], 50)
    tokens_out = percentile([use.output_tokens for use in uses], 50)
    return None if tokens_in is None or tokens_out is None else (tokens_in, tokens_out)
