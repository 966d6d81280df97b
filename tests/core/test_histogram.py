"""Durations in steps: percentiles that can be trusted to within their step."""

from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.histogram import BOUNDS_MS, BUCKETS, percentile, step_of


def counted(durations: list[int]) -> list[int]:
    counts = [0] * BUCKETS
    for duration_ms in durations:
        counts[step_of(duration_ms)] += 1
    return counts


def test_a_duration_at_a_bound_belongs_to_the_step_below() -> None:
    """Sums of several versions must agree on where a duration is counted."""
    assert [step_of(0), step_of(1), step_of(2), step_of(10), step_of(11)] == [0, 0, 2, 4, 5]
    assert step_of(10**9) == BUCKETS - 1


def test_nothing_counted_has_no_percentile() -> None:
    """0 ms would read as very fast."""
    assert percentile([0] * BUCKETS, 0.5) is None


@given(
    st.lists(st.integers(0, 500_000), min_size=1, max_size=50),
    st.sampled_from([0.01, 0.5, 0.95, 1.0]),
)
def test_a_percentile_lies_in_the_step_of_the_exact_one(durations: list[int], share: float) -> None:
    """Whoever reads p95 must be no further off than a step is wide."""
    ordered = sorted(durations)
    rank = next(n for n in range(len(ordered)) if n + 1 >= share * len(ordered))
    step = step_of(ordered[rank])
    low = BOUNDS_MS[step - 1] if step else 0.0
    found = percentile(counted(durations), share)
    assert found is not None
    assert round(low) <= found <= round(BOUNDS_MS[step])


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=30))
def test_higher_shares_take_no_less_time(durations: list[int]) -> None:
    """A p99 below the p50 would make every chart suspect."""
    found = [percentile(counted(durations), share) or 0 for share in (0.5, 0.9, 0.95, 0.99)]
    assert found == sorted(found)
