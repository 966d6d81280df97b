"""Leases: how many workers on many nodes share one counter without asking for each request.

The store's counter knows `spent` and `leased`. A worker *leases* units of it, spends them in memory
and gives back what it does not need. Both sides keep cumulative totals and exchange those, so that
a message lost or repeated changes nothing:

    outstanding = granted - returned - spent        what a lease still holds of the counter
    counter.leased = sum of max(0, outstanding)     a request that overran its reservation makes
                                                    `outstanding` negative: a debt of the lease

The worker reserves before it forwards and settles after; `available` is its share of `outstanding`
that no running request holds, so at every moment available = outstanding - reserved.
"""

import msgspec

CHUNK_DIVISOR = 4


def chunk(need: int, remaining: int, holders: int) -> int:
    """How much to grant: never more than remains, never so much that other holders starve."""
    return min(remaining, max(need, remaining // (CHUNK_DIVISOR * max(1, holders))))


def positive_part_change(outstanding: int, change: int) -> int:
    """What a change of one lease's outstanding units does to its counter's `leased`."""
    return max(0, outstanding + change) - max(0, outstanding)


class Shortage(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Why a lease was not given all that it asked for."""

    is_final: bool  # nothing is leased elsewhere: no unit can come back before the window ends


class Holding:
    """A worker's side of one lease: pure arithmetic, no messages."""

    __slots__ = ("available", "generation", "granted", "lease_id", "reserved", "returned", "spent")

    def __init__(self, lease_id: int, generation: int) -> None:
        self.lease_id = lease_id
        self.generation = generation
        self.granted = 0
        self.returned = 0
        self.spent = 0
        self.reserved = 0
        self.available = 0

    def __repr__(self) -> str:
        return (
            f"<Holding {self.lease_id} available={self.available} reserved={self.reserved} "
            f"granted={self.granted} returned={self.returned} spent={self.spent}>"
        )

    def learn_granted(self, granted: int) -> None:
        """The clerk's cumulative total; hearing of it twice changes nothing."""
        assert granted >= self.granted, "a grant is never taken back"
        self.available += granted - self.granted
        self.granted = granted

    def reserve(self, amount: int) -> None:
        assert 0 <= amount <= self.available, "checked before it is deducted"
        self.available -= amount
        self.reserved += amount

    def settle(self, reserved: int, spent: int) -> None:
        """A request ended: what it did not spend is free again, an overrun becomes debt."""
        self.reserved -= reserved
        self.available += reserved - spent
        self.spent += spent
        assert self.reserved >= 0, "settled more than was reserved"

    def give_back(self) -> int:
        """Return everything that no running request holds; the new cumulative total."""
        if self.available > 0:
            self.returned += self.available
            self.available = 0
        return self.returned
