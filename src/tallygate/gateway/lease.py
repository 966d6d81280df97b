"""One counter's units at this worker, and the limit they are taken for."""

from collections import deque
from typing import Protocol

from tallygate.core.leases import Holding
from tallygate.core.limits import Limit
from tallygate.core.ports import Ask

UNLEASED = 0


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
        "is_final",
        "last_used_ms",
        "limit_id",
        "need",
        "slab_index",
        "used",
        "waiting",
        "window_s",
    )

    def __init__(self, limit_id: int, amount: int | None, window_s: int, end_ms: int) -> None:
        super().__init__(UNLEASED, 0)
        self.limit_id = limit_id
        self.amount = amount
        self.window_s = window_s
        self.end_ms = end_ms
        self.slab_index = 0
        self.need = 0
        self.used = 0  # of the whole counter, as of the last answer
        self.is_asking = False
        self.is_closing = False
        self.is_final = False
        self.last_used_ms = 0
        self.waiting: deque[Parked] = deque()  # not yet asked for
        self.asked: deque[Parked] = deque()  # the clerk is being asked

    @classmethod
    def like(cls, other: "Lease") -> "Lease":
        """Of the same counter, with nothing leased yet."""
        return cls(other.limit_id, other.amount, other.window_s, other.end_ms)

    def remaining(self) -> int:
        """What is left of the limit as far as this worker knows; exact when it is alone."""
        amount = self.amount or 0
        left = amount - self.used + self.available
        return 0 if left < 0 else min(left, amount)

    def ask(self) -> Ask:
        """Its state for the clerk, and what those who wait need beyond it; a debt is paid first."""
        return Ask(
            self.limit_id,
            self.window_s,
            self.lease_id,
            max(0, self.need - self.available) if self.need else 0,
            self.granted,
            self.returned,
            self.is_closing,
        )

    def everyone(self) -> list[Parked]:
        """Whoever waits for it, in order; nobody does any more."""
        everyone = [*self.asked, *self.waiting]
        self.asked, self.waiting = deque(), deque()
        self.need = 0
        return everyone


class Allowance:
    """One limit as this worker applies it: its current window's lease, and the next one's."""

    __slots__ = ("end_ms", "is_tokens", "lease", "limit", "next_lease", "window_s")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.is_tokens = limit.dimension == "tokens"
        self.window_s = 0
        self.end_ms = 0
        self.lease: Lease | None = None  # None: unlimited, only tallied
        self.next_lease: Lease | None = None
