"""The file that the seed's own server wrote: tables `trial_keys` and `usage_stats`, read only.

The file is left untouched. One in WAL mode, or with a journal beside it, can not be read without
writing next to it, so then a copy is read. Rows that make no sense are set aside with their reason.
"""

import contextlib
import datetime
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tallygate.core.keys import KEY_LENGTH_MAX
from tallygate.core.limits import AMOUNT_MAX
from tallygate.core.takeover import OldKey, OldUsage

SECONDS_BELOW = 100_000_000_000  # as milliseconds that would be the year 1973
LABEL_LENGTH_MAX = 1000
_SIDECARS = ("-wal", "-journal")
_WAL_MODE = 2  # byte 18 of the file: https://www.sqlite.org/fileformat2.html


class NotAQuotaProxyFile(Exception):
    """The file can not be read, or holds no `trial_keys`."""


@dataclass(slots=True)
class OldFile:
    keys: list[OldKey] = field(default_factory=list)
    usages: list[OldUsage] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)  # reason → rows

    def skip(self, reason: str) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1


class _Nonsense(Exception):
    """This row can not be taken over; the text is the reason that is counted."""


def holds_trial_keys(path: Path) -> bool:
    """Whether this is a database of the seed's server."""
    try:
        with _opened(path) as connection:
            return "trial_keys" in _tables(connection)
    except NotAQuotaProxyFile:
        return False


def read_file(path: Path) -> OldFile:
    with _opened(path) as connection:
        tables = _tables(connection)
        if "trial_keys" not in tables:
            raise NotAQuotaProxyFile(f"{path} has no table trial_keys: it is not a quota proxy's")
        try:
            return _read(connection, has_usage="usage_stats" in tables)
        except sqlite3.DatabaseError as error:
            raise NotAQuotaProxyFile(f"{path} can not be read: {error}") from error


def _read(connection: sqlite3.Connection, *, has_usage: bool) -> OldFile:
    old = OldFile()
    connection.row_factory = sqlite3.Row
    connection.execute("BEGIN")
    for row in connection.execute("SELECT * FROM trial_keys ORDER BY rowid"):
        try:
            old.keys.append(_key(row))
        except _Nonsense as reason:
            old.skip(str(reason))
    if has_usage:
        for row in connection.execute("SELECT * FROM usage_stats ORDER BY rowid"):
            try:
                old.usages.append(_usage(row))
            except _Nonsense as reason:
                old.skip(str(reason))
    return old


def _key(row: sqlite3.Row) -> OldKey:
    return OldKey(
        secret=_secret(row["key"]),
        label=str(_column(row, "label") or "")[:LABEL_LENGTH_MAX],
        created_ms=_time(_column(row, "created_at"), "created_at"),
        daily_limit=_limit(_column(row, "daily_limit")),
        is_active=_column(row, "is_active") not in (0, "0", False),
    )


def _usage(row: sqlite3.Row) -> OldUsage:
    requests = _column(row, "requests") or 0
    if not isinstance(requests, int) or not 0 <= requests <= AMOUNT_MAX:
        raise _Nonsense("usage whose requests are not a whole number")
    return OldUsage(
        secret=_secret(row["trial_key"]),
        day=_day(row["day"]),
        requests=requests,
        updated_ms=_time(_column(row, "updated_at"), "updated_at"),
    )


def _column(row: sqlite3.Row, name: str) -> object:
    """Older versions of the server had fewer columns."""
    return row[name] if name in row.keys() else None  # noqa: SIM118 - a Row iterates its values


def _secret(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _Nonsense("an empty key")
    if len(value.encode()) > KEY_LENGTH_MAX:
        raise _Nonsense(f"a key longer than {KEY_LENGTH_MAX} bytes")
    return value


def _limit(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and 0 <= value <= AMOUNT_MAX:
        return value
    raise _Nonsense("a key whose daily_limit is not a whole number from 0 up")


def _day(value: object) -> datetime.date:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        with contextlib.suppress(ValueError):
            day = datetime.date.fromisoformat(value)
            if 1970 <= day.year < 9999:
                return day
    raise _Nonsense("usage whose day is not a date")


def _time(value: object, name: str) -> int:
    """Milliseconds, as the server wrote them; seconds and SQLite's own text are understood too."""
    if value is None:
        return 0
    if isinstance(value, int | float) and 0 <= value < 1 << 53:
        return int(value if value >= SECONDS_BELOW else value * 1000)
    if isinstance(value, str):
        with contextlib.suppress(ValueError, OverflowError):
            moment = datetime.datetime.fromisoformat(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=datetime.UTC)
            return max(0, int(moment.timestamp() * 1000))
    raise _Nonsense(f"a row whose {name} is not a time")


def _tables(connection: sqlite3.Connection) -> set[str]:
    try:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {row[0] for row in found}
    except sqlite3.DatabaseError as error:
        raise NotAQuotaProxyFile(f"the file can not be read: {error}") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise NotAQuotaProxyFile(f"there is no file {path}")
    with contextlib.ExitStack() as stack:
        try:
            if _must_be_copied(path):
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                path = _copied(path, folder)
                uri = path.as_uri()
            else:
                uri = f"{path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True)
        except (OSError, sqlite3.Error) as error:
            raise NotAQuotaProxyFile(f"{path} can not be read: {error}") from error
        stack.callback(connection.close)
        yield connection


def _must_be_copied(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(20)
    sidecars = (path.with_name(path.name + suffix) for suffix in _SIDECARS)
    return head[18:19] == bytes([_WAL_MODE]) or any(map(Path.exists, sidecars))


def _copied(path: Path, folder: Path) -> Path:
    for suffix in ("", *_SIDECARS):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copyfile(source, folder / f"copy.db{suffix}")
    return folder / "copy.db"
