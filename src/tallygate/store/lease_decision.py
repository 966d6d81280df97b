"""What to do with one ask for units, decided from locked rows: nothing here touches the store.

A wallet is leased like a counter whose amount is the money that nobody holds: `spent` is always 0,
since what is spent has left the balance. It differs in what it grants (see `_wallet_grant`).
"""

from dataclasses import dataclass
from typing import Final

from tallygate.core.leases import chunk, positive_part_change
from tallygate.core.ports import Ask

# Where less than this many times the need is free, a wallet grants the need and no more: a chunk
# of a small wallet would be missing elsewhere, and be recalled as soon as it was granted.
SMALL_WALLET_NEEDS: Final = 50


@dataclass(frozen=True, slots=True)
class Source:
    """What is leased of: a counter, or a wallet."""

    generation: int
    spent: int
    leased: int
    amount: int | None  # None also for a deleted limit: it refuses nobody any more
    balance: int | None = None  # of a wallet, what is leased of it included; None: a counter


@dataclass(frozen=True, slots=True)
class Row:
    id: int
    boot_id: int
    generation: int
    granted: int
    returned: int
    spent: int
    journaled: int
    is_closing: bool

    @property
    def outstanding(self) -> int:
        return self.granted - self.returned - self.spent

    @property
    def is_untouched(self) -> bool:
        """As it was opened: the worker may never have heard of it."""
        return not (self.returned or self.spent or self.journaled or self.is_closing)


@dataclass(frozen=True, slots=True)
class Decision:
    row: Row | None  # the lease it is about; None: a new one if something is granted
    abandoned: int  # an open lease that its worker has forgotten, 0: none
    returned: int  # more than before
    grant: int  # below 0: taken back from a closing lease that never saw it
    change: int  # of what is leased of the source
    shortage: int
    leased_elsewhere: int
    rest: int = 0  # too little for anybody, kept for a last request

    @property
    def outstanding(self) -> int:
        """Of the lease, once this is done."""
        before = self.row.outstanding if self.row is not None else 0
        return before + self.grant - self.returned


def decide(
    found: Source, rows: list[Row], boot_id: int, ask: Ask, *, is_last: bool = False
) -> Decision:
    """`is_last`: units leased elsewhere have been asked back, and no more will come."""
    current = [row for row in rows if row.generation == found.generation]
    row, abandoned = _lease_of(current, boot_id, ask)
    is_known = row is not None and row.id == ask.lease_id
    more = max(0, ask.returned - row.returned) if row and is_known else 0
    unseen = row.granted - (ask.granted if is_known else 0) if row else 0
    need = 0 if ask.is_closing else max(0, ask.need - max(0, unseen))
    if unseen > 0 and (ask.least or found.balance is not None):
        need = 0  # who waits may fit in what was granted already, and asks again if not
    outstanding = row.outstanding if row else 0
    elsewhere = sum(
        max(0, other.outstanding)
        for other in current
        if not other.is_closing and other != row and other.boot_id != boot_id
    )
    # A closing worker will never hear of what it has not seen: that comes back too.
    grant = -max(0, unseen) if ask.is_closing else 0
    change = positive_part_change(outstanding, grant - more)
    shortage = rest = 0
    if need:
        others = sum(1 for other in current if not other.is_closing and other != row)
        used = found.spent + found.leased + change
        remaining = need if found.amount is None else max(0, found.amount - used)
        paid = min(need, max(0, more - outstanding))  # a debt's units are paid for already
        holders, least = others + 1, min(ask.least or need, need)
        if found.balance is not None:
            grant = _wallet_grant(need, least, paid, remaining, holders)
            shortage = 0 if grant else need
        elif ask.least and paid + remaining < least:
            # Only one may be the last, and has all that is left: two parts would let through two.
            rest = 0 if is_last or not elsewhere else remaining
            grant = paid + remaining - rest
            shortage = need - grant
        else:
            grant = paid + (chunk(need - paid, remaining, holders) if need > paid else 0)
            # Of what can be divided, who still waits asks for the rest.
            shortage = 0 if ask.least else max(0, need - grant)
        change = positive_part_change(outstanding, grant - more)
    return Decision(row, abandoned, more, grant, change, shortage, elsewhere, rest)


def _wallet_grant(need: int, least: int, paid: int, remaining: int, holders: int) -> int:
    """All that is needed, or what is left if it serves anybody (`least`), or nothing.

    Money that serves nobody would lie with a worker that refuses, out of reach of one that need
    not; so a grant that falls short is no shortage either: who still waits asks for the rest.
    """
    if paid + remaining < least:
        return 0
    unpaid = need - paid
    if not unpaid or remaining < unpaid * SMALL_WALLET_NEEDS:
        return paid + min(unpaid, remaining)
    return paid + chunk(unpaid, remaining, holders)


def _lease_of(current: list[Row], boot_id: int, ask: Ask) -> tuple[Row | None, int]:
    """The lease an ask is about, and the one its worker must have forgotten (0: none)."""
    mine = [row for row in current if row.boot_id == boot_id]
    if ask.lease_id or ask.is_closing:
        row = next((row for row in mine if row.id == ask.lease_id), None)
        if row is not None and (ask.is_closing or not row.is_closing):
            return row, 0
        if ask.is_closing:
            return None, 0
    row = next((row for row in mine if not row.is_closing), None)
    if row is None or row.is_untouched:
        return row, 0
    return None, row.id
