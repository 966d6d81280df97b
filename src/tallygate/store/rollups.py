"""Summing up `usage`, exactly once: the mark moves in the transaction that adds to the sums.

Rows up to the mark are in the sums and only they. They are grouped by the store itself, outside of
the transaction that writes; who finds the mark moved meanwhile adds nothing.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallygate.core.histogram import BOUNDS_MS
from tallygate.core.rollup import QUARTER_S, SUMS, Group, Rolled
from tallygate.core.usage import CACHE_READ_TOKENS
from tallygate.store import rollup_adding
from tallygate.store.database import Tx
from tallygate.store.rollup_schema import (
    Grain,
    rollup_day,
    rollup_hour,
    rollup_mark,
    total_day,
    total_hour,
)
from tallygate.store.schema import usage
from tallygate.store.tables import big

CLEAN_ROWS_MAX = 1_000  # in one transaction: other writers wait no longer than that takes
NOTHING: sa.Select[tuple[int]] = sa.select(sa.literal_column("1"))
HOUR_TABLES = (rollup_hour, total_hour)
DAY_TABLES = (rollup_day, total_day)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the sums reach. `zone` "": nothing was summed yet."""

    usage_id: int
    zone: str
    sweep_s: int | None


async def read_mark(tx: Tx) -> Mark:
    row = (await tx.execute(_MARK)).one()
    return Mark(row.usage_id, row.zone, row.sweep_s)


_MARK = sa.select(rollup_mark.c.usage_id, rollup_mark.c.zone, rollup_mark.c.sweep_s)
_MOVE = (
    sa.update(rollup_mark)
    .where(
        rollup_mark.c.usage_id == sa.bindparam("old_id"),
        rollup_mark.c.zone == sa.bindparam("of_zone"),
    )
    .values(usage_id=sa.bindparam("new_id"), updated_ms=sa.bindparam("now_ms"))
)


async def write(tx: Tx, mark: Mark, upto_id: int, rolled: Rolled, now_ms: int) -> bool:
    """Add what was read after the mark to the sums, and move it. False: somebody else did."""
    assert mark.usage_id <= upto_id, "a mark never moves backwards"
    places = {"old_id": mark.usage_id, "of_zone": mark.zone, "new_id": upto_id}
    if (await tx.execute(_MOVE, {**places, "now_ms": now_ms})).rowcount != 1:
        return False
    await rollup_adding.add(tx, rollup_hour, rolled.hours)
    await rollup_adding.add(tx, rollup_day, rolled.days)
    await rollup_adding.add(tx, total_hour, rolled.total_hours)
    await rollup_adding.add(tx, total_day, rolled.total_days)
    return True


async def clean(tx: Tx, table: sa.Table, before_s: int, limit: int = CLEAN_ROWS_MAX) -> int:
    """Delete sums of buckets before that, a few at a time; call again until it answers 0."""
    keys = list(table.primary_key)
    old = sa.select(*keys).where(table.c.bucket_s < before_s).limit(limit)
    if "grain" in table.c:  # the first column of its key: without it the whole table is read
        old = old.where(table.c.grain.in_([int(grain) for grain in Grain]))
    deleting = sa.delete(table).where(sa.tuple_(*keys).in_(old))
    return (await tx.execute(deleting)).rowcount


async def mend(tx: Tx) -> None:
    """On SQLite an id is used again when the newest row is gone, by cleaning or by `db repair`:
    the mark must not be ahead of the rows. Call it before another row is inserted.
    """
    if tx.dialect == "sqlite":
        newest = sa.select(sa.func.coalesce(sa.func.max(usage.c.id), 0)).scalar_subquery()
        ahead = sa.update(rollup_mark).where(rollup_mark.c.usage_id > newest)
        await tx.execute(ahead.values(usage_id=newest))


async def read_groups(tx: Tx, after_id: int, upto_id: int) -> list[Group]:
    """What the rows between two ids add up to; the tail when there is no end yet."""
    query = _GROUPS[tx.dialect]
    return groups_of(await tx.execute(query, {"after_id": after_id, "upto_id": upto_id}))


def groups_of(rows: Iterable[Sequence[Any]]) -> list[Group]:  # of whatever a column holds
    return [Group(row[0], row[1], row[2], row[3], row[4], tuple(row[5:])) for row in rows]


@functools.cache
def grouping(
    dialect: str, *, has_key: bool = True, has_route: bool = True, has_model: bool = True
) -> sa.Select[Any]:
    """Rows of usage in groups, as `Group` has them; who asks adds which rows.

    What is not asked for is one value in all of them, so that there are fewer.
    """
    text: sa.ColumnElement[str] = sa.literal_column("''", sa.Text)
    places = (
        _QUARTER,
        usage.c.key_id if has_key else sa.literal_column("0", big).label("key_id"),
        usage.c.route if has_route else text.label("route"),
        usage.c.model if has_model else text.label("model"),
        _STEP,
    )
    needed = zip(places, (True, has_key, has_route, has_model, True), strict=True)
    by = [place for place, is_needed in needed if is_needed]
    return sa.select(*places, *_sums(dialect)).group_by(*by)


_QUARTER = (usage.c.at_ms // sa.literal_column(str(QUARTER_S * 1000), big)).label("quarter")
_IS_LOST = usage.c.outcome == "lost"
_IS_TIMED = ~_IS_LOST & ((usage.c.duration_ms > 0) | (usage.c.bytes_in + usage.c.bytes_out > 0))
_STEP_CASES = ((usage.c.duration_ms <= int(bound), n) for n, bound in enumerate(BOUNDS_MS))
_STEP = sa.case(
    (~_IS_TIMED, sa.null()),
    *((condition, sa.literal_column(str(n))) for condition, n in _STEP_CASES),
    else_=sa.literal_column(str(len(BOUNDS_MS))),
).label("step")
# A row stands for one use, but for what an import or a dead worker summed up in one.
_USES = sa.case((_IS_LOST | (usage.c.requests > 1), usage.c.requests), else_=sa.literal_column("1"))
_CACHED = {
    "sqlite": f"json_extract(counts, '$.{CACHE_READ_TOKENS}')",
    "postgresql": f"(counts::json ->> '{CACHE_READ_TOKENS}')::bigint",
}


def _sums(dialect: str) -> Iterable[sa.ColumnElement[int]]:
    status = usage.c.status
    zero: sa.ColumnElement[int] = sa.literal_column("0", big)
    broken = usage.c.outcome.in_(["cut", "unreachable", "lost"])
    cached: sa.ColumnElement[int] = sa.literal_column(_CACHED[dialect], big)
    of = {
        "uses": _USES,
        "requests": usage.c.requests,
        "refused": sa.case((status.in_([401, 403, 429]), _USES), else_=zero),
        "client_errors": sa.case((status.between(400, 499), _USES), else_=zero),
        "server_errors": sa.case((status >= 500, _USES), else_=zero),
        "failures": sa.case(((status < 400) & broken, _USES), else_=zero),
        "input_tokens": usage.c.input_tokens,
        "output_tokens": usage.c.output_tokens,
        "cached_tokens": sa.case(
            (usage.c.counts.is_(None), zero), else_=sa.func.coalesce(cached, 0)
        ),
        "charge_micros": usage.c.charge_micros,
        "timed": sa.case((_IS_TIMED, _USES), else_=zero),
        "duration_ms": sa.case((_IS_TIMED, usage.c.duration_ms), else_=zero),
    }
    yield from (sa.cast(sa.func.sum(of[name]), big).label(name) for name in SUMS)
    yield sa.func.max(usage.c.at_ms).label("last_ms")


_BETWEEN = (usage.c.id > sa.bindparam("after_id"), usage.c.id <= sa.bindparam("upto_id"))
_GROUPS = {dialect: grouping(dialect).where(*_BETWEEN) for dialect in ("sqlite", "postgresql")}
