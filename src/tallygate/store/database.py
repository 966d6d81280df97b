"""Connections and transactions: the one place where a store's library is called and may fail.

A `Database` is one store as one process sees it. `writing()` and `reading()` hand out a `Tx`;
whatever the library raises because the store is lost, locked, full or slow leaves this module as
StoreUnavailable, a store that is damaged as StoreRefused. Transactions are begun and ended by our
own statements (the drivers run in autocommit), so that both stores behave alike.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tallygate.clock import system_ms
from tallygate.core.errors import StoreUnavailable
from tallygate.store import postgresql, schema, sqlite
from tallygate.store.guard import Guard
from tallygate.tasks import Tasks

STATEMENT_DEADLINE_S = 10.0
ROLLBACK_DEADLINE_S = 2.0
COPY_ROWS_MIN = 64  # below, COPY's own round trips cost more than they save

log = structlog.get_logger("tallygate.store")

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Tx:
    """One transaction: thin over SQLAlchemy, plus savepoints and a bulk path."""

    __slots__ = ("_connection", "_deadline_s", "_driver", "_savepoints", "_tasks", "dialect")

    def __init__(
        self,
        connection: AsyncConnection,
        driver: Any,
        dialect: str,
        deadline_s: float,
        tasks: Tasks,
    ) -> None:
        self.dialect = dialect
        self._tasks = tasks
        self._connection = connection
        self._driver = driver  # aiosqlite's or asyncpg's connection, for what only those can do
        self._deadline_s = deadline_s
        self._savepoints = 0

    def _guard(self) -> Guard:
        return Guard(self._deadline_s, self._interrupt if self.dialect == "sqlite" else None)

    def _interrupt(self) -> None:
        self._tasks.start(self._driver.interrupt(), "store: interrupt")

    async def begin(self, statements: str) -> None:
        async with self._guard():
            if self.dialect == "sqlite":
                await self._connection.exec_driver_sql(statements)
            else:  # several statements in one round trip
                await self._driver.execute(statements)

    async def execute(
        self, statement: sa.Executable, parameters: Parameters = None
    ) -> sa.CursorResult[Any]:
        async with self._guard():
            return await self._connection.execute(statement, parameters)

    async def scalar(self, statement: sa.Executable, parameters: Parameters = None) -> Any:
        return (await self.execute(statement, parameters)).scalar()

    async def run_sql(self, text: str) -> None:
        """A statement of the transaction's own control; nothing from outside is ever in it."""
        async with self._guard():
            await self._connection.exec_driver_sql(text)

    async def run_sync(self, function: Callable[[sa.Connection], Any]) -> Any:
        """For Alembic, which speaks only to synchronous connections."""
        async with self._guard():
            return await self._connection.run_sync(function)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What is done inside is undone alone if it raises."""
        self._savepoints += 1
        name = f"inner_{self._savepoints}"
        await self.run_sql(f"SAVEPOINT {name}")
        try:
            yield
        except Exception:
            await self.run_sql(f"ROLLBACK TO SAVEPOINT {name}")
            await self.run_sql(f"RELEASE SAVEPOINT {name}")
            raise
        await self.run_sql(f"RELEASE SAVEPOINT {name}")

    async def insert_many(
        self,
        table: sa.Table,
        rows: Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]],
        columns: Sequence[str] | None = None,
    ) -> None:
        """Insert many rows by the driver itself; tuples go with the names of their columns."""
        if not rows:
            return
        names = tuple(rows[0]) if columns is None else columns
        tuples: list[Any] = list(rows)
        if isinstance(rows[0], Mapping):
            tuples = [tuple(row[name] for name in names) for row in tuples]
        async with self._guard():
            if self.dialect == "sqlite":
                await sqlite.insert_many(self._driver, table.name, names, tuples)
            elif len(tuples) < COPY_ROWS_MIN:
                await postgresql.insert_many(self._driver, table.name, names, tuples)
            else:
                await postgresql.copy_many(self._driver, table.name, names, tuples)

    async def update_many(self, change: "BulkChange", rows: Sequence[Sequence[Any]]) -> int:
        """Run one guarded change for many rows by the driver itself; how many it has changed."""
        if not rows:
            return 0
        async with self._guard():
            if self.dialect == "sqlite":
                return await sqlite.update_many(self._driver, change.sqlite, rows)
            return await postgresql.update_many(self._driver, change.postgresql, rows)


@dataclass(frozen=True, slots=True)
class BulkChange:
    """A change of many rows as each store takes it: parameters of one row, or whole columns."""

    sqlite: str
    postgresql: str


class Database:
    """One store: `sqlite:///path` or `postgresql://…`, opened once per process."""

    def __init__(
        self,
        url: str,
        *,
        system_clock_ms: Callable[[], int] = system_ms,
        deadline_s: float = STATEMENT_DEADLINE_S,
    ) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self.system_clock_ms = system_clock_ms
        self._latest_ms = 0
        self._engines: dict[bool, AsyncEngine] = {}
        self._tasks = Tasks(_report)
        self.dialect = "sqlite" if url.startswith("sqlite:") else "postgresql"

    def __repr__(self) -> str:
        return f"<Database {self.dialect}>"  # the URL holds a password

    async def open(self, *, may_create: bool = True) -> None:
        """Make sure that the store answers; a missing SQLite file is made only if it may be."""
        assert not self._engines, "opened twice"
        if self.dialect == "sqlite":
            path = sqlite.path_of(self._url)
            sqlite.prepare_file(path, may_create=may_create)
            busy_s = min(sqlite.BUSY_S_MAX, self._deadline_s / 2)
            self._engines = {
                True: sqlite.writer_engine(path, busy_s),
                False: sqlite.reader_engine(path, busy_s),
            }
        else:
            engine = postgresql.make_engine(self._url)
            self._engines = {True: engine, False: engine}
        try:
            await self._greet()
        except BaseException:
            await self.close()
            raise

    async def _greet(self) -> None:
        async with Guard(self._deadline_s):
            connection = await self._engines[True].connect()
        try:
            async with Guard(self._deadline_s):
                if self.dialect == "sqlite":
                    await sqlite.switch_to_wal(connection)
                else:
                    await connection.exec_driver_sql("SELECT 1")
        finally:
            await connection.close()

    async def close(self) -> None:
        await self._tasks.wait()
        for engine in set(self._engines.values()):
            async with asyncio.timeout(ROLLBACK_DEADLINE_S):
                await engine.dispose()
        self._engines = {}

    @asynccontextmanager
    async def writing(self, *, deadline_s: float | None = None) -> AsyncIterator[Tx]:
        """A transaction that may write; on SQLite it holds the one writer's lock from the start."""
        begin = "BEGIN IMMEDIATE" if self.dialect == "sqlite" else postgresql.begin(deadline_s)
        async with self._transaction(True, begin, deadline_s) as tx:
            yield tx

    @asynccontextmanager
    async def reading(self, *, deadline_s: float | None = None) -> AsyncIterator[Tx]:
        """A transaction that sees one state of the store and never waits for writers."""
        begin = (
            "BEGIN"
            if self.dialect == "sqlite"
            else postgresql.begin(deadline_s, postgresql.ONE_STATE)
        )
        async with self._transaction(False, begin, deadline_s) as tx:
            yield tx

    @asynccontextmanager
    async def _transaction(
        self, is_writing: bool, begin: str, deadline_s: float | None
    ) -> AsyncIterator[Tx]:
        if not self._engines:
            raise StoreUnavailable("the store is not open")
        connection, driver = await self._connect(is_writing)
        is_done = False
        try:
            tx = Tx(connection, driver, self.dialect, deadline_s or self._deadline_s, self._tasks)
            await tx.begin(begin)
            yield tx
            await tx.run_sql("COMMIT")
            is_done = True
        finally:
            await self._release(connection, is_done)

    async def _connect(self, is_writing: bool) -> tuple[AsyncConnection, Any]:
        """A connection that, as far as its driver has noticed, is alive."""
        async with Guard(self._deadline_s):
            while True:
                connection = await self._engines[is_writing].connect()
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                if self.dialect == "sqlite" or not driver.is_closed():
                    return connection, driver
                await connection.invalidate()
                await connection.close()

    async def _release(self, connection: AsyncConnection, is_done: bool) -> None:
        """Give the connection back, rolled back unless done, even if we are being cancelled."""
        if is_done:
            await connection.close()
            return
        await asyncio.shield(self._tasks.start(_roll_back(connection), "store: roll back"))

    async def clock_ms(self) -> int:
        """The store's time: PostgreSQL's clock; on SQLite the system's, kept from going back.

        On SQLite the latest time seen is written down once a second of progress, so that a clock
        set back while nothing ran is noticed by the next start.
        """
        if self.dialect == "postgresql":
            async with self.reading() as tx:
                now_ms = int(await tx.scalar(postgresql.NOW_MS))
        else:
            now_ms = self.system_clock_ms()
            async with self.reading() as tx:
                seen_ms = int(await tx.scalar(sa.select(schema.store.c.clock_ms)) or 0)
            if now_ms >= seen_ms + 1000:
                await self._note_clock(now_ms)
            now_ms = max(now_ms, seen_ms)
        self._latest_ms = max(self._latest_ms, now_ms)
        return self._latest_ms

    async def _note_clock(self, now_ms: int) -> None:
        column = schema.store.c.clock_ms
        async with self.writing() as tx:
            await tx.execute(sa.update(schema.store).where(column < now_ms).values(clock_ms=now_ms))


def _report(name: str, error: BaseException) -> None:
    log.warning("store_task_failed", task=name, error=str(error))


async def _roll_back(connection: AsyncConnection) -> None:
    try:
        async with asyncio.timeout(ROLLBACK_DEADLINE_S):
            if not connection.invalidated:
                await connection.exec_driver_sql("ROLLBACK")
    except Exception:  # whatever it was, the connection is not fit for another transaction
        await connection.invalidate()
    finally:
        await connection.close()
