"""What only SQLite needs: the file, its pragmas, its errors, its bulk path."""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from tallygate.core.errors import StoreRefused, StoreUnavailable

BUSY_S_MAX = 5.0
READERS_MAX = 4
WAL_SWITCH_TRIES = 50
WAL_SWITCH_PAUSE_S = 0.1

_PRAGMAS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",
    "PRAGMA journal_size_limit = 67108864",
)

# https://www.sqlite.org/rescode.html, primary codes
_UNAVAILABLE = {
    sqlite3.SQLITE_PERM: "SQLite may not use the file",
    sqlite3.SQLITE_BUSY: "another process holds the store's lock",
    sqlite3.SQLITE_LOCKED: "the store is locked",
    sqlite3.SQLITE_NOMEM: "SQLite ran out of memory",
    sqlite3.SQLITE_READONLY: "the store can not be written",
    sqlite3.SQLITE_INTERRUPT: "the statement was interrupted",
    sqlite3.SQLITE_IOERR: "the store's disk failed",
    sqlite3.SQLITE_FULL: "the store's disk is full",
    sqlite3.SQLITE_CANTOPEN: "the store's file can not be opened",
    sqlite3.SQLITE_PROTOCOL: "the store is locked",
}
_REFUSED = {
    sqlite3.SQLITE_CORRUPT: "the store's file is damaged: run `tallygate db repair`",
    sqlite3.SQLITE_NOTADB: "the store's file is not an SQLite database",
}


def path_of(url: str) -> Path:
    """`sqlite:///relative.db` and `sqlite:////absolute.db`, as everyone writes them."""
    prefix, separator, path = url.partition(":///")
    if prefix != "sqlite" or not separator or not path:
        raise StoreRefused("a SQLite store is named like sqlite:////folder/tallygate.db")
    return Path(path)


def prepare_file(path: Path, *, may_create: bool) -> None:
    """Only its owner may read the store; SQLite gives its -wal and -shm files the same mode."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if may_create else 0)
    try:
        descriptor = os.open(path, flags, 0o600)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise StoreRefused(f"there is no store at {path}") from error
    except OSError as error:
        raise StoreUnavailable(f"the store {path} can not be opened: {error.strerror}") from error


def _make_engine(path: Path, connections_max: int, busy_s: float) -> AsyncEngine:
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path)),
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=BUSY_S_MAX,
        connect_args={"timeout": busy_s, "cached_statements": 256},
    )
    sa.event.listen(engine.sync_engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:  # Any: SQLAlchemy's driver adapter
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def writer_engine(path: Path, busy_s: float) -> AsyncEngine:
    """One connection: who writes waits here in line, not inside SQLite's lock."""
    return _make_engine(path, 1, busy_s)


def reader_engine(path: Path, busy_s: float) -> AsyncEngine:
    return _make_engine(path, READERS_MAX, busy_s)


async def switch_to_wal(connection: AsyncConnection) -> None:
    """Two processes opening a new file at once make this BUSY without SQLite's own waiting."""
    for _ in range(WAL_SWITCH_TRIES):
        try:
            await connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        except sa.exc.OperationalError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
            if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            await asyncio.sleep(WAL_SWITCH_PAUSE_S)
        else:
            return
    raise StoreUnavailable("another process holds the store's lock")


async def insert_many(
    driver: Any,  # aiosqlite.Connection
    table: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join("?" * len(columns))
    sql = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'  # noqa: S608 - names of our schema
    cursor = await driver.executemany(sql, rows)
    await cursor.close()


async def update_many(driver: Any, sql: str, rows: Sequence[Sequence[Any]]) -> int:
    cursor = await driver.executemany(sql, rows)
    changed = int(cursor.rowcount)
    await cursor.close()
    return changed


def domain_error(error: sqlite3.Error) -> Exception | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _UNAVAILABLE:
        return StoreUnavailable(_UNAVAILABLE[code])
    if code in _REFUSED:
        return StoreRefused(_REFUSED[code])
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return StoreUnavailable("the connection to the store was lost")
    return None
