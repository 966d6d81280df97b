"""A worker's side of a lease is plain arithmetic that agrees with the store's at every moment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.leases import Holding, chunk, positive_part_change

amounts = st.integers(min_value=0, max_value=1000)
steps = st.lists(
    st.tuples(st.sampled_from(["grant", "reserve", "settle", "give back", "hear"]), amounts),
    max_size=60,
)


@given(steps)
def test_what_is_available_is_what_is_outstanding_less_what_is_reserved(
    history: list[tuple[str, int]],
) -> None:
    """The store computes `outstanding` from totals alone; both sides must mean the same units."""
    holding = Holding(1, 1)
    running: list[int] = []
    granted = 0
    for action, amount in history:
        if action == "grant":
            granted += amount
        elif action == "hear":
            holding.learn_granted(granted)
        elif action == "reserve" and holding.available > 0:
            running.append(min(amount, holding.available))
            holding.reserve(running[-1])
        elif action == "settle" and running:
            holding.settle(running.pop(), amount)
        elif action == "give back":
            assert holding.give_back() == holding.returned
            assert holding.available <= 0
        outstanding = holding.granted - holding.returned - holding.spent
        assert holding.available == outstanding - holding.reserved
        assert holding.reserved == sum(running)
        assert holding.granted <= granted


@given(amounts)
def test_hearing_of_a_grant_twice_changes_nothing(granted: int) -> None:
    """Answers are repeated after a reconnect."""
    holding = Holding(1, 1)
    holding.learn_granted(granted)
    holding.learn_granted(granted)
    assert holding.available == granted


def test_a_holding_refuses_what_would_break_its_sums() -> None:
    """These are bugs of the caller, not conditions to survive."""
    holding = Holding(1, 1)
    holding.learn_granted(2)
    with pytest.raises(AssertionError):
        holding.reserve(3)
    with pytest.raises(AssertionError):
        holding.learn_granted(1)
    with pytest.raises(AssertionError):
        holding.settle(1, 1)


def test_an_overrun_becomes_a_debt_that_is_never_given_back() -> None:
    """Returning a negative number would take units from others."""
    holding = Holding(1, 1)
    holding.learn_granted(10)
    holding.reserve(10)
    holding.settle(10, 15)
    assert holding.available == -5
    assert holding.give_back() == 0
    assert "available=-5" in repr(holding)


@given(amounts, amounts, st.integers(min_value=0, max_value=50))
def test_a_chunk_covers_the_need_when_it_can_and_never_exceeds_what_remains(
    need: int, remaining: int, holders: int
) -> None:
    """Too small a chunk falsely refuses, too large a one over-admits."""
    granted = chunk(need, remaining, holders)
    assert min(need, remaining) <= granted <= remaining


@given(st.lists(st.integers(min_value=-100, max_value=100), max_size=30))
def test_changes_of_a_lease_add_up_to_its_positive_part(changes: list[int]) -> None:
    """A counter's `leased` is kept by changes alone and must not drift from the sum."""
    outstanding = leased = 0
    for change in changes:
        leased += positive_part_change(outstanding, change)
        outstanding += change
        assert leased == max(0, outstanding)
