"""SQLite in threads: what waits is done or the transaction is not, and no connection is shared."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallygate.core.errors import StoreUnavailable
from tallygate.store import schema, sqlite
from tallygate.store.database import Database
from tallygate.store.migrations import migrate
from tallygate.store.sqlite_tx import READERS_MAX, SqliteTx
from tallygate.store.threads import ConnectionThread, Pool
from tests.store.test_database import event, seqs

pytestmark = pytest.mark.anyio

DEADLINE_S = 60.0  # so long that what ends a statement is never this
SOON_S = 20.0  # a bound for what would otherwise hang the whole run
ENDLESS = sa.text(
    "WITH RECURSIVE n(i) AS (SELECT began() UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    db = Database(f"sqlite:///{tmp_path}/tallygate.db", deadline_s=DEADLINE_S)
    await db.open()
    await migrate(db)
    yield db
    await db.close()


def signal_beginning(tx: object) -> asyncio.Event:
    """Set once the endless statement runs in its thread."""
    assert isinstance(tx, SqliteTx)
    loop, has_begun = asyncio.get_running_loop(), asyncio.Event()

    def began() -> int:
        loop.call_soon_threadsafe(has_begun.set)
        return 1

    tx._thread.driver.create_function("began", 0, began)
    return has_begun


async def test_a_cancelled_caller_stops_its_statement_and_frees_the_writer(db: Database) -> None:
    """A client that goes away must not keep everyone else from writing until a deadline."""
    for _ in range(3):
        running: asyncio.Queue[asyncio.Event] = asyncio.Queue()

        async def write(running: asyncio.Queue[asyncio.Event] = running) -> None:
            async with db.writing() as tx:
                await tx.execute(sa.insert(schema.feed), event(1))
                running.put_nowait(signal_beginning(tx))
                await tx.execute(ENDLESS)

        task = asyncio.create_task(write())
        await (await running.get()).wait()
        task.cancel()
        async with asyncio.timeout(SOON_S):
            with pytest.raises(asyncio.CancelledError):
                await task
            async with db.writing() as tx:
                await tx.execute(sa.insert(schema.feed), event(2))
                await tx.execute(sa.delete(schema.feed))
    assert await seqs(db) == []


async def test_a_write_done_later_is_there_for_the_next_statement(store: Database) -> None:
    """Nobody has to know which writes wait: the order is the order of the calls."""
    count = sa.select(sa.func.count()).select_from(schema.feed)
    async with store.writing() as tx:
        await tx.later(sa.insert(schema.feed), [event(1), event(2)])
        await tx.insert_many(schema.feed, [event(3)])
        await tx.later(sa.delete(schema.feed).where(schema.feed.c.seq == 1))
        assert await tx.scalar(count) == 2
        await tx.later(sa.insert(schema.feed), event(4))
    assert sorted(await seqs(store)) == [2, 3, 4]


async def test_a_write_done_later_that_fails_fails_the_commit(store: Database) -> None:
    """Money that was not written must not look as if it was."""
    with pytest.raises(sa.exc.IntegrityError):
        async with store.writing() as tx:
            await tx.execute(sa.insert(schema.feed), event(1))
            await tx.later(sa.insert(schema.feed), event(1))
    assert await seqs(store) == []


async def test_a_failed_write_can_not_be_passed_over(db: Database) -> None:
    """Half of it may be done: whoever swallows the error still gets no COMMIT."""
    with pytest.raises(sqlite3.IntegrityError):
        async with db.writing() as tx:
            await tx.insert_many(schema.feed, [event(1), event(2), event(1)])
            await tx.insert_many(schema.feed, [event(3)])
            for _ in range(2):
                with pytest.raises(sqlite3.IntegrityError):
                    await tx.execute(sa.select(schema.feed))
    assert await seqs(db) == []


async def test_a_savepoint_holds_the_writes_that_wait_inside(store: Database) -> None:
    """Jobs that share a transaction fail one by one, also when what failed was done later."""
    async with store.writing() as tx:
        await tx.later(sa.insert(schema.feed), event(1))
        for _ in range(2):
            with pytest.raises(sa.exc.IntegrityError):
                async with tx.savepoint():
                    await tx.later(sa.insert(schema.feed), event(2))
                    await tx.later(sa.insert(schema.feed), event(1))
        with pytest.raises(ZeroDivisionError):
            async with tx.savepoint():
                await tx.later(sa.insert(schema.feed), event(3))
                _ = 1 // 0
        with pytest.raises(ZeroDivisionError):
            async with tx.savepoint():
                async with tx.savepoint():
                    await tx.later(sa.insert(schema.feed), event(3))
                _ = 1 // 0
        async with tx.savepoint():
            async with tx.savepoint():
                await tx.execute(sa.insert(schema.feed), event(4))
            await tx.later(sa.insert(schema.feed), event(5))
        await tx.later(sa.insert(schema.feed), event(6))
    assert sorted(await seqs(store)) == [1, 4, 5, 6]


async def test_what_waits_in_a_savepoint_that_is_undone_is_not_tried(db: Database) -> None:
    """A write that would fail must not hide why the savepoint is undone, nor undo any more."""
    async with db.writing() as tx:
        await tx.later(sa.insert(schema.feed), event(1))
        with pytest.raises(ZeroDivisionError):
            async with tx.savepoint():
                await tx.later(sa.insert(schema.feed), event(1))
                _ = 1 // 0
    assert await seqs(db) == [1]


async def test_nothing_is_written_after_sqlite_undid_a_transaction(db: Database) -> None:
    """A full disk undoes all of it; a statement after that would be committed by itself."""
    undoing = sa.text("INSERT OR ROLLBACK INTO store SELECT * FROM store")
    with pytest.raises(StoreUnavailable, match="undid"):
        async with db.writing() as tx:
            await tx.execute(sa.insert(schema.feed), event(1))
            with pytest.raises(sa.exc.IntegrityError):
                await tx.execute(undoing)
            await tx.later(sa.insert(schema.feed), event(2))
    assert await seqs(db) == []
    with pytest.raises(StoreUnavailable, match="undid"):
        async with db.writing() as tx, tx.savepoint():
            await tx.execute(undoing)
    assert await seqs(db) == []


async def test_rows_outlive_their_transaction(store: Database) -> None:
    """They were all read: whoever reads them late does not touch a connection lent to another."""
    async with store.writing() as tx:
        await tx.execute(sa.insert(schema.feed), [event(number) for number in range(3000)])
    async with store.reading() as tx:
        some = await tx.execute(sa.select(schema.feed.c.seq).order_by(schema.feed.c.seq))
        others = await tx.execute(sa.select(schema.feed.c.seq))
    await store.close()
    assert list(some.scalars()) == list(range(3000))
    assert len(others.all()) == 3000
    await store.open()


async def test_a_broken_connection_costs_one_failure(db: Database) -> None:
    """It is replaced, not lent out again."""
    for transaction in (db.writing, db.reading):
        with pytest.raises(StoreUnavailable, match="lost"):
            async with transaction() as tx:
                assert isinstance(tx, SqliteTx)
                await tx.execute(sa.select(schema.feed))
                tx._thread.driver.close()
                await tx.execute(sa.select(schema.feed))
        async with transaction() as tx:
            await tx.execute(sa.select(schema.feed))


async def test_a_transaction_that_is_over_is_used_no_more(db: Database) -> None:
    """Its connection may be another's by now."""
    async with db.reading() as done:
        await done.execute(sa.select(schema.feed))
    with pytest.raises(ZeroDivisionError):
        async with db.reading() as undone:
            _ = 1 // 0
    async with db.reading():
        for tx in (done, undone):
            with pytest.raises(RuntimeError, match="is over"):
                await tx.execute(sa.select(schema.feed))


async def test_more_callers_than_connections_wait_in_line(db: Database) -> None:
    """Nobody is refused for coming second, and writers lose nothing of one another."""

    async def write(number: int) -> None:
        async with db.writing() as tx:
            await tx.later(sa.insert(schema.feed), event(number))

    numbers = range(5 * READERS_MAX)
    await asyncio.gather(*(write(number) for number in numbers), *(seqs(db) for _ in numbers))
    assert sorted(await seqs(db)) == list(numbers)


async def test_a_closed_store_leaves_no_thread_and_no_lock(tmp_path: Path) -> None:
    """What restarts in one process, as the tests of the product do, must not pile up."""
    before = set(threading.enumerate())
    db = Database(f"sqlite:///{tmp_path}/a.db")
    await db.open()
    await migrate(db)
    async with db.writing(), db.reading() as tx:
        await tx.execute(sa.select(schema.feed))
    ours = set(threading.enumerate()) - before
    assert ours
    await db.close()
    for thread in ours:
        thread.join(SOON_S)
    assert not any(thread.is_alive() for thread in ours)
    assert [found.name for found in os.scandir(tmp_path)] == ["a.db"]  # nobody has it open


async def test_what_is_lent_out_at_the_end_is_closed_when_it_comes_back(tmp_path: Path) -> None:
    """A transaction that outlives its store neither fails for it nor leaves a lock behind."""
    db = Database(f"sqlite:///{tmp_path}/a.db")
    await db.open()
    await migrate(db)
    async with db.writing() as tx:
        assert isinstance(tx, SqliteTx)
        await db.close()
        await tx.execute(sa.insert(schema.feed), event(1))
        thread = tx._thread
        late = asyncio.create_task(tx._pool.take())
        await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="not open"):
        await late
    with pytest.raises(StoreUnavailable, match="lost"):
        await thread.run(lambda: None)
    with closing(sqlite3.connect(tmp_path / "a.db")) as other:
        assert other.execute("SELECT seq FROM feed").fetchall() == [(1,)]
        other.execute("DELETE FROM feed")


async def test_a_function_whose_caller_left_before_it_began_never_runs(tmp_path: Path) -> None:
    """Work for nobody would only hold up who comes next."""
    thread = ConnectionThread()
    may_go_on, ran = threading.Event(), list[int]()
    first = asyncio.create_task(thread.run(may_go_on.wait))
    second = asyncio.create_task(thread.run(lambda: ran.append(2)))
    third = asyncio.create_task(thread.run(lambda: ran.append(3)))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    may_go_on.set()
    await asyncio.gather(first, third)
    assert ran == [3]
    await thread.end()


async def test_a_connection_that_can_not_be_made_is_not_counted(tmp_path: Path) -> None:
    """Or a store that was away for a while would be busy for ever."""
    pool = Pool(sqlite.make_engine(tmp_path / "nowhere" / "a.db", 1.0), 1)
    for _ in range(3):
        with pytest.raises(sa.exc.OperationalError):
            await pool.take()
    pool = Pool(sqlite.make_engine(tmp_path / "a.db", 1.0), 1)
    pool.give(await pool.take(), is_fit=False)
    thread = await pool.take()
    pool.give(thread, is_fit=True)
    assert await pool.take() is thread
    pool.give(thread, is_fit=True)
    await pool.close()
