"""A limit: how much of what, in which window, for whom.

The gateway sees the limits of a key, of its user and of its team as one flat tuple; whoever owns
them, each has one counter per window.
"""

import enum

import msgspec

from tallygate.core.windows import Span

AMOUNT_MAX = 2**53 - 1  # the largest integer that every JSON reader keeps exactly


class Dimension(enum.StrEnum):
    """What a limit counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    POINTS = "points"


class Limit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`amount` None counts without ever refusing."""

    id: int
    dimension: Dimension
    span: Span
    zone: str
    amount: int | None
