"""Months of usage on PostgreSQL: no row is ever refused, lost or counted twice for their sake."""

import datetime
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from tallygate.core.rollup import roll
from tallygate.store import migrations, partitions, rollup_sweep, rollups, usage
from tallygate.store.database import Database
from tallygate.store.views import create_views
from tests.store.uses import actual, expected, insert, rows_of, use

pytestmark = pytest.mark.anyio


def ms(text: str) -> int:
    return int(datetime.datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp() * 1000)


@pytest.fixture
async def db(postgresql_url: str) -> AsyncIterator[Database]:
    db = Database(postgresql_url)
    await db.open()
    await migrations.migrate(db)
    yield db
    await db.close()


async def add(db: Database, *days: str) -> None:
    async with db.writing() as tx:
        await insert(tx, [use(at_ms=ms(day)) for day in days])


async def where(db: Database) -> dict[str, int]:
    """How many rows each partition has; empty ones are left out."""
    async with db.reading() as tx:
        query = sa.text("SELECT tableoid::regclass::text AS name, count(*) FROM usage GROUP BY 1")
        return {row[0]: row[1] for row in (await tx.execute(query)).all()}


async def sum_up(db: Database) -> None:
    async with db.reading() as tx:
        mark = await rollups.read_mark(tx)
    async with db.writing() as tx:
        if not mark.zone:
            await rollup_sweep.set_zone(tx, mark, "UTC")
            mark = await rollups.read_mark(tx)
    async with db.reading() as tx:
        newest = int(await tx.scalar(sa.text("SELECT max(id) FROM usage")))
        groups = await rollups.read_groups(tx, mark.usage_id, newest)
    async with db.writing() as tx:
        assert await rollups.write(tx, mark, newest, roll(groups, mark.zone), 1)


def _upgrade(connection: sa.Connection, target: str) -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    context = MigrationContext.configure(connection)
    steps = list(scripts.iterate_revisions(target, context.get_current_revision() or "base"))
    with Operations.context(context):
        for step in reversed(steps):
            step.module.upgrade()
            context.stamp(scripts, step.revision)


async def test_a_table_that_is_in_use_becomes_the_first_partition(postgresql_url: str) -> None:
    """An operator's rows stay where they are, with their ids; views and new rows go on."""
    db = Database(postgresql_url)
    await db.open()
    async with db.writing() as tx:
        await tx.execute(sa.text("CREATE SCHEMA tallygate"))
        await tx.run_sync(lambda connection: _upgrade(connection, "0006"))
        await create_views(tx)
        await insert(tx, [use(at_ms=ms("2024-02-03")), use(at_ms=ms("2026-01-01"))])
    before = await rows_of(db)
    async with db.writing() as tx:
        await tx.run_sync(lambda connection: _upgrade(connection, "0007"))
        await create_views(tx)
    assert await rows_of(db) == before
    async with db.writing() as tx:  # by either bulk path
        await insert(tx, [use(at_ms=ms("2025-05-05"))])
        await insert(tx, [use(at_ms=ms("2025-05-06")) for _ in range(100)])
    assert await where(db) == {"usage_before": 103}
    ids = [row["id"] for row in await rows_of(db)]
    assert sorted(ids) == list(range(1, 104))
    async with db.reading() as tx:
        await tx.execute(sa.text("SELECT * FROM token_usage_logs"))
        found = await tx.scalar(
            sa.text("SELECT pg_get_serial_sequence('usage', 'id') LIKE '%usage_id_seq'")
        )
        assert found, "the sequence outlives the first partition"
    await db.close()


async def test_months_are_made_ahead_once(db: Database) -> None:
    """And a use whose month nobody had made is moved there, as it is."""
    async with db.reading() as tx:
        (first,) = await partitions.partitions(tx)
        now_ms = first.end_ms - 1
    later = datetime.datetime.fromtimestamp(first.end_ms / 1000 + 86_400, datetime.UTC)
    await add(db, later.date().isoformat(), "2999-01-01")
    assert await where(db) == {"usage_rest": 2}
    before = await rows_of(db)
    async with db.writing() as tx:
        assert await partitions.make_ahead(tx, now_ms) == 2
    async with db.writing() as tx:
        assert await partitions.make_ahead(tx, now_ms) == 0
        found = await partitions.partitions(tx)
    assert [one.start_ms for one in found] == [None, found[0].end_ms, found[1].end_ms]
    assert await where(db) == {f"usage_{later:%Y_%m}": 1, "usage_rest": 1}
    assert sorted(map(str, await rows_of(db))) == sorted(map(str, before))


async def test_a_month_goes_whole_when_it_is_old_and_summed_up(db: Database) -> None:
    """And not before: sums of what is gone are never made."""
    async with db.reading() as tx:
        (first,) = await partitions.partitions(tx)
    async with db.writing() as tx:
        await partitions.make_ahead(tx, first.end_ms, 2)
    later = datetime.datetime.fromtimestamp(first.end_ms / 1000 + 86_400, datetime.UTC)
    await add(db, "2024-01-01", "2024-01-02", later.date().isoformat())
    async with db.writing() as tx:
        assert await partitions.drop_before(tx, first.end_ms) == 0
    await sum_up(db)
    sums = expected(await rows_of(db), "UTC")
    async with db.writing() as tx:
        assert await partitions.drop_before(tx, first.end_ms - 1) == 0, "not all of it is old"
    async with db.writing() as tx:
        assert await usage.clean(tx, first.end_ms) == 2
    async with db.writing() as tx:
        assert await usage.clean(tx, first.end_ms) == 0
    assert await where(db) == {f"usage_{later:%Y_%m}": 1}
    assert await actual(db) == sums
    await add(db, "2024-01-03")  # a late one has a place still
    assert (await where(db))["usage_rest"] == 1
    async with db.reading() as tx:
        assert max(row["id"] for row in await rows_of(db)) == 4, "ids go on"


async def test_sqlite_has_no_months(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/tallygate.db")
    await db.open()
    await migrations.migrate(db)
    async with db.writing() as tx:
        assert await partitions.partitions(tx) == []
        assert await partitions.make_ahead(tx, 1) == 0
        assert await partitions.drop_before(tx, 1 << 50) == 0
    await db.close()
