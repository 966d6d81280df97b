"""A wallet keeps its promises whatever is done to it, in whatever order."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from tallygate.core.wallet import EntryKind, Lot, Wallet

TAKES = {EntryKind.CHARGE, EntryKind.OVERAGE, EntryKind.EXPIRY}
GIVES = {EntryKind.TOP_UP, EntryKind.GRANT, EntryKind.REFUND}
MOVES_HELD = {EntryKind.HOLD: 1, EntryKind.RELEASE: -1}

small = st.integers(1, 60)


def new_wallet(balance: int = 0, **changes: int) -> Wallet:
    opened = {"held_micros": 0, "leased_micros": 0, "floor_micros": 0} | changes
    wallet = Wallet(id=1, tenant_id=1, account_id="a", balance_micros=0, **opened)
    if balance:
        wallet.credit(EntryKind.TOP_UP, balance, 0)
    return wallet


def granted(wallet: Wallet) -> int:
    return sum(lot.left_micros for lot in wallet.lots)


class Life(RuleBasedStateMachine):
    """Everything that may happen to a wallet, and what must hold after each of it."""

    def __init__(self) -> None:
        super().__init__()
        self.wallet = new_wallet()
        self.now_ms = 0
        self.holds: dict[int, int] = {}
        self.number = 0
        self.charged: dict[int, int] = {}
        self.given: dict[int, int] = {}  # grants as they were made

    def next_id(self) -> int:
        self.number += 1
        return self.number

    @rule(micros=small)
    def top_up(self, micros: int) -> None:
        self.wallet.credit(EntryKind.TOP_UP, micros, self.now_ms)

    @rule(micros=st.integers(-80, 80))
    def adjust(self, micros: int) -> None:
        self.wallet.credit(EntryKind.ADJUST, micros, self.now_ms)

    @rule(micros=small, priority=st.integers(0, 2), lasts=st.none() | st.integers(0, 30))
    def grant(self, micros: int, priority: int, lasts: int | None) -> None:
        expires_ms = None if lasts is None else self.now_ms + lasts
        lot = Lot(self.next_id(), priority, expires_ms, micros)
        self.given[lot.grant_id] = micros
        self.wallet.grant(lot, self.now_ms)

    @rule(micros=st.integers(0, 90))
    def charge(self, micros: int) -> None:
        charge_id = self.next_id()
        self.charged[charge_id] = micros
        self.wallet.charge(micros, self.now_ms, charge_id)

    @precondition(lambda self: self.charged)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        charge_id = data.draw(st.sampled_from(sorted(self.charged)))
        micros = data.draw(st.integers(0, self.charged[charge_id]))
        self.charged[charge_id] -= micros
        self.wallet.credit(EntryKind.REFUND, micros, self.now_ms, charge_id=charge_id)

    @precondition(lambda self: self.wallet.free_micros > 0)
    @rule(data=st.data())
    def hold(self, data: st.DataObject) -> None:
        micros = data.draw(st.integers(1, self.wallet.free_micros))
        hold_id = self.next_id()
        self.holds[hold_id] = micros
        self.wallet.hold(micros, self.now_ms, hold_id)

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), lapses=st.booleans())
    def let_go(self, data: st.DataObject, lapses: bool) -> None:
        hold_id = data.draw(st.sampled_from(sorted(self.holds)))
        end: Callable[..., None] = self.wallet.lapse if lapses else self.wallet.release
        end(self.holds.pop(hold_id), self.now_ms, hold_id)

    @rule(passed=st.integers(1, 40))
    def expire(self, passed: int) -> None:
        self.now_ms += passed
        self.wallet.expire(self.now_ms)

    @rule()
    def written(self) -> None:
        """What the store would do; the entries so far are kept in the book below."""
        self.wallet.lots = [lot for lot in self.wallet.lots if lot.left_micros]

    @invariant()
    def entries_add_up(self) -> None:
        entries = self.wallet.entries
        assert sum(entry.amount_micros for entry in entries) == self.wallet.balance_micros
        assert sum(entry.held_micros for entry in entries) == self.wallet.held_micros
        balance = 0
        for entry in entries:
            balance += entry.amount_micros
            assert entry.balance_micros == balance

    @invariant()
    def held_is_the_sum_of_the_holds(self) -> None:
        assert self.wallet.held_micros == sum(self.holds.values())

    @invariant()
    def grants_never_exceed_the_balance(self) -> None:
        assert granted(self.wallet) <= max(0, self.wallet.balance_micros)
        for lot in self.wallet.lots:
            assert 0 <= lot.left_micros <= self.given[lot.grant_id]
        assert sum(self.given.values()) - granted(self.wallet) >= 0
        assert granted(self.wallet) == -self.wallet.drawn_micros

    @invariant()
    def only_overage_makes_a_balance_negative(self) -> None:
        for entry in self.wallet.entries:
            if entry.amount_micros < 0 and entry.balance_micros < 0:
                assert entry.kind is EntryKind.OVERAGE

    @invariant()
    def every_kind_moves_what_it_may(self) -> None:
        for entry in self.wallet.entries:
            if entry.kind in TAKES:
                assert entry.amount_micros <= 0
            if entry.kind in GIVES:
                assert entry.amount_micros >= 0
            sign = MOVES_HELD.get(entry.kind)
            assert entry.held_micros == 0 if sign is None else entry.held_micros * sign > 0
            assert sign is None or entry.amount_micros == 0

    @invariant()
    def a_charge_is_the_sum_of_its_entries(self) -> None:
        found = dict.fromkeys(self.charged, 0)
        for entry in self.wallet.entries:
            if entry.charge_id is not None:
                found[entry.charge_id] -= entry.amount_micros
        assert found == self.charged

    @invariant()
    def nothing_ended_is_left_while_it_is_free(self) -> None:
        ended = [lot for lot in self.wallet.lots if (lot.expires_ms or math.inf) < self.now_ms]
        if any(lot.left_micros for lot in ended):
            self.wallet.expire(self.now_ms)
            assert self.wallet.free_micros <= 0 or not any(lot.left_micros for lot in ended)


test_a_wallet_keeps_its_promises_whatever_happens = Life.TestCase


@given(
    lots=st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(1, 9), small), max_size=6),
    other=st.integers(0, 50),
    micros=st.integers(0, 400),
)
def test_grants_are_spent_by_priority_then_by_their_end_then_by_age(
    lots: list[tuple[int, int | None, int]], other: int, micros: int
) -> None:
    """What would be lost first is spent first, and an operator's priority goes before that."""
    wallet = new_wallet(other)
    for number, (priority, expires_ms, amount) in enumerate(lots, 1):
        wallet.grant(Lot(number, priority, expires_ms, amount), 0)
    wallet.charge(micros, 0, 1)
    due = micros
    by_rank = sorted(range(len(lots)), key=lambda at: (lots[at][0], lots[at][1] or math.inf, at))
    for at in by_rank:
        spent = min(due, lots[at][2])
        due -= spent
        assert wallet.lots[at].left_micros == lots[at][2] - spent


def test_a_debt_takes_its_part_of_a_grant_at_once() -> None:
    """Otherwise the grant's end would take money back that the debt has eaten already."""
    wallet = new_wallet()
    wallet.charge(70, 0, 1)
    wallet.grant(Lot(1, 0, 10, 100), 0)
    assert (wallet.balance_micros, wallet.lots[0].left_micros) == (30, 30)
    wallet.expire(10)
    assert wallet.balance_micros == 0


def test_what_is_taken_beyond_the_balance_is_an_entry_of_its_own() -> None:
    """An operator's forced correction is no quieter way into debt than a charge is."""
    for take in (
        lambda one: one.charge(50, 0, 7),
        lambda one: one.credit(EntryKind.ADJUST, -50, 0, charge_id=7),
    ):
        wallet = new_wallet(20)
        take(wallet)
        taken = [(one.kind.value, one.amount_micros, one.charge_id) for one in wallet.entries[1:]]
        assert [one[1:] for one in taken] == [(-20, 7), (-30, 7)]
        assert taken[1][0] == "overage"


def test_a_charge_of_nothing_is_still_an_entry() -> None:
    wallet = new_wallet()
    wallet.charge(0, 0, 1)
    assert [(one.kind, one.amount_micros) for one in wallet.entries] == [(EntryKind.CHARGE, 0)]


def test_an_ended_grant_leaves_alone_what_is_held_or_leased() -> None:
    """Money that a running call was promised is not taken from under it."""
    wallet = new_wallet(leased_micros=30)
    wallet.grant(Lot(1, 0, 10, 100), 0)
    wallet.hold(50, 0, 1)
    wallet.expire(10)
    assert (wallet.balance_micros, wallet.lots[0].left_micros) == (80, 80)
    wallet.lapse(50, 11, 1)
    wallet.expire(11)
    assert (wallet.balance_micros, wallet.free_micros) == (30, 0)
    assert wallet.lapsed_holds == [1]


def test_more_than_is_held_is_never_released() -> None:
    wallet = new_wallet(10)
    wallet.hold(5, 0, 1)
    with pytest.raises(AssertionError):
        wallet.release(6, 0, 1)
