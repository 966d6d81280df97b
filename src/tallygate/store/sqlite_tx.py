"""Transactions on SQLite: one hop to the connection's thread for each answer that is awaited.

What has no answer to wait for waits itself: BEGIN, inserted rows and whatever is done `later` go
along with the next hop, the last of them with COMMIT.
"""

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine.cursor import FullyBufferedCursorFetchStrategy

from tallygate.core.errors import StoreUnavailable
from tallygate.store import sqlite
from tallygate.store.guard import Guard
from tallygate.store.threads import ConnectionThread, Pool
from tallygate.store.tx import (
    ROLLBACK_DEADLINE_S,
    BulkChange,
    Connections,
    Parameters,
    Read,
    Tx,
    require_all,
)

READERS_MAX = 4
CLOSE_WAIT_S = 2.0
WAL_SWITCH_TRIES = 50
WAL_SWITCH_PAUSE_S = 0.1

T = TypeVar("T")


class SqliteTx(Tx):
    __slots__ = ("_begin", "_failure", "_has_begun", "_pool", "_thread", "_waiting")

    def __init__(self, pool: Pool, thread: ConnectionThread, begin: str, deadline_s: float) -> None:
        super().__init__("sqlite", deadline_s)
        self._pool = pool
        self._thread = thread
        self._begin = begin
        self._has_begun = False
        self._waiting: deque[Callable[[], object]] = deque()
        self._failure: Exception | None = None  # why nothing more may be done

    async def _hop(self, function: Callable[[], T]) -> T:
        """Run what waited and then the function, in the thread."""
        async with Guard(self._deadline_s, self._thread.interrupt):
            if self._failure is not None:
                raise self._failure
            return await self._thread.run(lambda: self._work(function))

    def _work(self, function: Callable[[], T]) -> T:
        try:
            self._require_begun()
            while self._waiting:
                self._waiting.popleft()()
        except Exception as error:
            self._failure = error
            raise
        return function()

    def _require_begun(self) -> None:
        """Some failures (a full disk, an interrupt) make SQLite undo all of a transaction; what
        came after them would then be committed by itself.
        """
        driver = self._thread.driver
        if not self._has_begun:
            driver.execute(self._begin)
            self._has_begun = True
        elif not driver.in_transaction:
            raise StoreUnavailable("the store undid the transaction")

    def _control(self, text: str) -> Callable[[], object]:
        """A statement of the transaction's own; nothing from outside is ever in it."""
        driver = self._thread.driver
        return lambda: driver.execute(text)

    async def execute(
        self, statement: sa.Executable, parameters: Parameters = None
    ) -> sa.CursorResult[Any]:
        connection = self._thread.connection
        return await self._hop(lambda: _fetched(connection.execute(statement, parameters)))

    async def read_all(self, reads: Sequence[Read]) -> list[list[Sequence[Any]]]:
        driver = self._thread.driver
        asked = [(read.sqlite, tuple(map(_parameter, values))) for read, values in reads]
        return await self._hop(lambda: [driver.execute(*one).fetchall() for one in asked])

    async def later(self, statement: sa.Executable, parameters: Parameters = None) -> None:
        connection = self._thread.connection
        self._waiting.append(lambda: connection.execute(statement, parameters))

    async def _insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        driver = self._thread.driver
        self._waiting.append(lambda: sqlite.insert_many(driver, table, columns, rows))

    async def _update(self, change: BulkChange, rows: Sequence[Sequence[Any]]) -> None:
        driver = self._thread.driver
        self._waiting.append(
            lambda: require_all(driver.executemany(change.sqlite, rows).rowcount, rows)
        )

    async def run_sync(self, function: Callable[[sa.Connection], Any]) -> Any:
        connection = self._thread.connection
        return await self._hop(lambda: function(connection))

    async def _set_savepoint(self, name: str) -> None:
        """At once, so that what waits from now on is inside."""
        await self._hop(self._control(f"SAVEPOINT {name}"))

    async def _release(self, name: str) -> None:
        """Nothing that may fail waits beyond the savepoint it is in."""
        release = self._control(f"RELEASE SAVEPOINT {name}")
        if self._waiting:
            await self._hop(release)
        else:
            self._waiting.append(release)

    async def _undo_to(self, name: str) -> None:
        self._waiting.clear()
        self._failure = None
        self._waiting.append(self._control(f"ROLLBACK TO SAVEPOINT {name}"))
        await self._hop(self._control(f"RELEASE SAVEPOINT {name}"))

    async def begin(self) -> None:
        """With the first statement."""

    async def commit(self) -> None:
        await self._hop(self._control("COMMIT"))

    async def give_back(self) -> None:
        self._failure = RuntimeError("this transaction is over")
        self._pool.give(self._thread, is_fit=True)

    async def roll_back(self) -> None:
        """What still runs for a caller that is gone is interrupted, so that nobody waits for it."""
        is_fit = False
        self._failure = RuntimeError("this transaction is over")
        try:
            is_fit = await self._is_undone()
        finally:
            self._pool.give(self._thread, is_fit=is_fit)

    async def _is_undone(self) -> bool:
        try:
            async with asyncio.timeout(ROLLBACK_DEADLINE_S):
                self._thread.interrupt()
                await self._thread.run(self._undo)
        except Exception:  # whatever it was, the connection is not fit for another transaction
            return False
        return True

    def _undo(self) -> None:
        if self._thread.driver.in_transaction:
            self._thread.driver.execute("ROLLBACK")


def _parameter(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value


def _fetched(result: sa.CursorResult[Any]) -> sa.CursorResult[Any]:
    """With all its rows read, so that who reads them needs the connection no more."""
    if result.returns_rows:
        result.cursor_strategy = FullyBufferedCursorFetchStrategy(result.cursor)
    return result


class SqliteConnections(Connections):
    """One writer, so that who writes waits in line and not inside SQLite's lock; a few readers."""

    def __init__(self, path: Path, deadline_s: float) -> None:
        self._path = path
        self._deadline_s = deadline_s
        engine = sqlite.make_engine(path, min(sqlite.BUSY_S_MAX, deadline_s / 2))
        self._writers = Pool(engine, 1)
        self._readers = Pool(engine, READERS_MAX)

    async def open(self, *, may_create: bool) -> None:
        sqlite.prepare_file(self._path, may_create=may_create)
        thread = await self._take(self._writers)
        is_fit = False
        try:
            async with Guard(self._deadline_s):
                await _switch_to_wal(thread)
            is_fit = True
        finally:
            self._writers.give(thread, is_fit=is_fit)

    async def take(self, deadline_s: float | None, *, is_writing: bool) -> Tx:
        pool = self._writers if is_writing else self._readers
        begin = "BEGIN IMMEDIATE" if is_writing else "BEGIN"
        return SqliteTx(pool, await self._take(pool), begin, deadline_s or self._deadline_s)

    async def _take(self, pool: Pool) -> ConnectionThread:
        async with Guard(self._deadline_s):
            return await pool.take()

    async def close(self) -> None:
        """The last one writes the log home, which a busy disk may make long: that goes on in its
        thread, and if the process ends meanwhile, who opens the store next does it.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._readers.close()
                await self._writers.close()
        self._writers.end()


async def _switch_to_wal(thread: ConnectionThread) -> None:
    """Two processes opening a new file at once make this BUSY without SQLite's own waiting."""
    for _ in range(WAL_SWITCH_TRIES):
        try:
            await thread.run(lambda: thread.driver.execute("PRAGMA journal_mode = WAL").close())
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            await asyncio.sleep(WAL_SWITCH_PAUSE_S)
        else:
            return
    raise StoreUnavailable("another process holds the store's lock")
