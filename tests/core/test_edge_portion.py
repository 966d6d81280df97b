"""What goes out first, and what a day's writes are kept for."""

from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.edge_portion import RESERVED, Waiting, choose, room


def one(
    name: str, *, lies: str = "", text: str | None = "{}", urgent: bool = False, off: bool = False
) -> Waiting:
    return Waiting(name, lies, urgent, text, "" if text is None else f"digest {text}", off)


waiting = st.lists(
    st.builds(
        one,
        st.text(max_size=3),
        lies=st.sampled_from(["", "digest {}", "digest old"]),
        text=st.sampled_from(["{}", None]),
        urgent=st.booleans(),
        off=st.booleans(),
    ),
    max_size=40,
)


@given(waiting, st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_no_more_goes_out_than_a_day_may_have_and_nothing_is_lost(
    all_of_them: list[Waiting], per_day: int, writes: int, deletes: int
) -> None:
    space = room(per_day, writes, deletes)
    portion = choose(all_of_them, space)
    if per_day:
        assert len(portion.writes) <= max(0, per_day - writes)
        assert len(portion.deletes) <= max(0, per_day - deletes)
    else:
        assert portion.left == 0 or all(not entry.published for entry in all_of_them)
    gone = len(portion.writes) + len(portion.deletes) + len(portion.done) + portion.left
    assert gone == len(all_of_them)
    plain = [entry for entry in portion.writes if not entry.is_urgent]
    if plain and per_day:
        assert writes + len(portion.writes) <= per_day
        assert writes + len(plain) <= per_day - per_day // RESERVED


def test_what_lies_there_already_costs_nothing() -> None:
    portion = choose([one("a", lies="digest {}"), one("b", text=None)], room(10, 10, 10))
    assert [entry.name for entry in portion.done] == ["a", "b"]


def test_the_last_writes_are_for_what_lies_there() -> None:
    """A script that makes tokens must not keep a stolen one in force."""
    new, changed = one("new"), one("changed", lies="digest old", urgent=True)
    portion = choose([new, changed], room(10, 9, 0))
    assert ([entry.name for entry in portion.writes], portion.left) == (["changed"], 1)


def test_what_is_switched_off_is_taken_away_where_it_cannot_be_written() -> None:
    """But never because of a change that only narrows it: that would break who may go on."""
    off = one("off", lies="digest old", urgent=True, off=True)
    narrowed = one("narrowed", lies="digest old", urgent=True)
    never_there = one("never", urgent=True, off=True)
    portion = choose([off, narrowed, never_there], room(10, 10, 0))
    assert ([entry.name for entry in portion.deletes], portion.left) == (["off"], 2)
