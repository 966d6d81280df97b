"""Sums of usage over a window, by whatever is asked: from rollups, and from the rows after them.

Both are read in one transaction, so each use is counted once however the mark moves. Without a key
in the question only totals are read, whose number does not grow with that of the keys.
"""

import enum
import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallygate.core.rollup import SUMS, Group, Row, add, add_group, buckets_of
from tallygate.core.usage_window import Window
from tallygate.core.windows import Span, window_at
from tallygate.store import rollups
from tallygate.store.database import Tx
from tallygate.store.rollup_schema import (
    DURATIONS,
    Grain,
    rollup_day,
    rollup_hour,
    total_day,
    total_hour,
)
from tallygate.store.schema import api_key, usage
from tallygate.store.tables import big

EVERY_SUM = (*SUMS, "last_ms")
TAIL_ROWS_MAX = 300_000  # after a start over a large store the sums have to catch up first

Place = tuple[Any, ...]  # the values of what was asked by: texts and integers


class Per(enum.StrEnum):
    """What sums are made by. HOUR and DAY are the starts of those."""

    HOUR = "hour"
    DAY = "day"
    KEY = "key_id"
    ROUTE = "route"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which uses; None: all. Who a key belongs to is what it says now. `has_model`: of any model,
    which uses of private services are not. `is_broad`: these are a good part of all keys, which
    changes nothing but how they are looked for.
    """

    key_ids: tuple[int, ...] | None = None
    team_id: str | None = None
    user_id: str | None = None
    route: str | None = None
    model: str | None = None
    has_model: bool = False
    is_broad: bool = False

    @property
    def is_by_key(self) -> bool:
        return (self.key_ids, self.team_id, self.user_id) != (None, None, None)

    def conditions(self, table: sa.Table, dialect: str) -> list[sa.ColumnElement[bool]]:
        """Of any table that has keys, routes and models."""
        found: list[sa.ColumnElement[bool]] = []
        if self.key_ids is not None:
            found.append(table.c.key_id.in_(self.key_ids))
        for column, wanted in (
            (api_key.c.team_id, self.team_id),
            (api_key.c.user_id, self.user_id),
        ):
            if wanted is not None:
                theirs = sa.select(api_key.c.id).where(column == wanted)
                found.append(self._among(table.c.key_id, theirs, dialect))
        if self.route is not None:
            found.append(table.c.route == self.route)
        if self.model is not None:
            found.append(table.c.model == self.model)
        if self.has_model:
            found.append(table.c.model != "")
        return found

    def _among(
        self, column: sa.Column[int], ids: sa.Select[tuple[int]], dialect: str
    ) -> sa.ColumnElement[bool]:
        """PostgreSQL joins with what is IN a query, and reads every row of a window to do so; an
        array is looked up by the index of keys. SQLite always goes by that index, each row a search
        of its own; for many keys it is told to read on through the window instead.
        """
        if dialect == "postgresql":
            return column == sa.any_(sa.func.array(ids.scalar_subquery()))
        return (column + 0 if self.is_broad else column).in_(ids)


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the sums reach. `is_whole`: what they lack is read beside them, row by row.
    `has_tail`: they lack something.
    """

    zone: str
    usage_id: int
    has_days: bool
    has_tail: bool
    is_whole: bool


async def reach(tx: Tx, zone: str) -> Reach:
    """`zone` is that of the settings, for a store that has no sums yet."""
    mark = await rollups.read_mark(tx)
    newest = int(await tx.scalar(sa.select(sa.func.coalesce(sa.func.max(usage.c.id), 0))))
    behind = newest - mark.usage_id
    has_days = mark.sweep_s is None
    return Reach(mark.zone or zone, mark.usage_id, has_days, behind > 0, behind <= TAIL_ROWS_MAX)


async def sums(
    tx: Tx,
    found: Reach,
    window: Window,
    wanted: Filter,
    *pers: Per,
    names: Sequence[str] = EVERY_SUM,
    with_durations: bool = False,
) -> dict[Place, Row]:
    """A row of sums for each place that was used; (): everything, if anything was.

    `names`: these are enough, in the order of EVERY_SUM, the others may be 0.
    """
    total: dict[Place, Row] = {}
    names = (*names, *(DURATIONS if with_durations else ()))
    query, is_of_hours = _of_tables(tx.dialect, found, window, wanted, pers, names)
    at, row_of = len(pers), _reader(names)
    for row in await tx.execute(query):
        place = tuple(row[:at])
        if is_of_hours and Per.DAY in pers:
            place = _in_days(place, pers, found.zone)
        values = row_of(row[at:])
        if place in total:
            add(total[place], values)
        elif row[at] is not None:  # a sum of no rows at all
            total[place] = values
    for group in await tail(tx, found, window, wanted, pers):
        place = tuple(_of_group(group, per, found.zone) for per in pers)
        add_group(total, place, group)
    return total


def _reader(names: Sequence[str]) -> Callable[[Sequence[int | None]], Row]:
    """How a row of sums is made of columns of these names."""
    places = [_COLUMNS.index(name) for name in names]
    if places == list(range(len(places))):
        rest = [0] * (len(_COLUMNS) - len(places))
        return lambda values: [*(value or 0 for value in values), *rest]

    def spread(values: Sequence[int | None]) -> Row:
        row = [0] * len(_COLUMNS)
        for place, value in zip(places, values, strict=True):
            row[place] = value or 0
        return row

    return spread


_COLUMNS = (*EVERY_SUM, *DURATIONS)


def _in_days(place: Place, pers: Sequence[Per], zone: str) -> Place:
    """A place by hours, by the days that they are in."""
    at = pers.index(Per.DAY)
    return (*place[:at], window_at(Span.DAY, zone, place[at])[0], *place[at + 1 :])


async def ranking(
    tx: Tx, found: Reach, window: Window, wanted: Filter, per: Per, by: Sequence[str]
) -> list[tuple[Any, int]]:
    """Whatever was used, and how much by some of SUMS, most first; ties by name."""
    query, _ = _of_tables(tx.dialect, found, window, wanted, (per,), by)
    place, *amounts_by = query.selected_columns
    amount: sa.ColumnElement[int] = functools.reduce(operator.add, amounts_by)
    query = query.with_only_columns(place.label("place"), amount.label("amount"))
    rows = (await tx.execute(query)).all()
    amounts: dict[Any, int] = {row.place: int(row.amount) for row in rows}
    at = [SUMS.index(name) for name in by]
    for group in await tail(tx, found, window, wanted, (per,)):
        of = _of_group(group, per, found.zone)
        amounts[of] = amounts.get(of, 0) + sum(group.sums[one] for one in at)
    return sorted(amounts.items(), key=lambda one: (-one[1], one[0]))


async def tail(
    tx: Tx, found: Reach, window: Window, wanted: Filter, pers: Sequence[Per]
) -> list[Group]:
    """The rows that are in no sum yet."""
    if not found.has_tail or not found.is_whole:
        return []
    query = rollups.grouping(
        tx.dialect,
        has_key=Per.KEY in pers,
        has_route=Per.ROUTE in pers,
        has_model=Per.MODEL in pers,
    ).where(
        usage.c.id > found.usage_id,
        usage.c.at_ms >= window.start_s * 1000,
        usage.c.at_ms < window.end_s * 1000,
        *wanted.conditions(usage, tx.dialect),
    )
    return rollups.groups_of(await tx.execute(query))


def _of_group(group: Group, per: Per, zone: str) -> int | str:
    if per is Per.KEY:
        return group.key_id
    if per is Per.ROUTE:
        return group.route
    if per is Per.MODEL:
        return group.model
    hour_s, day_s = buckets_of(group.quarter, zone)
    return hour_s if per is Per.HOUR else day_s


def _of_tables(
    dialect: str,
    found: Reach,
    window: Window,
    wanted: Filter,
    pers: Sequence[Per],
    names: Sequence[str],
) -> tuple[sa.Select[Any], bool]:
    """The query, and whether it reads hours."""
    is_by_key = wanted.is_by_key or Per.KEY in pers
    is_of_hours = window.span is Span.HOUR or Per.HOUR in pers or not found.has_days
    if is_by_key:
        table = rollup_hour if is_of_hours else rollup_day
    else:
        table = total_hour if is_of_hours else total_day
    columns = [table.c.bucket_s if per in (Per.HOUR, Per.DAY) else table.c[per] for per in pers]
    values = [
        sa.func.max(table.c[name]) if name == "last_ms" else _sum(table.c[name], dialect)
        for name in names
    ]
    query = (
        sa.select(*columns, *values)
        .where(table.c.bucket_s >= window.start_s, table.c.bucket_s < window.end_s)
        .where(*wanted.conditions(table, dialect))
    )
    if not is_by_key:
        query = query.where(table.c.grain == int(_grain(wanted, pers)))
    return (query.group_by(*columns) if columns else query), is_of_hours


def _sum(column: sa.Column[int], dialect: str) -> sa.ColumnElement[int]:
    """PostgreSQL's are decimals of any length, which Python takes ten times as long to read."""
    found = sa.func.sum(column)
    return sa.cast(found, big) if dialect == "postgresql" else found


def _grain(wanted: Filter, pers: Sequence[Per]) -> Grain:
    has_route = wanted.route is not None or Per.ROUTE in pers
    has_model = wanted.model is not None or wanted.has_model or Per.MODEL in pers
    if has_route:
        return Grain.BOTH if has_model else Grain.ROUTE
    return Grain.MODEL if has_model else Grain.ALL
