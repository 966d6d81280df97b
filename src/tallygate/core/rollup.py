"""Rows of usage, grouped by the store, become sums by hour and by day. Pure: it reads no clock.

The store groups by quarters of an hour, for every zone is a whole number of them away from UTC; so
hours and days of a zone are sums of quarters, also where it is half an hour off. An hour begins
where the clocks of the zone show a full one.
"""

import functools
from collections.abc import Iterable
from typing import NamedTuple

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
    days: dict[KeyPlace, Row] = {}
    for group in groups:
        hour_s, _ = buckets_of(group.quarter, zone)
        place = (hour_s, group.key_id, group.route, group.model)
        add_group(hours.setdefault(place, _empty()), group)
    for (hour_s, *subject), row in hours.items():
        _, day_s = buckets_of(hour_s // QUARTER_S, zone)
        add(days.setdefault((day_s, *subject), _empty()), row)  # type: ignore[arg-type]  # 1 + 3
    return Rolled(hours, days, totals(hours), totals(days))


def totals(by_key: dict[KeyPlace, Row]) -> dict[TotalPlace, Row]:
    """The sums over keys, in the four grains of store/rollup_schema.py."""
    found: dict[TotalPlace, Row] = {}
    for (bucket_s, _, route, model), row in by_key.items():
        for place in (
            (0, bucket_s, "", ""),
            (1, bucket_s, route, ""),
            (2, bucket_s, "", model),
            (3, bucket_s, route, model),
        ):
            add(found.setdefault(place, _empty()), row)
    return found


def _empty() -> Row:
    return [0] * (STEPS + BUCKETS)


def add_group(row: Row, group: Group) -> None:
    sums = group.sums
    for number in range(LAST):
        row[number] += sums[number]
    row[LAST] = max(row[LAST], sums[LAST])
    if group.step is not None:
        row[STEPS + group.step] += sums[0]


def add(row: Row, more: Row) -> None:
    """Add one row of sums to another."""
    last_ms = max(row[LAST], more[LAST])
    row[:] = [one + other for one, other in zip(row, more, strict=True)]
    row[LAST] = last_ms


@functools.lru_cache(maxsize=8192)
def buckets_of(quarter: int, zone: str) -> tuple[int, int]:
    """The starts of the hour and of the day that hold a quarter."""
    second = quarter * QUARTER_S
    return window_at(Span.HOUR, zone, second)[0], window_at(Span.DAY, zone, second)[0]
