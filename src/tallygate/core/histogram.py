"""Durations as counts in fixed steps, four to a decade, so that sums of them can be added up.

Step 0 holds what took up to 1 ms, the last one what took more than 10^5.75 ms (nine minutes). A
percentile is read off between the bounds of its step, on the logarithmic scale.
"""

import bisect
from collections.abc import Sequence

BOUNDS_MS = tuple(10 ** (number / 4) for number in range(24))  # the upper ones, each its own
BUCKETS = len(BOUNDS_MS) + 1


def step_of(duration_ms: int) -> int:
    """In which step a duration is counted."""
    return bisect.bisect_left(BOUNDS_MS, duration_ms)


def percentile(counts: Sequence[int], share: float) -> int | None:
    """How many milliseconds that share (0 to 1) of all took at most; None: nothing was counted."""
    total = sum(counts)
    if not total:
        return None
    wanted, before = share * total, 0
    for step, count in enumerate(counts):
        if count and before + count >= wanted:
            return round(_within(step, (wanted - before) / count))
        before += count
    raise AssertionError("a share of all is reached by the last of them")


def _within(step: int, share: float) -> float:
    if step == 0:
        return share
    low = BOUNDS_MS[step - 1]
    high = BOUNDS_MS[step] if step < len(BOUNDS_MS) else low * 10**0.25
    return float(low * (high / low) ** max(0.0, share))
