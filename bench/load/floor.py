"""The floor of charging: the rows that a run has made, written again by bare batched INSERTs.

One process, the driver alone, no parsing and no deciding; the same tables with the same indexes in
a fresh store of the same kind, a COMMIT for each batch, and the wallets' balances moved with it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import sqlalchemy as sa

from tallygate.store import sqlite
from tallygate.store.database import Database
from tallygate.store.migrations import migrate
from tallygate.store.money_schema import charge, event_alias, ledger_entry, wallet
from tallygate.store.people_schema import account

_TABLES = (charge, event_alias, ledger_entry)
_MOVE = "UPDATE wallet SET balance_micros = balance_micros - ? WHERE id = ?"

Batch = tuple[list[tuple[sa.Table, list[Any]]], list[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds of CPU: of the writing process, and of the store's server, if it has one."""

    own_s: float
    server_s: float = 0.0


async def measure(
    url: str, folder: Path, count: int, batch_size: int, server_s: Callable[[], float]
) -> Floor:
    """What so many charges cost; `server_s` is what the store's server has used so far."""
    names, people, batches = await _read(url, count, batch_size)
    if url.startswith("sqlite:"):
        return Floor(await _on_sqlite(folder / "floor.db", names, people, batches))
    return await _on_postgresql(url, names, people, batches, server_s)


async def _read(url: str, count: int, batch_size: int) -> tuple[Any, Any, list[Batch]]:
    db = Database(url)
    await db.open(may_create=False)
    async with db.reading() as tx:
        people = {
            table: [tuple(row) for row in await tx.execute(sa.select(table))]
            for table in (account, wallet)
        }
        last = int(await tx.scalar(sa.select(sa.func.max(charge.c.id))))
        first = last - count
        keys = {charge: charge.c.id, event_alias: event_alias.c.charge_id}
        keys[ledger_entry] = ledger_entry.c.charge_id
        rows: dict[sa.Table, list[Any]] = {}
        for table, key in keys.items():
            columns = [one for one in table.columns if table is charge or one.name != "id"]
            query = sa.select(*columns).where(key > first).order_by(key)
            rows[table] = [tuple(row) for row in await tx.execute(query)]
    await db.close()
    names = {table: [c.name for c in table.columns] for table in (*_TABLES, account, wallet)}
    for table in (event_alias, ledger_entry):
        names[table] = [name for name in names[table] if name != "id"]
    return names, people, list(_batches(rows, names, count, batch_size))


def _batches(rows: Any, names: Any, count: int, batch_size: int) -> Iterator[Batch]:
    of_wallet, micros = names[charge].index("wallet_id"), names[charge].index("micros")
    for start in range(0, count, batch_size):
        cut = [(table, rows[table][start : start + batch_size]) for table in _TABLES]
        moved: dict[int, int] = {}
        for row in cut[0][1]:
            moved[row[of_wallet]] = moved.get(row[of_wallet], 0) + row[micros]
        yield cut, [(amount, wallet_id) for wallet_id, amount in moved.items()]


async def _on_sqlite(path: Path, names: Any, people: Any, batches: Sequence[Batch]) -> float:
    db = Database(f"sqlite:///{path}")
    await db.open()
    await migrate(db)
    await db.close()
    engine = sqlite.make_engine(path, 5.0)
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys = ON")
        for table, rows in people.items():
            driver.executemany(_insert(table, names[table]), rows)
        statements = {table: _insert(table, names[table]) for table in _TABLES}
        before_s = time.process_time()
        for cut, moved in batches:
            driver.execute("BEGIN IMMEDIATE")
            for table, rows in cut:
                driver.executemany(statements[table], rows)
            driver.executemany(_MOVE, moved)
            driver.execute("COMMIT")
        spent_s = time.process_time() - before_s
    engine.dispose()
    return spent_s


def _insert(table: sa.Table, names: Sequence[str]) -> str:
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"


async def _on_postgresql(
    url: str, names: Any, people: Any, batches: Sequence[Batch], server_s: Callable[[], float]
) -> Floor:
    parts = urlsplit(url)
    own = await asyncpg.connect(url)
    await own.execute("CREATE DATABASE floor")
    fresh = urlunsplit(parts._replace(path="/floor"))
    try:
        return await _in_database(fresh, names, people, batches, server_s)
    finally:
        await own.execute("DROP DATABASE floor WITH (FORCE)")
        await own.close()


async def _in_database(
    url: str, names: Any, people: Any, batches: Sequence[Batch], server_s: Callable[[], float]
) -> Floor:
    db = Database(url)
    await db.open()
    await migrate(db)
    await db.close()
    driver = await asyncpg.connect(url)
    await driver.execute("SET search_path TO tallygate")
    for table, rows in people.items():
        await _copy(driver, table, names[table], rows)
    move = (
        "UPDATE wallet SET balance_micros = balance_micros - amount"
        " FROM unnest($1::bigint[], $2::bigint[]) AS moved (amount, of_wallet)"
        " WHERE wallet.id = of_wallet"
    )
    before_s, server_before_s = time.process_time(), server_s()
    for cut, moved in batches:
        await driver.execute("BEGIN")
        for table, rows in cut:
            await _copy(driver, table, names[table], rows)
        await driver.execute(move, *map(list, zip(*moved, strict=True)))
        await driver.execute("COMMIT")
    spent = Floor(time.process_time() - before_s, server_s() - server_before_s)
    async with asyncio.timeout(5):
        await driver.close()
    return spent


async def _copy(driver: Any, table: sa.Table, names: Sequence[str], rows: list[Any]) -> None:
    await driver.copy_records_to_table(
        table.name, records=rows, columns=names, schema_name="tallygate"
    )
