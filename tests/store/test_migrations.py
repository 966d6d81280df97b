"""A store is brought to our schema by one or by many, or refused in one clear line."""

import asyncio
import re

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tallygate.core.errors import StoreRefused
from tallygate.store import (
    anomaly_schema,
    edge_schema,
    keeper_schema,
    money_schema,
    people_schema,
    rollup_schema,
    routes_schema,
    schema,
    tables,
    usage_schema,
)
from tallygate.store.database import Database
from tallygate.store.migrations import VERSION_TABLE, check_schema, migrate, store_uuid

pytestmark = pytest.mark.anyio

# Who is imported is in the metadata.
ALL = (
    schema,
    anomaly_schema,
    people_schema,
    money_schema,
    keeper_schema,
    routes_schema,
    usage_schema,
    rollup_schema,
    edge_schema,
)


async def set_row(store: Database, **values: int) -> None:
    async with store.writing() as tx:
        await tx.execute(sa.update(schema.store).values(**values))


def is_ours(table: str) -> bool:
    """Months of usage come and go."""
    return table != VERSION_TABLE and not re.fullmatch(r"usage_(before|rest|\d{4}_\d\d)", table)


async def test_migrations_build_exactly_the_schema_that_the_code_speaks(store: Database) -> None:
    """Otherwise a store made by migrating differs from what every statement is written for."""

    def differences(connection: sa.Connection) -> list[object]:
        ours = {
            "include_name": lambda name, kind, _: kind != "table" or is_ours(name),
            "include_object": lambda item, _, kind, *__: kind != "index" or is_meant(item),
        }
        options = {"compare_type": True, "compare_server_default": True, **ours}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, tables.metadata))

    def is_meant(index: sa.Index) -> bool:
        return store.dialect == "postgresql" or index.name != "rollup_day_sums"

    async with store.reading() as tx:
        assert await tx.run_sync(differences) == []


async def test_indexes_on_postgresql_hold_what_keys_are_ranked_by(store: Database) -> None:
    """A ranking over a month would read every wide row of it for a number or two. On SQLite, whose
    tables lie in the order of time, one more index would only cost."""

    def indexes(connection: sa.Connection, table: str) -> dict[str | None, list[str]]:
        found = sa.inspect(connection).get_indexes(table, schema=place)
        return {
            one["name"]: list(one.get("dialect_options", {}).get("postgresql_include", []))
            for one in found
        }

    place = "tallygate" if store.dialect == "postgresql" else None
    async with store.reading() as tx:
        days = await tx.run_sync(lambda connection: indexes(connection, "rollup_day"))
        hours = await tx.run_sync(lambda connection: indexes(connection, "rollup_hour"))
    if store.dialect == "sqlite":
        assert set(days) == {"rollup_day_of_key"}
        return
    assert set(days["rollup_day_sums"]) == set(rollup_schema.RANKED)
    assert hours["rollup_hour_of_key"] == ["uses"]


async def test_rules_inside_tables_are_in_the_store_too(store: Database) -> None:
    """Comparison tools do not see CHECK constraints and index conditions; the store must."""
    async with store.writing() as tx:
        row = {"id": 1, "subject_kind": "key", "subject_id": "1", "is_daily": True}
        limit = {**row, "dimension": "requests", "span": "day", "zone": "UTC", "created_ms": 1}
        await tx.execute(sa.insert(schema.limits), limit)
        counter = {"limit_id": 1, "window_s": 0, "generation": 1, "spent": 0, "updated_ms": 0}
        with pytest.raises(sa.exc.IntegrityError):
            async with tx.savepoint():
                await tx.execute(sa.insert(schema.counter), {**counter, "leased": -1})
        boot = {"node": "n", "slot": 0, "boot": 1, "started_ms": 1, "segment": 0, "offset": 0}
        await tx.execute(sa.insert(schema.boot), boot)
        totals = {"granted": 0, "returned": 0, "spent": 0, "journaled": 0}
        lease = {"boot_id": 1, "limit_id": 1, "window_s": 0, "generation": 1, **totals}
        for is_closing in (True, True, False):
            await tx.execute(sa.insert(schema.lease), {**lease, "is_closing": is_closing})
        with pytest.raises(sa.exc.IntegrityError):
            async with tx.savepoint():
                await tx.execute(sa.insert(schema.lease), {**lease, "is_closing": False})


async def test_two_processes_migrating_at_once_do_not_clash(store_url: str) -> None:
    """Two nodes that start together on an empty database must both come up, on one store."""
    stores = [Database(store_url) for _ in range(3)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(migrate(store) for store in stores))
    uuids = set()
    for store in stores:
        await check_schema(store)
        async with store.reading() as tx:
            uuids.add(await store_uuid(tx))
        await store.close()
    assert len(uuids) == 1


async def test_migrating_again_changes_nothing(store: Database) -> None:
    """Every start migrates; the store's identity must outlive that."""
    async with store.reading() as tx:
        before = (await tx.execute(sa.select(schema.store))).one()
    await migrate(store)
    async with store.reading() as tx:
        assert (await tx.execute(sa.select(schema.store))).one() == before


async def test_an_empty_store_is_refused_by_who_only_reads(store_url: str) -> None:
    """A reading command must not take an empty file for a store without keys."""
    store = Database(store_url)
    await store.open()
    with pytest.raises(StoreRefused, match="run `tallygate db migrate`"):
        await check_schema(store)
    await store.close()


async def test_a_store_that_needs_newer_code_is_refused(store: Database) -> None:
    """Old code that writes into a schema it does not understand would corrupt it."""
    async with store.writing() as tx:
        await tx.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '0099'"))
    await set_row(store, version=99, min_code=99)
    for attempt in (check_schema, migrate):
        with pytest.raises(StoreRefused, match="needs code for schema 99 or newer"):
            await attempt(store)


async def test_a_newer_store_that_allows_older_code_is_used_as_it_is(store: Database) -> None:
    """A cluster is upgraded node by node: the old nodes go on serving."""
    async with store.writing() as tx:
        await tx.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '0099'"))
    await set_row(store, version=99, min_code=1)
    await check_schema(store)
    await migrate(store)


async def test_a_half_migrated_store_is_refused(store: Database) -> None:
    """Tables and recorded version disagree: nothing may be guessed."""
    await set_row(store, version=0)
    for attempt in (check_schema, migrate):
        with pytest.raises(StoreRefused, match="half migrated"):
            await attempt(store)
    async with store.writing() as tx:
        await tx.execute(sa.delete(schema.store))
    with pytest.raises(StoreRefused, match="half migrated"):
        await check_schema(store)


async def test_a_store_with_an_older_schema_is_refused_until_it_is_migrated(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that does not migrate must not use tables that lack its columns."""
    newer = schema.SCHEMA_VERSION + 1
    monkeypatch.setattr(schema, "SCHEMA_VERSION", newer)
    with pytest.raises(StoreRefused, match=f"older than this code's {newer}"):
        await check_schema(store)


async def test_a_failing_migration_leaves_nothing_behind(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in the middle must not leave tables that no version describes."""
    store = Database(store_url)
    await store.open()

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("tallygate.store.migrations._write_version", fail)
        with pytest.raises(RuntimeError):
            await migrate(store)
    with pytest.raises(StoreRefused, match="empty"):
        await check_schema(store)
    await migrate(store)
    await check_schema(store)
    await store.close()
