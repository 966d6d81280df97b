"""Transactions: all or nothing, bounded in time, every failure in our own words."""

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.store import feed, postgresql, schema, sqlite
from tallygate.store.database import Database
from tallygate.store.migrations import migrate
from tests.store.books import NOW_MS

pytestmark = pytest.mark.anyio


def event(seq: int) -> dict[str, object]:
    what = {"kind": "key", "subject": 1, "detail": 0}
    return {"seq": seq, **what, "node": "n", "at_ms": NOW_MS}


async def seqs(db: Database) -> list[int]:
    async with db.reading() as tx:
        return list((await tx.execute(sa.select(schema.feed.c.seq))).scalars())


async def test_what_raises_leaves_nothing_and_the_next_transaction_works(store: Database) -> None:
    """An exception of any kind rolls back and gives the connection back clean."""
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            async with store.writing() as tx:
                await tx.execute(sa.insert(schema.feed), event(1))
                _ = 1 // 0
    async with store.writing() as tx:
        await tx.execute(sa.insert(schema.feed), event(2))
    assert await seqs(store) == [2]


async def test_a_cancelled_transaction_leaves_nothing(store: Database) -> None:
    """A client that goes away in the middle must neither hold a lock nor keep half a change."""
    for _ in range(10):
        has_written = asyncio.Event()

        async def write(has_written: asyncio.Event = has_written) -> None:
            async with store.writing() as tx:
                await tx.execute(sa.insert(schema.feed), event(1))
                has_written.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(write())
        await has_written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with store.writing() as tx:
        await tx.execute(sa.insert(schema.feed), event(2))
    assert await seqs(store) == [2]


async def test_a_savepoint_undoes_only_what_is_inside(store: Database) -> None:
    """Commands that share a transaction fail one by one, a broken rule of the store included."""
    async with store.writing() as tx:
        await tx.execute(sa.insert(schema.feed), event(1))
        with pytest.raises(sa.exc.IntegrityError):
            async with tx.savepoint():
                await tx.execute(sa.insert(schema.feed), event(2))
                await tx.execute(sa.insert(schema.feed), event(1))
        async with tx.savepoint():
            await tx.execute(sa.insert(schema.feed), event(3))
    assert sorted(await seqs(store)) == [1, 3]


@pytest.mark.parametrize("size", [1, 500])
async def test_many_rows_go_in_as_mappings_or_tuples(store: Database, size: int) -> None:
    """Both bulk paths write the same, and roll back with their transaction."""
    rows = [event(number) for number in range(size)]
    columns = list(event(0))
    tuples = [tuple(event(number).values()) for number in range(size, 2 * size)]
    async with store.writing() as tx:
        await tx.insert_many(schema.feed, rows)
        await tx.insert_many(schema.feed, tuples, columns)
        await tx.insert_many(schema.feed, [])
    assert sorted(await seqs(store)) == list(range(2 * size))
    with pytest.raises(ZeroDivisionError):
        async with store.writing() as tx:
            await tx.insert_many(schema.feed, [event(-number - 1) for number in range(size)])
            _ = 1 // 0
    assert len(await seqs(store)) == 2 * size


async def test_readers_see_one_state_while_a_writer_writes(store: Database) -> None:
    """A report is of one moment, and waits for nobody."""
    async with store.writing() as tx, store.reading() as reader:
        assert await feed.latest(reader) == 0
        await feed.append(tx, "key", 1, 0, "n", NOW_MS)
        assert await feed.latest(reader) == 0


async def test_a_slow_statement_is_given_up(store: Database) -> None:
    """Every await on the store has a deadline; the store is usable again afterwards."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(StoreUnavailable):
        async with store.reading(deadline_s=0.2) as tx:
            await tx.execute(sa.text(endless))
    assert await seqs(store) == []


async def test_a_store_that_is_not_open_is_unavailable(store: Database) -> None:
    """During a shutdown a late caller gets the domain's error, not an attribute error."""
    await store.close()
    with pytest.raises(StoreUnavailable):
        async with store.writing():
            pass
    await store.open()


async def test_the_clock_never_goes_back_even_over_a_restart(tmp_path: Path) -> None:
    """A window that was closed must not open again because someone set the machine's clock."""
    url, system = f"sqlite:///{tmp_path}/a.db", [NOW_MS]
    store = Database(url, system_clock_ms=lambda: system[0])
    await store.open()
    await migrate(store)
    readings = []
    for now_ms in (NOW_MS + 5000, NOW_MS + 5300, NOW_MS - 9999, NOW_MS + 5301):
        system[0] = now_ms
        readings.append(await store.clock_ms() - NOW_MS)
    await store.close()
    assert readings == [5000, 5300, 5300, 5301]
    again = Database(url, system_clock_ms=lambda: NOW_MS)
    await again.open()
    assert await again.clock_ms() == NOW_MS + 5000
    await again.close()


async def test_postgresql_answers_with_its_own_clock(postgresql_url: str) -> None:
    """Nodes whose clocks differ must agree on which window it is."""
    store = Database(postgresql_url, system_clock_ms=lambda: 0)
    await store.open()
    first, second = await store.clock_ms(), await store.clock_ms()
    await store.close()
    assert NOW_MS // 2 < first <= second


async def test_a_locked_sqlite_store_is_unavailable(tmp_path: Path) -> None:
    """Another process that holds the lock for too long is a 503, not a crash."""
    path = tmp_path / "a.db"
    store = Database(f"sqlite:///{path}", deadline_s=0.3)
    await store.open()
    await migrate(store)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable):
        async with store.writing():
            pass
    other.execute("ROLLBACK")
    other.close()
    async with store.writing() as tx:
        await feed.append(tx, "key", 1, 0, "n", NOW_MS)
    await store.close()


async def test_a_sqlite_store_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """It holds users' data; what SQLite writes beside it is no different."""
    path = tmp_path / "a.db"
    path.touch(0o644)
    store = Database(f"sqlite:///{path}")
    await store.open()
    await migrate(store)
    files = os.scandir(tmp_path)
    modes = {stat.S_IMODE(found.stat().st_mode) for found in files}
    await store.close()
    assert modes == {0o600}


async def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    """Not overwritten, not a stack trace."""
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreRefused, match="not an SQLite database"):
        await Database(f"sqlite:///{path}").open()
    assert path.read_bytes().startswith(b"not a database")


async def test_a_missing_store_is_made_only_by_who_may(tmp_path: Path) -> None:
    """A reading command with a wrong path must not leave an empty store there."""
    path = tmp_path / "a.db"
    with pytest.raises(StoreRefused, match=r"there is no store at .*a\.db"):
        await Database(f"sqlite:///{path}").open(may_create=False)
    assert not path.exists()
    with pytest.raises(StoreRefused):
        await Database(f"sqlite:///{tmp_path}/nowhere/a.db").open()


async def test_an_unreachable_server_is_unavailable() -> None:
    """Nothing listens there: the domain's error at once."""
    with pytest.raises(StoreUnavailable):
        await Database("postgres://u:secret@127.0.0.1:1/db?sslmode=disable").open()


async def test_a_reader_sees_one_state_whatever_is_committed_meanwhile(store: Database) -> None:
    """A clerk that saw an empty feed and then a later number took the event between for pruned,
    and skipped it."""
    async with store.reading() as tx:
        assert await feed.latest(tx) == 0
        async with store.writing() as writing:
            await feed.append(writing, "config", 0, 0, "n", NOW_MS)
        assert await feed.latest(tx) == 0
        assert await feed.read_since(tx, 0) == ([], 1)
    async with store.reading() as tx:
        events, oldest = await feed.read_since(tx, 0)
    assert ([event.kind for event in events], oldest) == (["config"], 1)


async def test_lost_connections_cost_one_failure_and_no_restart(postgresql_url: str) -> None:
    """When the server is back, so are we."""
    store = Database(postgresql_url)
    await store.open()
    await migrate(store)
    mine = "pid <> pg_backend_pid() AND datname = current_database()"
    killer = Database(postgresql_url)
    await killer.open()
    with pytest.raises(StoreUnavailable):
        async with store.writing() as tx:
            await tx.execute(sa.insert(schema.feed), event(1))
            async with killer.writing() as other:
                kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"
                await other.execute(sa.text(kill))
            await tx.execute(sa.insert(schema.feed), event(2))
    assert await seqs(store) == []
    await killer.close()
    await store.close()


async def test_a_servers_last_word_on_an_idle_connection_costs_one_failure(
    postgresql_url: str,
) -> None:
    """A server that shuts down says so, and closes a moment later: who asks in that moment met an
    error that nobody translated, and the clerk ended with it."""
    store = Database(postgresql_url)
    await store.open()
    await migrate(store)
    async with store.reading() as tx:
        protocol = tx._driver._protocol
    said = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"
    protocol.data_received(b"E" + (len(said) + 4).to_bytes(4, "big") + said)
    with pytest.raises(StoreUnavailable, match="lost"):
        await seqs(store)
    assert await seqs(store) == []
    await store.close()


def test_options_of_other_clients_do_not_reach_the_server() -> None:
    """Hosted databases hand out URLs with options that asyncpg would send on as settings."""
    url = "postgres://u:p%40@h:5/d?sslmode=require&channel_binding=require&pgbouncer=true"
    assert postgresql.cleaned_url(url) == "postgresql://u:p%40@h:5/d?sslmode=require"
    socket = "postgresql://postgres:@/postgres?host=/run/pg"
    assert postgresql.cleaned_url(socket) == "postgresql://postgres:@/postgres?host=%2Frun%2Fpg"


def test_a_database_never_shows_its_password() -> None:
    """It ends up in logs and tracebacks."""
    assert "secret" not in repr(Database("postgresql://u:secret@h/d"))


def test_root_may_open_a_store_of_somebody_else(tmp_path: Path) -> None:
    """Only the owner's own file changes its mode."""
    path = tmp_path / "a.db"
    path.touch(0o640)
    if os.geteuid() != 0:
        pytest.skip("needs root")
    os.chown(path, 65534, 65534)
    sqlite.prepare_file(path, may_create=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
