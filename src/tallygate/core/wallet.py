"""A wallet in memory: every change of it makes the ledger entries that say so.

A store locks the row, hands it out as a `Wallet`, and writes back the balance and the entries in
the same transaction, so the balance is at all times the sum of the entries. What gateways have
leased is no entry: it is not spent yet, but nobody else may spend it. Whatever is taken beyond the
balance is an `overage`, so that nothing else ever makes a balance negative.
"""

import enum
from dataclasses import dataclass, field

import msgspec


class EntryKind(enum.StrEnum):
    """What an entry is for."""

    TOP_UP = "top_up"
    GRANT = "grant"
    EXPIRY = "expiry"  # what was left of a grant when it ended
    CHARGE = "charge"
    OVERAGE = "overage"  # the part of what was taken that there was no money for
    REFUND = "refund"
    ADJUST = "adjust"
    HOLD = "hold"
    RELEASE = "release"


class Entry(msgspec.Struct, gc=False):
    """One line of the ledger. `amount_micros` is what it does to the balance."""

    kind: EntryKind
    amount_micros: int
    held_micros: int
    balance_micros: int
    at_ms: int
    reason: str = ""
    actor: str = ""
    charge_id: int | None = None
    grant_id: int | None = None
    hold_id: int | None = None


@dataclass(slots=True)
class Lot:
    """What is left of one grant."""

    grant_id: int
    priority: int
    expires_ms: int | None
    left_micros: int
    is_changed: bool = False


@dataclass(slots=True)
class Wallet:
    """One wallet, locked. `lots` hold what is left of its grants, expired ones included."""

    id: int
    tenant_id: int
    account_id: str
    balance_micros: int
    held_micros: int
    leased_micros: int
    floor_micros: int
    lots: list[Lot] = field(default_factory=list)
    drawn_micros: int = 0  # of grants, since it was read
    entries: list[Entry] = field(default_factory=list)
    lapsed_holds: list[int] = field(default_factory=list)  # released since it was read

    @property
    def free_micros(self) -> int:
        """What nobody holds and no gateway has leased."""
        return self.balance_micros - self.held_micros - self.leased_micros

    def written(self) -> None:
        """The store has it: changes count from here."""
        self.entries = []
        self.lapsed_holds = []
        self.drawn_micros = 0
        for lot in self.lots:
            lot.is_changed = False

    def can_pay(self, micros: int, *, down_to_micros: int = 0) -> bool:
        return self.free_micros - micros >= down_to_micros

    def credit(
        self,
        kind: EntryKind,
        micros: int,
        at_ms: int,
        *,
        reason: str = "",
        actor: str = "",
        **ids: int,
    ) -> None:
        """Top-up, refund, or an adjustment in either direction."""
        if micros < 0:
            self._take(kind, -micros, at_ms, reason, actor, **ids)
        else:
            self._enter(kind, micros, 0, at_ms, reason, actor, **ids)

    def grant(self, lot: Lot, at_ms: int, *, reason: str = "", actor: str = "") -> None:
        """Money with a priority and perhaps an end. A debt takes its part of it at once."""
        assert lot.left_micros > 0, "a grant gives"
        self.lots.append(lot)
        lot.is_changed = True
        self.drawn_micros -= lot.left_micros
        ids = {"grant_id": lot.grant_id}
        self._enter(EntryKind.GRANT, lot.left_micros, 0, at_ms, reason, actor, **ids)
        self._cut_grants()

    def charge(
        self, micros: int, at_ms: int, charge_id: int, *, reason: str = "", actor: str = ""
    ) -> None:
        """Take what was used. What there is no money for becomes an entry of its own."""
        assert micros >= 0, "a charge takes"
        if self.lots:
            self._draw(min(micros, max(0, self.balance_micros)))
        self._take(EntryKind.CHARGE, micros, at_ms, reason, actor, charge_id=charge_id)

    def hold(
        self, micros: int, at_ms: int, hold_id: int, *, reason: str = "", actor: str = ""
    ) -> None:
        self._enter(EntryKind.HOLD, 0, micros, at_ms, reason, actor, hold_id=hold_id)

    def release(
        self, micros: int, at_ms: int, hold_id: int, *, reason: str = "", actor: str = ""
    ) -> None:
        assert micros <= self.held_micros, "only what is held is released"
        self._enter(EntryKind.RELEASE, 0, -micros, at_ms, reason, actor, hold_id=hold_id)

    def lapse(self, micros: int, now_ms: int, hold_id: int) -> None:
        """Nobody captured or released this hold in time."""
        self.release(micros, now_ms, hold_id, reason="expired")
        self.lapsed_holds.append(hold_id)

    def expire(self, now_ms: int, *, reason: str = "", actor: str = "") -> None:
        """Take back what is left of grants that have ended, as far as nobody holds it just now."""
        for lot in self.lots:
            if lot.expires_ms is None or lot.expires_ms > now_ms or not lot.left_micros:
                continue
            ending = min(lot.left_micros, max(0, self.free_micros))
            if ending:
                self._take_from(lot, ending)
                ids = {"grant_id": lot.grant_id}
                self._enter(EntryKind.EXPIRY, -ending, 0, now_ms, reason, actor, **ids)

    def _take(
        self, kind: EntryKind, micros: int, at_ms: int, reason: str, actor: str, **ids: int
    ) -> None:
        covered = micros
        if micros > self.balance_micros:
            covered = max(0, self.balance_micros)
        if covered or not micros:
            self._enter(kind, -covered, 0, at_ms, reason, actor, **ids)
        if micros > covered:
            self._enter(EntryKind.OVERAGE, covered - micros, 0, at_ms, reason, actor, **ids)
        if self.lots:
            self._cut_grants()

    def _cut_grants(self) -> None:
        """Grants are never worth more than there is."""
        granted = sum(lot.left_micros for lot in self.lots)
        self._draw(granted - max(0, self.balance_micros))

    def _draw(self, micros: int) -> None:
        """Spend grants before other money: by priority, then the one that ends first."""
        for lot in sorted(self.lots, key=_spent_first):
            if micros <= 0:
                return
            if lot.left_micros:
                drawn = min(micros, lot.left_micros)
                self._take_from(lot, drawn)
                micros -= drawn

    def _take_from(self, lot: Lot, micros: int) -> None:
        lot.left_micros -= micros
        lot.is_changed = True
        self.drawn_micros += micros

    def _enter(
        self,
        kind: EntryKind,
        amount_micros: int,
        held_micros: int,
        at_ms: int,
        reason: str = "",
        actor: str = "",
        **ids: int,
    ) -> None:
        self.balance_micros += amount_micros
        self.held_micros += held_micros
        self.entries.append(
            Entry(
                kind, amount_micros, held_micros, self.balance_micros, at_ms, reason, actor, **ids
            )
        )


def _spent_first(lot: Lot) -> tuple[int, int, int]:
    return lot.priority, lot.expires_ms or 1 << 62, lot.grant_id
