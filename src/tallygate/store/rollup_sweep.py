"""The zone that days are counted in was changed: days are made anew from hours.

It goes day by day, keys in slices, each in a transaction of its own; meanwhile answers come from
hours, which are always whole. A slice that is done again does nothing new. An hour belongs to the
day that it begins in, so where the zones differ by half an hour the days of before the change have
half an hour of their neighbour. Days whose hours are gone already stay as the old zone had them.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from tallygate.core.rollup import QUARTER_S, SUMS, buckets_of
from tallygate.core.windows import Span, window_at
from tallygate.store.database import Tx
from tallygate.store.rollup_schema import (
    DURATIONS,
    rollup_day,
    rollup_hour,
    rollup_mark,
    total_day,
    total_hour,
)
from tallygate.store.rollups import Mark


async def set_zone(tx: Tx, mark: Mark, zone: str) -> bool:
    """Count days in another zone from now on. False: somebody else moved the mark."""
    first_s = await tx.scalar(sa.select(sa.func.min(total_hour.c.bucket_s)))
    sweep_s = mark.sweep_s
    if first_s is not None and mark.zone:
        # The old day of the first hour goes too, or that hour would be in two days.
        starts = (buckets_of(first_s // QUARTER_S, one)[1] for one in (zone, mark.zone))
        sweep_s = min(*starts, *(() if sweep_s is None else (sweep_s,)))
    moving = sa.update(rollup_mark).where(
        rollup_mark.c.usage_id == mark.usage_id, rollup_mark.c.zone == mark.zone
    )
    return (await tx.execute(moving.values(zone=zone, sweep_s=sweep_s))).rowcount == 1


async def next_day(tx: Tx, mark: Mark) -> tuple[int, int] | None:
    """The day that is made anew next; None: no hours are left."""
    query = sa.select(sa.func.min(total_hour.c.bucket_s)).where(
        total_hour.c.grain == 0, total_hour.c.bucket_s >= mark.sweep_s
    )
    hour_s = await tx.scalar(query)
    return None if hour_s is None else window_at(Span.DAY, mark.zone, hour_s)


async def keys_of(tx: Tx, start_s: int, end_s: int) -> list[int]:
    """Whose hours a day has, in order."""
    within = rollup_hour.c.bucket_s.between(start_s, end_s - 1)
    query = sa.select(rollup_hour.c.key_id).where(within).distinct()
    return sorted((await tx.execute(query)).scalars())


async def remake_keys(tx: Tx, mark: Mark, day: tuple[int, int], keys: Sequence[int]) -> bool:
    """The day of some keys; False: the mark is not where it was."""
    if not await _is_at(tx, mark):
        return False
    ids = rollup_day.c.key_id.between(keys[0], keys[-1])
    await tx.execute(sa.delete(rollup_day).where(ids, _stale(rollup_day, mark, day)))
    of_hours = rollup_hour.c.key_id.between(keys[0], keys[-1])
    places = (rollup_hour.c.key_id, rollup_hour.c.route, rollup_hour.c.model)
    await tx.execute(_summing(rollup_hour, rollup_day, places, day, of_hours))
    return True


async def finish_day(tx: Tx, mark: Mark, day: tuple[int, int] | None) -> bool:
    """Its totals, and what is left of the old zone's days; then on to the next one."""
    if not await _is_at(tx, mark):
        return False
    stale = _stale(total_day, mark, day)
    await tx.execute(sa.delete(total_day).where(stale))
    if day is not None:
        start_s, _ = day
        places = (total_hour.c.grain, total_hour.c.route, total_hour.c.model)
        await tx.execute(_summing(total_hour, total_day, places, day, sa.true()))
        others = rollup_day.c.bucket_s != start_s
    else:
        others = sa.true()
    await tx.execute(sa.delete(rollup_day).where(others, _stale(rollup_day, mark, day)))
    await tx.execute(sa.update(rollup_mark).values(sweep_s=None if day is None else day[1]))
    return True


async def _is_at(tx: Tx, mark: Mark) -> bool:
    """Locks the mark, so that nothing is summed up meanwhile."""
    query = sa.select(rollup_mark.c.zone, rollup_mark.c.sweep_s).with_for_update()
    row = (await tx.execute(query)).one()
    return (row.zone, row.sweep_s) == (mark.zone, mark.sweep_s)


def _stale(table: sa.Table, mark: Mark, day: tuple[int, int] | None) -> sa.ColumnElement[bool]:
    """What stands for the days up to the end of this one, of either zone."""
    since = table.c.bucket_s >= mark.sweep_s
    return since if day is None else sa.and_(since, table.c.bucket_s < day[1])


def _summing(
    source: sa.Table,
    target: sa.Table,
    places: Sequence[sa.Column[int]],
    day: tuple[int, int],
    which: sa.ColumnElement[bool],
) -> sa.Insert:
    sums = [sa.func.sum(source.c[name]) for name in (*SUMS, *DURATIONS)]
    start_s, end_s = day
    query = (
        sa.select(
            sa.literal(start_s, target.c.bucket_s.type).label("bucket_s"),
            *places,
            *sums,
            sa.func.max(source.c.last_ms),
        )
        .where(source.c.bucket_s.between(start_s, end_s - 1), which)
        .group_by(*places)
    )
    names = ["bucket_s", *(place.name for place in places), *SUMS, *DURATIONS, "last_ms"]
    return sa.insert(target).from_select(names, query)
