"""Limits and their counters: whose they are, how much they allow, what was used, the daily reset.

A limit that is replaced by an equal one keeps its id, and so its counters. Functions that change
limits answer with the ids of those that changed, for the feed.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallygate.core.limits import Dimension, Limit
from tallygate.core.windows import Span, day_window
from tallygate.store.database import Tx
from tallygate.store.schema import counter, limits

KEY, USER, TEAM = "key", "user", "team"  # subject_kind


@dataclass(frozen=True, slots=True)
class NewLimit:
    """A limit that has no id yet."""

    dimension: Dimension
    span: Span
    zone: str
    amount: int | None

    @property
    def counts_what(self) -> tuple[str, str, str]:
        return self.dimension.value, self.span.value, self.zone


@dataclass(frozen=True, slots=True)
class Used:
    """One counter. `generation` 0: nothing was ever leased or spent."""

    generation: int
    spent: int
    leased: int
    updated_ms: int


async def insert(
    tx: Tx, subject_kind: str, subject_id: str, limit: NewLimit, now_ms: int, *, is_daily: bool
) -> int:
    values = {
        "subject_kind": subject_kind,
        "subject_id": subject_id,
        "is_daily": is_daily,
        "dimension": limit.dimension.value,
        "span": limit.span.value,
        "zone": limit.zone,
        "amount": limit.amount,
        "created_ms": now_ms,
    }
    return int(await tx.scalar(sa.insert(limits).returning(limits.c.id), values))


async def replace(
    tx: Tx, subject_kind: str, subject_id: str, wanted: Sequence[NewLimit], now_ms: int
) -> list[int]:
    """Make `wanted` all the limits of a subject, except its daily one."""
    there = await tx.execute(
        sa.select(limits.c.id, limits.c.dimension, limits.c.span, limits.c.zone, limits.c.amount)
        .where(_of(subject_kind, subject_id), ~limits.c.is_daily)
        .order_by(limits.c.id)
    )
    unclaimed: dict[tuple[str, str, str], list[tuple[int, int | None]]] = {}
    for row in there:
        unclaimed.setdefault((row.dimension, row.span, row.zone), []).append((row.id, row.amount))
    changed = []
    for limit in wanted:
        same = unclaimed.get(limit.counts_what)
        if not same:
            changed.append(
                await insert(tx, subject_kind, subject_id, limit, now_ms, is_daily=False)
            )
            continue
        limit_id, amount = same.pop(0)
        if amount != limit.amount:
            await patch(tx, limit_id, limit.amount)
            changed.append(limit_id)
    for leftover in unclaimed.values():
        for limit_id, _ in leftover:
            await delete(tx, limit_id, now_ms)
            changed.append(limit_id)
    return sorted(changed)


async def set_daily(tx: Tx, key_id: int, amount: int | None, zone: str, now_ms: int) -> list[int]:
    """Give a key its daily limit, or another amount of it; the zone it has, it keeps."""
    query = sa.select(limits.c.id, limits.c.amount).where(_of(KEY, str(key_id)), limits.c.is_daily)
    row = (await tx.execute(query)).first()
    if row is None:
        limit = NewLimit(Dimension.REQUESTS, Span.DAY, zone, amount)
        return [await insert(tx, KEY, str(key_id), limit, now_ms, is_daily=True)]
    if row.amount == amount:
        return []
    await patch(tx, row.id, amount)
    return [row.id]


async def patch(tx: Tx, limit_id: int, amount: int | None) -> bool:
    """False when there is no such limit."""
    statement = sa.update(limits).where(limits.c.id == limit_id, limits.c.deleted_ms.is_(None))
    return (await tx.execute(statement.values(amount=amount))).rowcount == 1


async def delete(tx: Tx, limit_id: int, now_ms: int) -> bool:
    """The row stays: counters and usage refer to it. False when it is already deleted."""
    statement = sa.update(limits).where(limits.c.id == limit_id, limits.c.deleted_ms.is_(None))
    return (await tx.execute(statement.values(deleted_ms=now_ms))).rowcount == 1


async def of_subjects(tx: Tx, subjects: Iterable[tuple[str, str]]) -> list[Limit]:
    """The limits of a key, its user and its team together, sorted by id."""
    conditions = [_of(kind, subject_id) for kind, subject_id in subjects if subject_id]
    if not conditions:
        return []
    columns = (limits.c.id, limits.c.dimension, limits.c.span, limits.c.zone, limits.c.amount)
    query = sa.select(*columns).where(sa.or_(*conditions)).order_by(limits.c.id)
    return [limit_of(row) for row in await tx.execute(query)]


def limit_of(row: sa.Row[Any]) -> Limit:
    """A limit out of a row that has its columns."""
    return Limit(row.id, Dimension(row.dimension), Span(row.span), row.zone, row.amount)


def _of(subject_kind: str, subject_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        limits.c.subject_kind == subject_kind,
        limits.c.subject_id == subject_id,
        limits.c.deleted_ms.is_(None),
    )


async def used(tx: Tx, limit_id: int, window_s: int) -> Used:
    columns = (counter.c.generation, counter.c.spent, counter.c.leased, counter.c.updated_ms)
    query = sa.select(*columns).where(
        counter.c.limit_id == limit_id, counter.c.window_s == window_s
    )
    row = (await tx.execute(query)).first()
    if row is None:
        return Used(0, 0, 0, 0)
    return Used(row.generation, row.spent, row.leased, row.updated_ms)


async def reset_day(tx: Tx, day: datetime.date) -> list[tuple[int, int]]:
    """Clear the day's counters of all daily limits; what is leased of them is void.

    Answers (limit_id, window_s) of each counter cleared: one for each key that used anything. A
    limit's day is the day in its own zone. Counters are locked in the order in which settling
    locks them, so that the two never wait for each other.
    """
    zones = await tx.execute(sa.select(limits.c.zone).where(limits.c.is_daily).distinct())
    windows = {zone: day_window(day, zone) for zone in zones.scalars()}
    await _lock_daily(tx, windows)
    cleared: list[tuple[int, int]] = []
    for zone, window_s in windows.items():
        daily = sa.select(limits.c.id).where(
            limits.c.is_daily, limits.c.zone == zone, limits.c.deleted_ms.is_(None)
        )
        statement = (
            sa.update(counter)
            .where(counter.c.window_s == window_s, counter.c.limit_id.in_(daily))
            .values(generation=counter.c.generation + 1, spent=0, leased=0)
            .returning(counter.c.limit_id)
        )
        ids = (await tx.execute(statement)).scalars().all()
        cleared += [(limit_id, window_s) for limit_id in ids]
    return sorted(cleared)


async def _lock_daily(tx: Tx, windows: Mapping[str, int]) -> None:
    pairs = sa.tuple_(limits.c.zone, counter.c.window_s).in_(list(windows.items()))
    query = sa.select(counter.c.limit_id).join(limits, limits.c.id == counter.c.limit_id)
    ordered = query.where(limits.c.is_daily, pairs).order_by(counter.c.limit_id, counter.c.window_s)
    await tx.execute(ordered.with_for_update(of=counter))
