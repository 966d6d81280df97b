"""What was used: a day of every key, for operators; how much there is; cleaning old rows."""

import datetime
from dataclasses import dataclass

import sqlalchemy as sa

from tallygate.core.windows import day_window
from tallygate.store import keys, partitions, rollups
from tallygate.store.database import Tx
from tallygate.store.rollup_schema import rollup_mark
from tallygate.store.schema import counter, limits, usage

CLEAN_ROWS_MAX = 2_000  # in one transaction: other writers wait no longer than that takes


@dataclass(frozen=True, slots=True)
class DayUsage:
    """One key's day. `updated_ms` None: not used that day."""

    key_id: int
    masked: str
    sealed: bytes | None
    label: str
    created_ms: int
    daily_limit: int | None
    requests: int
    updated_ms: int | None


async def day_usage(tx: Tx, day: datetime.date) -> list[DayUsage]:
    """Every key that exists, by id; a limit's day is the day in its own zone."""
    counted = await _counted(tx, day)
    return [
        DayUsage(
            *(view.id, view.masked, view.sealed, view.label, view.created_ms, view.daily_limit),
            *counted.get(view.id, (0, None)),
        )
        for view in await keys.list_views(tx)
    ]


async def _counted(tx: Tx, day: datetime.date) -> dict[int, tuple[int, int | None]]:
    is_live = sa.and_(limits.c.is_daily, limits.c.deleted_ms.is_(None))
    zones = (await tx.execute(sa.select(limits.c.zone).where(is_live).distinct())).scalars().all()
    found: dict[int, tuple[int, int | None]] = {}
    for zone in zones:
        query = (
            sa.select(limits.c.subject_id, counter.c.spent, counter.c.updated_ms)
            .join(counter, counter.c.limit_id == limits.c.id)
            .where(is_live, limits.c.zone == zone, counter.c.window_s == day_window(day, zone))
        )
        for row in await tx.execute(query):
            found[int(row.subject_id)] = (row.spent, row.updated_ms or None)
    return found


async def count_rows(tx: Tx, before_ms: int | None = None) -> int:
    """All rows, or those older than that."""
    query = sa.select(sa.func.count()).select_from(usage)
    if before_ms is not None:
        query = query.where(*_may_go(before_ms))
    return int(await tx.scalar(query))


async def clean(tx: Tx, before_ms: int, limit: int = CLEAN_ROWS_MAX) -> int:
    """Delete rows older than that, at most `limit` of them, or a whole month of them at once on
    PostgreSQL; call again until it answers 0.
    """
    if dropped := await partitions.drop_before(tx, before_ms):
        return dropped  # whole months first
    old = sa.select(usage.c.id).where(*_may_go(before_ms)).limit(limit)
    deleted = (await tx.execute(sa.delete(usage).where(usage.c.id.in_(old)))).rowcount
    if deleted:
        await rollups.mend(tx)
    return deleted


def _may_go(before_ms: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Old, and summed up."""
    summed = sa.select(rollup_mark.c.usage_id).scalar_subquery()
    return usage.c.at_ms < before_ms, usage.c.id <= summed
