"""The database of the seed's token manager: a PostgreSQL, read only, whatever columns it has.

Its tables grew over time, so only `tokens` with its hashes is needed; other tables and columns are
used where they are. All of it is read in one transaction, usage in portions by a cursor.
"""

import datetime
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec

from tallygate.core.limits import AMOUNT_MAX
from tallygate.core.token_takeover import OldRoute, OldTeam, OldToken, OldUse
from tallygate.store.postgresql import cleaned_url

CONNECT_DEADLINE_S = 10.0
TEXT_MAX = 500
AGENT_MAX = 128
SECONDS_BELOW = 100_000_000_000  # as milliseconds that would be the year 1973

_HASH = re.compile(r"[0-9a-fA-F]{64}\Z")
_TABLES = ("tokens", "teams", "routes", "token_usage_logs")
Row = Mapping[str, Any]  # a value is whatever its column holds


class NotATokenDatabase(Exception):
    """The database can not be read, or holds no `tokens` with hashes."""


class _Nonsense(Exception):
    """This row can not be taken over; the text is the reason that is counted."""


class Source:
    """One transaction over the old database."""

    def __init__(self, connection: Any, tables: dict[str, set[str]], origin: str) -> None:
        self._connection = connection  # asyncpg's, which is untyped
        self._tables = tables
        self.origin = origin
        self.skipped: dict[str, int] = {}

    async def teams(self) -> list[OldTeam]:
        return [one async for one in self._rows("teams", _team)]

    async def tokens(self) -> list[OldToken]:
        return [one async for one in self._rows("tokens", _token)]

    async def routes(self) -> list[OldRoute]:
        return [one async for one in self._rows("routes", _route)]

    async def uses(self, count: int) -> AsyncIterator[list[OldUse]]:
        """By their number, some at a time; what has no number is left out."""
        if not {"id", "token_hash"} <= self._tables.get("token_usage_logs", set()):
            return
        portion: list[OldUse] = []
        async for one in self._rows("token_usage_logs", _use, order="id"):
            portion.append(one)
            if len(portion) == count:
                yield portion
                portion = []
        if portion:
            yield portion

    async def _rows(self, table: str, read: Any, order: str = "1") -> AsyncIterator[Any]:
        if table not in self._tables:
            return
        sql = f'SELECT * FROM "{table}" ORDER BY {order}'  # noqa: S608 - a name of _TABLES
        async for row in self._connection.cursor(sql, prefetch=2000):
            try:
                yield read(dict(row))
            except _Nonsense as reason:
                self.skipped[str(reason)] = self.skipped.get(str(reason), 0) + 1


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Source]:
    """NotATokenDatabase never repeats the URL: it holds a password."""
    try:
        connection = await asyncpg.connect(cleaned_url(url), timeout=CONNECT_DEADLINE_S)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
        raise NotATokenDatabase(f"the database can not be opened ({type(e).__name__})") from e
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            tables = await _tables(connection)
            if "token_hash" not in tables.get("tokens", set()):
                raise NotATokenDatabase(
                    "the database has no table tokens with token_hash: it is not a token manager's"
                )
            yield Source(connection, tables, _origin(url))
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NotATokenDatabase(f"the database can not be read: {error}") from error
    finally:
        await connection.close()


async def _tables(connection: Any) -> dict[str, set[str]]:
    """The columns of tables that an unqualified name finds."""
    found = await connection.fetch(
        "SELECT c.relname AS name, a.attname AS attribute FROM pg_class c "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE c.relname = ANY($1) AND pg_table_is_visible(c.oid)",
        list(_TABLES),
    )
    tables: dict[str, set[str]] = {}
    for row in found:
        tables.setdefault(row["name"], set()).add(row["attribute"])
    return tables


def _origin(url: str) -> str:
    """Which database it is, without who reads it."""
    parts = urlsplit(url)
    place = f"{parts.hostname}:{parts.port or 5432}{parts.path}?{parts.query}"
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def _team(row: Row) -> OldTeam:
    id_ = _text(row.get("id"))
    if not id_:
        raise _Nonsense("a team without an id")
    name = _text(_first(row, "name", "team_name")) or id_
    return OldTeam(id_, name, _time(row.get("created_at")) or 0)


def _token(row: Row) -> OldToken:
    token_hash = _hash(row["token_hash"])
    is_active = _flag(_first(row, "is_active", "active", "enabled"), default=True)
    if _flag(row.get("revoked"), default=False) or row.get("deleted_at") is not None:
        is_active = False
    return OldToken(
        token_hash=token_hash,
        name=_text(_first(row, "name", "token_name", "label")) or "imported",
        team_id=_text(row.get("team_id")),
        scopes=_texts(row.get("scopes")),
        is_active=is_active,
        created_ms=_time(row.get("created_at")) or 0,
        expires_ms=_time(_first(row, "expires_at", "expires")),
        last_used_ms=_time(_first(row, "last_used", "last_used_at")),
    )


def _route(row: Row) -> OldRoute:
    path = _text(_first(row, "path", "route_path", "prefix"))
    backend_url = _text(_first(row, "backend_url", "backend", "target_url", "upstream"))
    if not path or not backend_url:
        raise _Nonsense("a route without a path or a backend")
    methods = [one.upper() for one in _texts(row.get("methods"))]
    return OldRoute(
        path=path,
        backend_url=backend_url,
        scope=_text(_first(row, "scope", "required_scope")),
        methods=[] if "*" in methods else methods,
        host=_text(row.get("host")),
        strip_prefix=_flag(row.get("strip_prefix"), default=False),
        is_active=_flag(_first(row, "is_active", "active", "enabled"), default=True),
    )


def _use(row: Row) -> OldUse:
    at_ms = _time(row.get("used_at"))
    if at_ms is None or not isinstance(row["id"], int):
        raise _Nonsense("a use without a time or a number")
    return OldUse(
        id=row["id"],
        token_hash=_hash(row["token_hash"]),
        route=_text(row.get("route_path")),
        at_ms=at_ms,
        address=_text(row.get("ip_address")),
        agent=_text(row.get("user_agent"))[:AGENT_MAX],
        status=_count(row.get("response_status")),
        duration_ms=_count(row.get("response_time_ms")),
    )


def _first(row: Row, *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _text(value: Any) -> str:
    return "" if value is None else str(value).replace("\0", "")[:TEXT_MAX]


def _texts(value: Any) -> list[str]:
    """An array, JSON, or words between commas or blanks."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            value = re.split(r"[,\s]+", value)
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return []
    return [text for text in map(_text, value) if text]


def _hash(value: Any) -> str:
    text = value.hex() if isinstance(value, bytes) else str(value or "").strip()
    if not _HASH.match(text):
        raise _Nonsense("a hash that is no SHA-256 in hexadecimal digits")
    return text.lower()


def _flag(value: Any, *, default: bool) -> bool:
    return default if value is None else value in (True, 1, "1", "t", "true", "active")


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value <= AMOUNT_MAX else 0


def _time(value: Any) -> int | None:
    """Milliseconds; times without a zone are UTC, as the old server wrote them."""
    if value is None:
        return None
    if isinstance(value, datetime.datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        return max(0, int(moment.timestamp() * 1000))
    if isinstance(value, int | float) and 0 <= value < AMOUNT_MAX:
        return int(value if value >= SECONDS_BELOW else value * 1000)
    raise _Nonsense("a row with a time that is none")
