"""What anomalies are seen against: hours of keys out of rollups, sources out of usage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from tallygate.core.anomalies import Use, Verdict
from tallygate.core.anomaly_baseline import Hour
from tallygate.core.anomaly_sources import DAY_MS, Habit, Habits, Met, Source
from tallygate.store.anomaly_schema import key_habit, key_source
from tallygate.store.database import Tx
from tallygate.store.rollup_schema import rollup_hour, rollup_mark
from tallygate.store.schema import api_key, usage
from tallygate.store.tables import big
from tallygate.store.tx import BulkChange

KEYS_MAX = 200  # of which hours are looked at in one step
ROWS_TOLD = 5
NAMES_MAX = 500  # in one IN list
CLEAN_ROWS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Busy:
    """A key in an hour in which it did enough to be looked at."""

    key_id: int
    hour: Hour


_FAILED = rollup_hour.c.client_errors + rollup_hour.c.server_errors + rollup_hour.c.failures
_USES_SUM = sa.func.sum(rollup_hour.c.uses)
_FAILED_SUM = sa.func.sum(_FAILED)


async def busy_keys(
    tx: Tx, bucket_s: int, after_id: int, uses_min: int, failed_min: int
) -> list[Busy]:
    """Keys in one hour with so many uses, or failed ones, by id."""
    query = (
        sa.select(rollup_hour.c.key_id, _USES_SUM.label("uses"), _FAILED_SUM.label("failed"))
        .where(rollup_hour.c.bucket_s == bucket_s, rollup_hour.c.key_id > after_id)
        .group_by(rollup_hour.c.key_id)
        .having(sa.or_(uses_min <= _USES_SUM, failed_min <= _FAILED_SUM))
        .order_by(rollup_hour.c.key_id)
        .limit(KEYS_MAX)
    )
    rows = await tx.execute(query)
    return [Busy(row.key_id, _hour(row.uses, row.failed)) for row in rows]


async def hours_of(tx: Tx, key_id: int, from_s: int, until_s: int) -> dict[int, Hour]:
    query = (
        sa.select(rollup_hour.c.bucket_s, _USES_SUM.label("uses"), _FAILED_SUM.label("failed"))
        .where(
            rollup_hour.c.key_id == key_id,
            rollup_hour.c.bucket_s >= from_s,
            rollup_hour.c.bucket_s < until_s,
        )
        .group_by(rollup_hour.c.bucket_s)
    )
    rows = await tx.execute(query)
    return {row.bucket_s: _hour(row.uses, row.failed) for row in rows}


async def first_hour(tx: Tx, key_id: int) -> int | None:
    """When the key was first used, as far back as hours are kept."""
    query = sa.select(sa.func.min(rollup_hour.c.bucket_s)).where(rollup_hour.c.key_id == key_id)
    found: int | None = await tx.scalar(query)
    return found


def _hour(uses: int, failed: int) -> Hour:
    return Hour(int(uses), min(int(uses), int(failed)))


async def summed_up(tx: Tx) -> int:
    """The id up to which usage is in the rollups: no row can appear below it any more."""
    return int(await tx.scalar(sa.select(rollup_mark.c.usage_id)))


async def read_met(tx: Tx, after_id: int, upto_id: int) -> list[Met]:
    """Rows of usage of keys that exist, in groups, by key and time."""
    day = (usage.c.at_ms // sa.literal_column(str(DAY_MS), big)).label("day")
    places = (usage.c.key_id, day, usage.c.address, usage.c.agent)
    first, last = sa.func.min(usage.c.at_ms), sa.func.max(usage.c.at_ms)
    query = (
        sa.select(
            *places, first.label("first_ms"), last.label("last_ms"), sa.func.count().label("uses")
        )
        .where(usage.c.id > after_id, usage.c.id <= upto_id, usage.c.key_id > 0)
        .where(usage.c.outcome != "lost")
        .group_by(*places)
    )
    found = [Met(**row._mapping) for row in await tx.execute(query)]
    return sorted(found, key=lambda met: (met.key_id, met.first_ms))


async def load(tx: Tx, key_ids: Sequence[int]) -> dict[int, Habits]:
    """What is known of these keys; those that are deleted are left out."""
    found: dict[int, Habits] = {}
    for start in range(0, len(key_ids), NAMES_MAX):
        some = key_ids[start : start + NAMES_MAX]
        keys = sa.select(api_key.c.id, api_key.c.created_ms)
        keys = keys.where(api_key.c.id.in_(some), api_key.c.deleted_ms.is_(None))
        for row in await tx.execute(keys):
            found[row.id] = Habits(row.created_ms)
        for row in await tx.execute(sa.select(key_habit).where(key_habit.c.key_id.in_(some))):
            if row.key_id in found:
                habit = Habit(row.first_ms, row.last_ms, row.gap_ms, row.days)
                found[row.key_id].habit = habit
        for row in await tx.execute(sa.select(key_source).where(key_source.c.key_id.in_(some))):
            if row.key_id in found:
                source = Source(row.first_ms, row.last_ms, row.days, row.uses)
                found[row.key_id].known[row.kind].sources[row.name] = source
    return found


async def save(
    tx: Tx,
    habits: Mapping[int, Habit],
    sources: Mapping[tuple[int, str, str], Source],
    forgotten: Iterable[tuple[int, str, str]],
) -> None:
    """Whole rows: whoever writes has the turn, so nobody else has changed them since."""
    await tx.update_all(
        _SAVE_HABIT,
        [
            (key_id, one.first_ms, one.last_ms, one.gap_ms, one.days)
            for key_id, one in sorted(habits.items())
        ],
    )
    await tx.update_all(
        _SAVE_SOURCE,
        [
            (*place, one.first_ms, one.last_ms, one.days, one.uses)
            for place, one in sorted(sources.items())
        ],
    )
    for key_id, kind, name in sorted(forgotten):
        place = (key_source.c.key_id == key_id, key_source.c.kind == kind)
        await tx.later(sa.delete(key_source).where(*place, key_source.c.name == name))


def _saving(table: str, keys: Sequence[str], values: Sequence[str]) -> BulkChange:
    names = (*keys, *values)
    texts = {"kind", "name"}
    arrays = ", ".join(
        f"${number}::{'text' if name in texts else 'bigint'}[]"
        for number, name in enumerate(names, 1)
    )
    changes = ", ".join(f"{name} = excluded.{name}" for name in values)
    insert = f"INSERT INTO {table} ({', '.join(names)})"
    conflict = f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"
    return BulkChange(
        sqlite=f"{insert} VALUES ({', '.join('?' * len(names))}){conflict}",
        postgresql=f"{insert} SELECT * FROM unnest({arrays}){conflict}",  # noqa: S608 - names of our schema
    )


_SAVE_HABIT = _saving("key_habit", ("key_id",), ("first_ms", "last_ms", "gap_ms", "days"))
_SAVE_SOURCE = _saving(
    "key_source", ("key_id", "kind", "name"), ("first_ms", "last_ms", "days", "uses")
)


async def first_uses(tx: Tx, verdict: Verdict) -> list[Use]:
    """The first uses that a verdict is of, for its evidence."""
    columns = ("request_id", "at_ms", "route", "model", "status", "address", "agent")
    query = sa.select(*(usage.c[name] for name in columns)).where(
        usage.c.key_id == verdict.key_id,
        usage.c.at_ms >= verdict.from_ms,
        usage.c.at_ms < verdict.until_ms,
    )
    if verdict.is_failed:
        broken = usage.c.outcome.in_(["cut", "unreachable", "lost"])
        query = query.where(sa.or_(usage.c.status >= 400, broken))
    for name in ("address", "agent"):
        if (value := getattr(verdict, name)) is not None:
            query = query.where(usage.c[name] == value)
    rows = await tx.execute(query.order_by(usage.c.at_ms, usage.c.id).limit(ROWS_TOLD))
    return [Use(**row._mapping) for row in rows]


async def clean(tx: Tx, before_ms: int) -> int:
    """Forget sources that were not seen since; what comes back after that is new again."""
    old = sa.select(key_source.c.key_id, key_source.c.kind, key_source.c.name)
    old = old.where(key_source.c.last_ms < before_ms).limit(CLEAN_ROWS_MAX)
    places = sa.tuple_(key_source.c.key_id, key_source.c.kind, key_source.c.name)
    return (await tx.execute(sa.delete(key_source).where(places.in_(old)))).rowcount
