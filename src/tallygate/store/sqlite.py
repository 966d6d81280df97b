"""What only SQLite needs: the file, its pragmas, its errors, its bulk path."""

import functools
import os
import sqlite3
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tallygate.core.errors import StoreRefused, StoreUnavailable

BUSY_S_MAX = 5.0
ROWS_MAX = 64  # in one statement

_PRAGMAS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",
    "PRAGMA journal_size_limit = 67108864",
    # Four megabytes, as is usual, are full after a few transactions of settling, each with a page
    # for every key; with 64 a page that was changed often is written home once for all of that.
    "PRAGMA wal_autocheckpoint = 16000",
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
    # Windows has neither owners of this sort nor descriptors that are inherited by themselves.
    flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | (os.O_CREAT if may_create else 0)
    try:
        descriptor = os.open(path, flags, 0o600)
        try:
            if hasattr(os, "geteuid") and os.fstat(descriptor).st_uid == os.geteuid():
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise StoreRefused(f"there is no store at {path}") from error
    except OSError as error:
        raise StoreUnavailable(f"the store {path} can not be opened: {error.strerror}") from error


def make_engine(path: Path, busy_s: float) -> sa.Engine:
    """It pools nothing: a connection lives as long as its thread."""
    engine = sa.create_engine(
        sa.URL.create("sqlite+pysqlite", database=str(path)),
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        poolclass=sa.NullPool,
        connect_args={"timeout": busy_s, "cached_statements": 256, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma).close()


def insert_many(
    driver: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> None:
    """Several rows to a statement, for with each step Python's lock is given away and waited for.

    As few different statements as can be, so that all of them stay prepared.
    """
    start, left = 0, len(rows)
    while left:
        count = min(ROWS_MAX, 1 << left.bit_length() - 1)
        values = tuple(chain.from_iterable(rows[start : start + count]))
        driver.execute(_insert_of(table, tuple(columns), count), values)
        start, left = start + count, left - count


@functools.cache
def _insert_of(table: str, columns: tuple[str, ...], count: int) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    row = f"({', '.join('?' * len(columns))})"
    return f'INSERT INTO "{table}" ({names}) VALUES {", ".join([row] * count)}'  # noqa: S608 - names of our schema


def domain_error(error: sqlite3.Error) -> Exception | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _UNAVAILABLE:
        return StoreUnavailable(_UNAVAILABLE[code])
    if code in _REFUSED:
        return StoreRefused(_REFUSED[code])
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return StoreUnavailable("the connection to the store was lost")
    return None
