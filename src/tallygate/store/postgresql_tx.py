"""Transactions on PostgreSQL: each statement is awaited, each is one round trip or two."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tallygate.store import postgresql
from tallygate.store.guard import Guard
from tallygate.store.tx import (
    ROLLBACK_DEADLINE_S,
    BulkChange,
    Connections,
    Parameters,
    Read,
    Tx,
    require_all,
)

COPY_ROWS_MIN = 64  # below, COPY's own round trips cost more than they save


class PostgresqlTx(Tx):
    __slots__ = ("_begin", "_connection", "_driver")

    def __init__(
        self,
        connection: AsyncConnection,
        driver: Any,  # asyncpg's connection, which SQLAlchemy hands out untyped
        begin: str,
        deadline_s: float,
    ) -> None:
        super().__init__("postgresql", deadline_s)
        self._connection = connection
        self._driver = driver
        self._begin = begin

    async def execute(
        self, statement: sa.Executable, parameters: Parameters = None
    ) -> sa.CursorResult[Any]:
        async with Guard(self._deadline_s):
            return await self._connection.execute(statement, parameters)

    async def read_all(self, reads: Sequence[Read]) -> list[list[Sequence[Any]]]:
        found: list[list[Sequence[Any]]] = []
        for read, values in reads:
            async with Guard(self._deadline_s):
                found.append(await self._driver.fetch(read.postgresql, *values))
        return found

    async def later(self, statement: sa.Executable, parameters: Parameters = None) -> None:
        await self.execute(statement, parameters)

    async def _insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        insert = postgresql.insert_many
        if len(rows) >= COPY_ROWS_MIN:
            insert = postgresql.copy_many
        async with Guard(self._deadline_s):
            await insert(self._driver, table, columns, rows)

    async def _update(self, change: BulkChange, rows: Sequence[Sequence[Any]]) -> None:
        async with Guard(self._deadline_s):
            changed = await postgresql.update_many(self._driver, change.postgresql, rows)
        require_all(changed, rows)

    async def run_sync(self, function: Callable[[sa.Connection], Any]) -> Any:
        async with Guard(self._deadline_s):
            return await self._connection.run_sync(function)

    async def _control(self, text: str) -> None:
        """A statement of the transaction's own; nothing from outside is ever in it."""
        async with Guard(self._deadline_s):
            await self._connection.exec_driver_sql(text)

    async def _set_savepoint(self, name: str) -> None:
        await self._control(f"SAVEPOINT {name}")

    async def _release(self, name: str) -> None:
        await self._control(f"RELEASE SAVEPOINT {name}")

    async def _undo_to(self, name: str) -> None:
        await self._control(f"ROLLBACK TO SAVEPOINT {name}")
        await self._control(f"RELEASE SAVEPOINT {name}")

    async def begin(self) -> None:
        async with Guard(self._deadline_s):
            await self._driver.execute(self._begin)  # several statements in one round trip

    async def commit(self) -> None:
        await self._control("COMMIT")

    async def give_back(self) -> None:
        await self._connection.close()

    async def roll_back(self) -> None:
        connection = self._connection
        try:
            async with asyncio.timeout(ROLLBACK_DEADLINE_S):
                if not connection.invalidated:
                    await connection.exec_driver_sql("ROLLBACK")
        except Exception:  # whatever it was, the connection is not fit for another transaction
            await connection.invalidate()
        finally:
            await connection.close()


class PostgresqlConnections(Connections):
    """One pool, for readers and writers alike."""

    def __init__(self, url: str, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._engine: AsyncEngine = postgresql.make_engine(url)

    async def open(self, *, may_create: bool) -> None:
        async with Guard(self._deadline_s):
            connection = await self._engine.connect()
        try:
            async with Guard(self._deadline_s):
                await connection.exec_driver_sql("SELECT 1")
        finally:
            await connection.close()

    async def take(self, deadline_s: float | None, *, is_writing: bool) -> Tx:
        mode = "" if is_writing else postgresql.ONE_STATE
        begin = postgresql.begin(deadline_s, mode)
        connection, driver = await self._connect()
        return PostgresqlTx(connection, driver, begin, deadline_s or self._deadline_s)

    async def _connect(self) -> tuple[AsyncConnection, Any]:
        """A connection that, as far as its driver has noticed, is alive."""
        async with Guard(self._deadline_s):
            while True:
                connection = await self._engine.connect()
                driver = (await connection.get_raw_connection()).driver_connection
                assert driver is not None
                if not driver.is_closed():
                    return connection, driver
                await connection.invalidate()
                await connection.close()

    async def close(self) -> None:
        with contextlib.suppress(TimeoutError):  # nothing is lost with a connection that is idle
            async with asyncio.timeout(ROLLBACK_DEADLINE_S):
                await self._engine.dispose()
