"""Looking after a SQLite store: backup, restore, check, repair.

These work on the file itself, without SQLAlchemy: a damaged file must not need a working schema. A
restored backup is older than the journals; they replay from its watermark when the server starts,
so nothing that was answered is lost. What PostgreSQL needs, its own tools do.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGES_PER_STEP = 2048  # a backup lets writers in between steps
BUSY_TIMEOUT_S = 5.0


class MaintenanceRefused(Exception):
    """It can not be done as things are; the message says what to do first."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """`lost` names tables of which rows could not be read, with the error that stopped it."""

    kept_as: Path
    rows: dict[str, int]
    lost: dict[str, str]


@contextlib.contextmanager
def server_stopped(lock: Path) -> Iterator[None]:
    """Hold the node's lock, so that no server runs nor starts meanwhile."""
    import fcntl  # Windows has none, and needs none for what does not call this

    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise MaintenanceRefused(
            f"a server is running on {lock.parent}: stop it first, this replaces its store"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def backup(store: Path, target: Path) -> int:
    """Copy a store that may be in use into a new file; answers its size in bytes."""
    if target.exists():
        raise MaintenanceRefused(f"{target} exists: name a new file, backups are never overwritten")
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    _make_private(partial)
    try:
        with _opened(store, "ro") as source, _opened(partial, "rw") as copy:
            source.backup(copy, pages=PAGES_PER_STEP)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, complete by itself
        if problems := check(partial):
            raise MaintenanceRefused(f"the store is damaged ({problems[0]}): db repair comes first")
        _sync(partial)
        partial.rename(target)
    finally:
        for name in (partial.name, f"{partial.name}-journal", f"{partial.name}-wal"):
            partial.with_name(name).unlink(missing_ok=True)
    return target.stat().st_size


def restore(source: Path, store: Path, stamp: str) -> Path | None:
    """Put a backup in the store's place; answers where the old store was kept.

    Call it inside `server_stopped`.
    """
    if not source.is_file():
        raise MaintenanceRefused(f"there is no backup at {source}")
    try:
        problems = check(source)
        if not problems and not _is_ours(source):
            problems = ["it holds no Tallygate store"]
    except sqlite3.DatabaseError as error:
        problems = [str(error)]
    if problems:
        raise MaintenanceRefused(f"{source} can not be restored: {problems[0]}")
    store.parent.mkdir(parents=True, exist_ok=True)
    arriving = store.with_name(store.name + ".restoring")
    arriving.unlink(missing_ok=True)
    _make_private(arriving)
    with _opened(source, "ro") as backup_file, _opened(arriving, "rw") as copy:
        backup_file.backup(copy)
    _sync(arriving)
    kept_as = set_aside(store, stamp) if store.exists() else None
    arriving.rename(store)
    return kept_as


def set_aside(store: Path, stamp: str) -> Path:
    """Move a store with its -wal and -shm out of the way, under a name that is free."""
    number, kept_as = 1, store.with_name(f"{store.name}.before-{stamp}")
    while kept_as.exists():
        number += 1
        kept_as = store.with_name(f"{store.name}.before-{stamp}-{number}")
    for suffix in ("-wal", "-shm"):
        beside = store.with_name(store.name + suffix)
        if beside.exists():
            beside.rename(kept_as.with_name(kept_as.name + suffix))
    store.rename(kept_as)
    return kept_as


def check(store: Path) -> list[str]:
    """What is wrong with the file; nothing when all is well."""
    with _opened(store, "ro") as connection:
        try:
            found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            problems = [line for line in found if line != "ok"]
            for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
                problems.append(f"row {row} of {table} points to a missing {parent}")
        except sqlite3.DatabaseError as error:
            return [str(error)]
    return problems


def repair(store: Path, stamp: str) -> Repaired:
    """Read what is readable into a new file and put that in the store's place.

    Call it inside `server_stopped`.
    """
    mended = store.with_name(store.name + ".repairing")
    mended.unlink(missing_ok=True)
    _make_private(mended)
    try:
        with _opened(store, "ro") as damaged, _opened(mended, "rw") as fresh:
            rows, lost = _copy_readable(damaged, fresh)
    except sqlite3.DatabaseError as error:
        mended.unlink(missing_ok=True)
        raise MaintenanceRefused(
            f"nothing in {store} can be read ({error}): restore a backup"
        ) from error
    _sync(mended)
    kept_as = set_aside(store, stamp)
    mended.rename(store)
    return Repaired(kept_as, rows, lost)


def _copy_readable(
    damaged: sqlite3.Connection, fresh: sqlite3.Connection
) -> tuple[dict[str, int], dict[str, str]]:
    rows: dict[str, int] = {}
    lost: dict[str, str] = {}
    found = damaged.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    objects = [one for one in found if not one[1].startswith("sqlite_")]
    fresh.execute("PRAGMA foreign_keys = OFF")
    for _, name, sql in (one for one in objects if one[0] == "table"):
        fresh.execute(sql)
        rows[name], error = _copy_table(damaged, fresh, name)
        if error:
            lost[name] = error
    for _, name, sql in (one for one in objects if one[0] != "table"):
        try:
            fresh.execute(sql)
        except sqlite3.DatabaseError as error:
            lost[name] = str(error)
    fresh.commit()
    return rows, lost


def _copy_table(
    damaged: sqlite3.Connection, fresh: sqlite3.Connection, name: str
) -> tuple[int, str]:
    """Forwards until a damaged page, then backwards from the end until the same page."""
    quoted = _quoted(name)
    place = _place_of_rows(damaged, quoted)
    copied, error = 0, ""
    for order in ("ASC", "DESC"):
        try:
            by = ", ".join(f"{column} {order}" for column in place)
            query = f"SELECT * FROM {quoted} ORDER BY {by}"  # noqa: S608 - quoted above
            for row in damaged.execute(query):
                marks = ", ".join("?" * len(row))
                sql = f"INSERT OR IGNORE INTO {quoted} VALUES ({marks})"  # noqa: S608
                copied += fresh.execute(sql, row).rowcount
            return copied, error
        except sqlite3.DatabaseError as failure:
            error = str(failure)
    return copied, error


def _place_of_rows(damaged: sqlite3.Connection, quoted: str) -> list[str]:
    """By what a table's rows are stored: those of rollups by their primary key."""
    try:
        damaged.execute(f"SELECT rowid FROM {quoted} LIMIT 0")  # noqa: S608 - quoted
    except sqlite3.OperationalError:
        columns = damaged.execute(f"PRAGMA table_info({quoted})").fetchall()
        keyed = sorted((row[5], row[1]) for row in columns if row[5])
        return [_quoted(column) for _, column in keyed]
    return ["rowid"]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _is_ours(path: Path) -> bool:
    with _opened(path, "ro") as connection:
        sql = "SELECT count(*) FROM sqlite_master WHERE name IN ('store', 'api_key', 'counter')"
        return bool(connection.execute(sql).fetchone()[0] == 3)


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)
    try:
        yield connection
    finally:
        connection.close()


def _make_private(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
