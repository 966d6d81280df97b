"""The rules of the ledger, checked row by row: what is not so is named.

Rows come in the order of their ids, in any portions; only a few integers per wallet are kept, so
that a million charges need no more memory than ten.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from tallygate.core.charging import Source, State
from tallygate.core.pricing import Cost
from tallygate.core.replay import Pinned, Unreplayable, Versions, replay
from tallygate.core.wallet import EntryKind

_TAKEN = (State.CHARGED.value, State.REFUNDED.value)
_CHARGE, _OVERAGE = EntryKind.CHARGE.value, EntryKind.OVERAGE.value
_GIVES = {EntryKind.TOP_UP.value, EntryKind.GRANT.value, EntryKind.REFUND.value}
_TAKES = {_CHARGE, _OVERAGE, EntryKind.EXPIRY.value}
_MOVES_HELD = {EntryKind.HOLD.value: 1, EntryKind.RELEASE.value: -1}
_KINDS = {kind.value for kind in EntryKind}

# id, wallet, kind, what it does to the balance and to what is held, the balance after it
EntryRow = tuple[int, int, str, int, int, int]
# of one charge: wallet, what it does to the balance
ChargeEntry = tuple[int, int]


class WalletRow(msgspec.Struct, frozen=True, array_like=True):
    """A wallet as its row says it is."""

    id: int
    account_id: str
    balance_micros: int
    held_micros: int
    leased_micros: int
    granted_micros: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as the rules say."""

    subject: str
    rule: str
    expected: int | str
    found: int | str

    def __str__(self) -> str:
        return f"{self.subject}: {self.rule}: {self.found} instead of {self.expected}"


@dataclass(slots=True)
class _Sums:
    balance: int = 0
    held: int = 0
    running: int = 0  # as the last entry says


@dataclass(slots=True)
class Checker:
    """`report` hears of each difference as it is found."""

    versions: Versions
    report: Callable[[Difference], None]
    holds: Counter[int] = field(default_factory=Counter)  # open ones, by wallet
    grants: Counter[int] = field(default_factory=Counter)  # what is left of them, by wallet
    leases: Counter[int] = field(default_factory=Counter)  # what is out on lease, by wallet
    wallets: int = 0
    entries: int = 0
    charges: int = 0
    differences: int = 0
    _sums: dict[int, _Sums] = field(default_factory=dict)

    def add_entries(self, rows: Iterable[EntryRow]) -> None:
        """In the order of their ids; all of them before the first wallet."""
        sums = self._sums
        for entry_id, wallet_id, kind, amount, held, balance in rows:
            self.entries += 1
            at = sums.get(wallet_id)
            if at is None:
                at = sums[wallet_id] = _Sums()
            at.balance += amount
            at.held += held
            at.running += amount
            if at.running != balance:
                self._differ(f"entry {entry_id}", "balance after it", at.running, balance)
                at.running = balance  # the entry that is wrong is named, not all after it
            if kind != _CHARGE or amount > 0 or held or balance < 0:
                self._look_at(entry_id, kind, amount, held, balance)

    def _look_at(self, entry_id: int, kind: str, amount: int, held: int, balance: int) -> None:
        subject = f"entry {entry_id}"
        if kind not in _KINDS:
            self._differ(subject, "kind", "one that is known", kind)
        if (kind in _GIVES and amount < 0) or (kind in _TAKES and amount > 0):
            self._differ(subject, f"sign of a {kind}", "the other", amount)
        sign = _MOVES_HELD.get(kind)
        if sign is None and held:
            self._differ(subject, f"held by a {kind}", 0, held)
        if sign is not None and (amount or held * sign <= 0):
            self._differ(subject, f"a {kind}", "what is held alone", f"{amount} and {held}")
        if amount < 0 and balance < 0 and kind != _OVERAGE:
            self._differ(subject, "what makes a balance negative", _OVERAGE, kind)

    def add_wallet(self, row: WalletRow) -> None:
        """After all entries, and after `holds`, `grants` and `leases` were counted."""
        self.wallets += 1
        sums = self._sums.pop(row.id, None) or _Sums()
        subject = f"wallet {row.id} ({row.account_id})"
        for rule, expected, found in (
            ("balance, by its entries", sums.balance, row.balance_micros),
            ("held, by its entries", sums.held, row.held_micros),
            ("held, by its holds", self.holds.pop(row.id, 0), row.held_micros),
            ("granted, by its grants", self.grants.pop(row.id, 0), row.granted_micros),
            ("leased, by its leases", self.leases.pop(row.id, 0), row.leased_micros),
        ):
            if expected != found:
                self._differ(subject, rule, expected, found)
        if row.granted_micros > max(0, row.balance_micros):
            limit = f"at most {max(0, row.balance_micros)}"
            self._differ(subject, "granted, by its balance", limit, row.granted_micros)

    def end_wallets(self) -> None:
        """What is left belongs to no wallet."""
        for what, left in (
            ("entries", self._sums),
            ("holds", self.holds),
            ("grants", self.grants),
            ("leases", self.leases),
        ):
            for wallet_id in sorted(left):
                self._differ(f"wallet {wallet_id}", f"a wallet of {what}", "one", "none")

    def add_charge(self, charge: Pinned, entries: Iterable[ChargeEntry]) -> None:
        self.charges += 1
        subject = f"charge {charge.id}"
        taken = 0
        for wallet_id, amount in entries:
            taken -= amount
            if wallet_id != charge.wallet_id:
                self._differ(subject, "wallet of its entries", str(charge.wallet_id), wallet_id)
        is_taken = charge.state in _TAKEN
        due = charge.micros - charge.refunded_micros if is_taken else 0
        if taken != due:
            self._differ(subject, "taken by its entries", due, taken)
        if not 0 <= charge.refunded_micros <= charge.micros:
            limit = f"0 to {charge.micros}"
            self._differ(subject, "refunded", limit, charge.refunded_micros)
        if charge.state == State.REFUNDED.value and charge.refunded_micros != charge.micros:
            self._differ(subject, "refunded in all", charge.micros, charge.refunded_micros)
        self._replay(subject, charge)

    def add_orphans(self, charge_id: int, entries: Iterable[ChargeEntry]) -> None:
        """Entries that name a charge which is not there."""
        for wallet_id, amount in entries:
            self._differ(f"charge {charge_id}", f"taken from wallet {wallet_id}", 0, -amount)

    def _replay(self, subject: str, charge: Pinned) -> None:
        try:
            again = replay(charge, self.versions)
        except Unreplayable as error:
            self._differ(subject, "pinned versions", "all there", str(error))
            return
        if again is None:
            if charge.micros and charge.source != _NAMED and charge.state in _TAKEN:
                self._differ(subject, "pinned versions", "a price", "none")
            return
        if again != Cost(charge.micros, charge.output_micros):
            found = f"{charge.micros} ({charge.output_micros} of it output)"
            expected = f"{again.micros} ({again.output_micros} of it output)"
            self._differ(subject, "cost by its pinned versions", expected, found)

    def _differ(self, subject: str, rule: str, expected: int | str, found: int | str) -> None:
        self.differences += 1
        self.report(Difference(subject=subject, rule=rule, expected=expected, found=found))


_NAMED = Source.HOLD.value  # its amount was named by who captured it
