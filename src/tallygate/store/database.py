"""Connections and transactions: the one place where a store's library is called and may fail.

A `Database` is one store as one process sees it. `writing()` and `reading()` hand out a `Tx`;
whatever the library raises because the store is lost, locked, full or slow leaves this module as
StoreUnavailable, a store that is damaged as StoreRefused. Transactions are begun and ended by our
own statements (the drivers run in autocommit), so that both stores behave alike.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import sqlalchemy as sa
import structlog

from tallygate.clock import system_ms
from tallygate.core.errors import StoreUnavailable
from tallygate.store import postgresql, schema, sqlite
from tallygate.store.sqlite_tx import SqliteConnections
from tallygate.store.tx import Connections
from tallygate.store.tx import Tx as Tx
from tallygate.tasks import Tasks

STATEMENT_DEADLINE_S = 10.0

log = structlog.get_logger("tallygate.store")


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
        self._connections: Connections | None = None
        self._tasks = Tasks(_report)
        self.dialect = "sqlite" if url.startswith("sqlite:") else "postgresql"

    def __repr__(self) -> str:
        return f"<Database {self.dialect}>"  # the URL holds a password

    async def open(self, *, may_create: bool = True) -> None:
        """Make sure that the store answers; a missing SQLite file is made only if it may be."""
        assert self._connections is None, "opened twice"
        if self.dialect == "sqlite":
            self._connections = SqliteConnections(sqlite.path_of(self._url), self._deadline_s)
        else:
            from tallygate.store.postgresql_tx import PostgresqlConnections  # with its driver

            self._connections = PostgresqlConnections(self._url, self._deadline_s)
        try:
            await self._connections.open(may_create=may_create)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self._tasks.wait()
        connections, self._connections = self._connections, None
        if connections is not None:
            await connections.close()

    @asynccontextmanager
    async def writing(self, *, deadline_s: float | None = None) -> AsyncIterator[Tx]:
        """A transaction that may write; on SQLite it holds the one writer's lock from the first
        statement on, even if that reads.
        """
        async with self._transaction(deadline_s, is_writing=True) as tx:
            yield tx

    @asynccontextmanager
    async def reading(self, *, deadline_s: float | None = None) -> AsyncIterator[Tx]:
        """A transaction that sees one state of the store and never waits for writers."""
        async with self._transaction(deadline_s, is_writing=False) as tx:
            yield tx

    @asynccontextmanager
    async def _transaction(
        self, deadline_s: float | None, *, is_writing: bool
    ) -> AsyncIterator[Tx]:
        if self._connections is None:
            raise StoreUnavailable("the store is not open")
        tx = await self._connections.take(deadline_s, is_writing=is_writing)
        is_done = False
        try:
            await tx.begin()
            yield tx
            await tx.commit()
            is_done = True
        finally:
            if is_done:
                await tx.give_back()
            else:  # even if we are being cancelled
                await asyncio.shield(self._tasks.start(tx.roll_back(), "store: roll back"))

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
