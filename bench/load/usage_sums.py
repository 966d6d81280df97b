"""Sums of very many rows of usage in single statements: only for a store that nobody uses yet."""

import sqlalchemy as sa

from tallygate.core.rollup import SUMS
from tallygate.store import rollups
from tallygate.store.database import Database
from tallygate.store.rollup_schema import (
    DURATIONS,
    Grain,
    rollup_day,
    rollup_hour,
    rollup_mark,
    total_day,
    total_hour,
)
from tallygate.store.schema import usage

DEADLINE_S = 900.0
_VALUES = (*SUMS, *DURATIONS)


async def make(database: Database, upto_id: int) -> None:
    """Hours and days of UTC, of the rows up to that id, and the mark there."""
    statements = [_hours(database.dialect, upto_id), _days(rollup_hour, rollup_day, ("key_id",))]
    statements += [_total(grain) for grain in Grain]
    statements.append(_days(total_hour, total_day, ("grain",)))
    for statement in statements:
        async with database.writing(deadline_s=DEADLINE_S) as tx:
            await tx.execute(statement)
    async with database.writing() as tx:
        await tx.execute(sa.update(rollup_mark).values(usage_id=upto_id, zone="UTC"))


def _hours(dialect: str, upto_id: int) -> sa.Insert:
    of = rollups.grouping(dialect).where(usage.c.id <= upto_id).subquery()
    hour_s = (of.c.quarter // 4 * 3600).label("bucket_s")
    places = (hour_s, of.c.key_id, of.c.route, of.c.model)
    steps = (
        sa.func.sum(sa.case((of.c.step == number, of.c.uses))) for number in range(len(DURATIONS))
    )
    sums = (*(sa.func.sum(of.c[name]) for name in SUMS), *steps, sa.func.max(of.c.last_ms))
    return _into(rollup_hour, ("bucket_s", "key_id", "route", "model"), places, sums)


def _days(source: sa.Table, target: sa.Table, first: tuple[str, ...]) -> sa.Insert:
    day_s = (source.c.bucket_s // 86_400 * 86_400).label("bucket_s")
    names = (*first, "route", "model")
    places = (day_s, *(source.c[name] for name in names))
    return _into(target, ("bucket_s", *names), places, _sums(source))


def _total(grain: Grain) -> sa.Insert:
    nothing: sa.ColumnElement[str] = sa.literal_column("''", sa.Text)
    route = rollup_hour.c.route if grain in (Grain.ROUTE, Grain.BOTH) else nothing
    model = rollup_hour.c.model if grain in (Grain.MODEL, Grain.BOTH) else nothing
    number: sa.ColumnElement[int] = sa.literal_column(str(int(grain)), sa.Integer)
    places = (number, rollup_hour.c.bucket_s, route.label("route"), model.label("model"))
    sums = _sums(rollup_hour)
    return _into(total_hour, ("grain", "bucket_s", "route", "model"), places, sums)


def _sums(source: sa.Table) -> tuple[sa.ColumnElement[int], ...]:
    return (*(sa.func.sum(source.c[name]) for name in _VALUES), sa.func.max(source.c.last_ms))


def _into(
    target: sa.Table,
    names: tuple[str, ...],
    places: tuple[sa.ColumnElement[int | str], ...],
    sums: tuple[sa.ColumnElement[int], ...],
) -> sa.Insert:
    query = sa.select(*places, *sums).group_by(*(sa.text(str(n + 1)) for n in range(len(places))))
    return sa.insert(target).from_select([*names, *_VALUES, "last_ms"], query)
