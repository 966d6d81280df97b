"""Rows of usage, grouped by the store, become sums by hour and by day. Pure: it reads no clock.

The store groups by quarters of an hour, for every zone is a whole number of them away from UTC; so
hours and days of a zone are sums of quarters, also where it is half an hour off. An hour begins
where the clocks of the zone show a full one.
"""

import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from tallygate.core.histogram import BUCKETS
from tallygate.core.windows import Span, window_at

QUARTER_S = 900

SUMS = (
    "uses",  # requests that were let through; a row of imported history may stand for several
    "requests",  # those that count against limits
    "refused",  # answered 401, 403 or 429, a part of the next
    "client_errors",  # answered 4xx
    "server_errors",  # answered 5xx
    "failures",  # no answer, or not to its end
    "input_tokens",
    "output_tokens",
    "cached_tokens",  # a part of the input
    "charge_micros",
    "timed",  # uses of which it is known how long they took
    "duration_ms",  # of those
)
LAST = len(SUMS)  # where a row of sums has the latest use
STEPS = LAST + 1  # and where its counts of durations begin

# A row of sums: SUMS, `last_ms`, the counts of durations by step.
Row = list[int]
KeyPlace = tuple[int, int, str, str]  # bucket_s, key_id, route, model
TotalPlace = tuple[int, int, str, str]  # grain, bucket_s, route, model
Fine = TypeVar("Fine", bound=tuple[int | str, ...])
Wide = TypeVar("Wide", bound=tuple[int | str, ...])


class Group(NamedTuple):
    """What the store says of the rows of one quarter, key, route, model and step of durations."""

    quarter: int
    key_id: int
    route: str
    model: str
    step: int | None  # None: how long they took is not known
    sums: tuple[int, ...]  # SUMS, and the latest use


class Rolled(NamedTuple):
    """What some rows of usage add to the tables of sums."""

    hours: dict[KeyPlace, Row]
    days: dict[KeyPlace, Row]
    total_hours: dict[TotalPlace, Row]
    total_days: dict[TotalPlace, Row]


def roll(groups: Iterable[Group], zone: str) -> Rolled:
    """What these rows add to hours and days of a zone."""
    hours: dict[KeyPlace, Row] = {}
    for group in groups:
        hour_s, _ = buckets_of(group.quarter, zone)
        place = (hour_s, group.key_id, group.route, group.model)
        add_group(hours, place, group)

    def day_of(hour_s: int) -> int:
        return buckets_of(hour_s // QUARTER_S, zone)[1]

    total_hours = _totals(hours)
    return Rolled(
        hours,
        _folded(hours, lambda at: (day_of(at[0]), at[1], at[2], at[3])),
        total_hours,
        _folded(total_hours, lambda at: (at[0], day_of(at[1]), at[2], at[3])),
    )


def _totals(by_key: dict[KeyPlace, Row]) -> dict[TotalPlace, Row]:
    """The sums over keys, in the four grains of store/rollup_schema.py, each of a finer one."""
    both = _folded(by_key, lambda at: (3, at[0], at[2], at[3]))
    by_model = _folded(both, lambda at: (2, at[1], "", at[3]))
    by_route = _folded(both, lambda at: (1, at[1], at[2], ""))
    return both | by_model | by_route | _folded(by_model, lambda at: (0, at[1], "", ""))


def _folded(rows: Mapping[Fine, Row], wider: Callable[[Fine], Wide]) -> dict[Wide, Row]:
    """Rows added up by what each place is a part of; most are alone in it and only copied."""
    found: dict[Wide, Row] = {}
    for place, row in rows.items():
        whole = wider(place)
        known = found.get(whole)
        if known is None:
            found[whole] = row.copy()
        else:
            add(known, row)
    return found


def add_group(rows: dict[Wide, Row], place: Wide, group: Group) -> None:
    """Add what a group says to the row of its place."""
    row = rows.get(place)
    if row is None:
        row = rows[place] = [*group.sums, *_NO_STEPS]
    else:
        last_ms = max(row[LAST], group.sums[LAST])
        row[:STEPS] = map(operator.add, row, group.sums)
        row[LAST] = last_ms
    if group.step is not None:
        row[STEPS + group.step] += group.sums[0]


_NO_STEPS = (0,) * BUCKETS


def add(row: Row, more: Row) -> None:
    """Add one row of sums to another."""
    last_ms = max(row[LAST], more[LAST])
    row[:] = map(operator.add, row, more)
    row[LAST] = last_ms


@functools.lru_cache(maxsize=8192)
def buckets_of(quarter: int, zone: str) -> tuple[int, int]:
    """The starts of the hour and of the day that hold a quarter."""
    second = quarter * QUARTER_S
    return window_at(Span.HOUR, zone, second)[0], window_at(Span.DAY, zone, second)[0]
