"""One counter's units at this worker, and the limit they are taken for.

A wallet is one more counter, in micro-points: its limit id is minus the wallet's id.
"""

from collections import deque
from typing import Final, Protocol

from tallygate.core.leases import Holding
from tallygate.core.limits import Dimension, Limit
from tallygate.core.ports import Ask
from tallygate.core.windows import Span

UNLEASED = 0
REQUESTS: Final = 0  # what an allowance counts; the place of that in a request's needs
TOKENS: Final = 1
MICROS: Final = 2  # of a wallet
POINTS: Final = 3  # of a limit in points; micro-points too
_KINDS: Final = {
    Dimension.REQUESTS: REQUESTS,
    Dimension.TOKENS: TOKENS,
    Dimension.POINTS: POINTS,
}


class Parked(Protocol):
    """A request that waits for units."""

    def units_answered(self, concluded: "Lease | None") -> None:
        """Try again. What is still short of `concluded` stays so: the clerk has said it."""

    def store_gone(self) -> None:
        """The clerk cannot ask the store."""


class Lease(Holding):
    """One counter's units at this worker, in one window."""

    __slots__ = (
        "amount",
        "asked",
        "end_ms",
        "is_asking",
        "is_closing",
        "is_divisible",
        "is_final",
        "last_used_ms",
        "least",
        "limit_id",
        "need",
        "slab_index",
        "told",
        "used",
        "waiting",
        "window_s",
    )

    def __init__(
        self,
        limit_id: int,
        amount: int | None,
        window_s: int,
        end_ms: int,
        *,
        is_divisible: bool = False,
    ) -> None:
        super().__init__(UNLEASED, 0)
        self.limit_id = limit_id
        self.is_divisible = is_divisible  # needs differ: tokens, points, a wallet's money
        self.amount = amount
        self.window_s = window_s
        self.end_ms = end_ms
        self.slab_index = 0
        self.need = 0
        self.least = 0  # the smallest single need of which `need` is the sum
        self.used = 0  # of the whole counter, as of the last answer; of a wallet see ports.Answer
        self.is_asking = False
        self.is_closing = False
        self.is_final = False
        self.told = 0  # what it had returned when the clerk was asked last
        self.last_used_ms = 0
        self.waiting: deque[Parked] = deque()  # not yet asked for
        self.asked: deque[Parked] = deque()  # the clerk is being asked

    @classmethod
    def like(cls, other: "Lease") -> "Lease":
        """Of the same counter, with nothing leased yet."""
        place = (other.limit_id, other.amount, other.window_s, other.end_ms)
        return cls(*place, is_divisible=other.is_divisible)

    @property
    def has_returned_since(self) -> bool:
        """Units were given back that the clerk's answer knows nothing of: it decides nothing."""
        return self.returned != self.told

    @property
    def is_wallet(self) -> bool:
        return self.limit_id < 0

    def balance_micros(self) -> int:
        """Of a wallet, as far as this worker knows; exact when it is alone."""
        return self.available + self.reserved - self.used

    def ask(self) -> Ask:
        """Its state for the clerk, and what those who wait need beyond it; a debt is paid first.

        Whoever is short of what can be divided gives back what it has, and asks for all that it
        needs: two workers that kept a half each would both refuse what one of them could serve, or
        both take their half for the last of the limit.
        """
        if self.is_divisible and self.need:
            self.give_back()
        self.told = self.returned
        return Ask(
            self.limit_id,
            self.window_s,
            self.lease_id,
            max(0, self.need - self.available) if self.need else 0,
            self.granted,
            self.returned,
            self.is_closing,
            max(0, self.least - self.available) if self.is_divisible and self.need else 0,
        )

    def everyone(self) -> list[Parked]:
        """Whoever waits for it, in order; nobody does any more."""
        everyone = [*self.asked, *self.waiting]
        self.asked, self.waiting = deque(), deque()
        self.need = self.least = 0
        return everyone


class Allowance:
    """One limit as this worker applies it: its current window's lease, and the next one's."""

    __slots__ = ("end_ms", "kind", "lease", "limit", "next_lease", "window_s")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.kind = kind_of(limit)
        self.window_s = 0
        self.end_ms = 0
        self.lease: Lease | None = None  # None: unlimited, only tallied
        self.next_lease: Lease | None = None


# What a request holds of one lease (or, unlimited, only tallies): with the window, and how much.
# A plain tuple: there are three of them in each request.
Taken = tuple[Allowance, Lease | None, int, int]


def is_divisible(limit: Limit) -> bool:
    """Whether a request may need more of it than one."""
    return kind_of(limit) != REQUESTS


def kind_of(limit: Limit) -> int:
    """What is taken of it."""
    if limit.id < 0:
        return MICROS
    return _KINDS[limit.dimension]


def wallet_limit(wallet_id: int) -> Limit:
    """A wallet as a limit: how much there is, only the store knows."""
    return Limit(-wallet_id, Dimension.POINTS, Span.TOTAL, "UTC", 0)
