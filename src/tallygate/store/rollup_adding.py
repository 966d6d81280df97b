"""Adding to the tables of sums, many rows at a time.

A row has counts of durations in 25 columns, of which it fills one or a few, side by side. SQLite
takes about as long for each column of a statement as for anything else in it, so there a row is
added by the statement with the fewest columns that holds its counts. PostgreSQL is told everything
at once: each further statement would be a round trip.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import sqlalchemy as sa

from tallygate.core.histogram import BUCKETS
from tallygate.core.rollup import STEPS, SUMS, Row
from tallygate.store.database import Tx
from tallygate.store.rollup_schema import (
    DURATIONS,
    rollup_day,
    rollup_hour,
    total_day,
    total_hour,
)
from tallygate.store.tx import BulkChange

P = TypeVar("P", bound=tuple[Any, ...])  # a place: the columns of a primary key
_Span = tuple[int, int]  # the first step and the one after the last

_ALL: _Span = (0, BUCKETS)
# Not more, for a connection keeps a few hundred statements prepared.
_SPANS: tuple[_Span, ...] = (
    *((step, step + 1) for step in range(BUCKETS)),
    *((step, step + 4) for step in range(0, BUCKETS - 3, 2)),
    *((step, step + 8) for step in range(0, BUCKETS - 7, 4)),
    _ALL,
)
_SPAN_OF = {
    (low, high): next(span for span in _SPANS if span[0] <= low and high < span[1])
    for low in range(BUCKETS)
    for high in range(low, BUCKETS)
}


async def add(tx: Tx, table: sa.Table, rows: Mapping[P, Row]) -> None:
    """Add to the rows of one table; on PostgreSQL in the order of their keys, so that nobody waits
    for another twice.
    """
    by_span: dict[_Span, list[tuple[Any, ...]]] = {}
    for place, row in sorted(rows.items()):
        span = first, end = _span(row) if tx.dialect == "sqlite" else _ALL
        counts = [count or None for count in row[STEPS + first : STEPS + end]]
        by_span.setdefault(span, []).append((*place, *row[:STEPS], *counts))
    for span, values in by_span.items():
        await tx.update_all(_ADDING[table.name, span], values)


def _span(row: Row) -> _Span:
    """The narrowest that has all counts of a row in it."""
    counts = row[STEPS:]
    first = next(filter(None, counts), 0)
    if not first:
        return _SPANS[0]
    low = counts.index(first)
    counts.reverse()
    high = BUCKETS - 1 - counts.index(next(filter(None, counts)))
    return _SPAN_OF[low, high]


def _adding(table: sa.Table, span: _Span) -> BulkChange:
    keys = [column.name for column in table.primary_key]
    steps = DURATIONS[slice(*span)]
    names = (*keys, *SUMS, "last_ms", *steps)
    texts = {"route", "model"}
    arrays = ", ".join(
        f"${number}::{'text' if name in texts else 'bigint'}[]"
        for number, name in enumerate(names, 1)
    )
    insert = f"INSERT INTO {table.name} ({', '.join(names)})"
    changes = _changes(table.name, steps)
    conflict = f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    return BulkChange(
        sqlite=f"{insert} VALUES ({', '.join('?' * len(names))}){conflict}",
        postgresql=f"{insert} SELECT * FROM unnest({arrays}){conflict}",  # noqa: S608 - names of our schema
    )


def _changes(table: str, steps: tuple[str, ...]) -> str:
    newer = f"excluded.last_ms > {table}.last_ms"
    latest = f"CASE WHEN {newer} THEN excluded.last_ms ELSE {table}.last_ms END"
    sums = [f"{name} = {table}.{name} + excluded.{name}" for name in SUMS]
    # NULL is 0, and stays so: most steps of most rows are empty, and NULL takes no room.
    counts = [
        f"{name} = COALESCE({table}.{name} + excluded.{name}, {table}.{name}, excluded.{name})"
        for name in steps
    ]
    return ", ".join((*sums, f"last_ms = {latest}", *counts))


_ADDING = {
    (table.name, span): _adding(table, span)
    for table in (rollup_hour, rollup_day, total_hour, total_day)
    for span in _SPANS
}
