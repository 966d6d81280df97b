"""What only PostgreSQL needs: its address, its schema, its errors, its bulk paths.

The schema and the timeouts are set in each transaction, not on the connection, so that a pooler
between us and the server, which may ignore a connection's own settings, changes nothing.
"""

import asyncio
import functools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import sqlalchemy as sa

from tallygate.core.errors import StoreRefused, StoreUnavailable, TransactionUndone

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

SCHEMA = "tallygate"
CONNECTIONS_MAX = 6
CONNECT_DEADLINE_S = 5.0
STATEMENT_TIMEOUT_MS = 8000
LOCK_TIMEOUT_MS = 5000
IDLE_TIMEOUT_MS = 30_000
ONE_STATE = "ISOLATION LEVEL REPEATABLE READ READ ONLY"  # every statement sees the same

NOW_MS = sa.text("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint")

# What asyncpg understands of a URL; it would send anything else to the server as a setting.
_KNOWN_OPTIONS = frozenset(
    {
        *("host", "port", "dbname", "database", "user", "password", "passfile", "sslmode"),
        *("sslnegotiation", "sslcert", "sslkey", "sslrootcert", "sslpassword", "sslcrl"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs"),
        *("krbsrvname", "gsslib", "application_name", "options"),
    }
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html, by class and by code
_UNAVAILABLE_CLASSES = {
    "08": "the connection to the store was lost",
    "28": "the store refused our user or password",
    "3D": "the store's database does not exist",
    "40": "the store asked to try again",
    "53": "the store is out of room, memory or connections",
    "57": "the store is shutting down or took too long",
    "58": "the store's disk failed",
}
# Whoever is told one of these knows that nothing of the transaction has happened.
_UNDONE_CODES = {
    "40001": "the store could not put two transactions in an order",
    "40P01": "two transactions waited for each other",
}
_UNAVAILABLE_CODES = {
    "55P03": "a lock in the store was held too long",
    "25006": "the store can not be written",
    "25P03": "the store ended an idle transaction",
}


def cleaned_url(url: str) -> str:
    """The URL without options that other clients understand and asyncpg does not."""
    parts = urlsplit(url)
    options = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name in _KNOWN_OPTIONS
    ]
    return urlunsplit(parts._replace(scheme="postgresql", query=urlencode(options)))


def make_engine(url: str) -> "AsyncEngine":
    # With SQLAlchemy's ORM, which comes along, 12 MB in each process that would never use it.
    import asyncpg
    from sqlalchemy.ext.asyncio import create_async_engine

    connect = functools.partial(
        asyncpg.connect,
        cleaned_url(url),
        timeout=CONNECT_DEADLINE_S,
        server_settings={"application_name": "tallygate"},
    )
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_size=CONNECTIONS_MAX,
        max_overflow=0,
        pool_timeout=CONNECT_DEADLINE_S,
        pool_use_lifo=True,
    )


def begin(deadline_s: float | None, mode: str = "") -> str:
    statement_ms = int(deadline_s * 1000) if deadline_s else STATEMENT_TIMEOUT_MS
    return (
        f"BEGIN {mode}; SET LOCAL search_path TO {SCHEMA}; "
        f"SET LOCAL statement_timeout TO {statement_ms}; "
        f"SET LOCAL lock_timeout TO {min(statement_ms, LOCK_TIMEOUT_MS)}; "
        f"SET LOCAL idle_in_transaction_session_timeout TO {IDLE_TIMEOUT_MS}"
    )


async def insert_many(
    driver: Any,  # asyncpg.Connection: what SQLAlchemy hands out is untyped
    table: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    sql = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'  # noqa: S608 - names of our schema
    await driver.executemany(sql, rows)


async def copy_many(
    driver: Any, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    await driver.copy_records_to_table(table, records=rows, columns=columns, schema_name=SCHEMA)


async def update_many(driver: Any, sql: str, rows: Sequence[Sequence[Any]]) -> int:
    status: str = await driver.execute(sql, *map(list, zip(*rows, strict=True)))
    return int(status.rpartition(" ")[2])


def is_of_driver(error: BaseException) -> bool:
    """Whether asyncpg raised it; it can not have while nobody has loaded it."""
    asyncpg = sys.modules.get("asyncpg")
    return asyncpg is not None and isinstance(
        error, asyncpg.PostgresError | asyncpg.InterfaceError | asyncpg.InternalClientError
    )


def domain_error(error: BaseException) -> Exception | None:
    if isinstance(error, OSError | asyncio.TimeoutError):
        return StoreUnavailable("the store can not be reached")
    import asyncpg

    if isinstance(error, asyncpg.InterfaceError):
        if isinstance(error, asyncpg.exceptions.ClientConfigurationError):
            return StoreRefused("the store's URL is not understood")
        is_lost = not isinstance(error, ValueError) and "clos" in str(error)
        return StoreUnavailable("the connection to the store was lost") if is_lost else None
    if isinstance(error, asyncpg.InternalClientError):
        # The server's last word reached an idle connection, and the end of it has not yet.
        return StoreUnavailable("the connection to the store was lost")
    code = str(getattr(error, "sqlstate", "") or "")
    if code in _UNDONE_CODES:
        return TransactionUndone(_UNDONE_CODES[code])
    if code in _UNAVAILABLE_CODES:
        return StoreUnavailable(_UNAVAILABLE_CODES[code])
    if code[:2] in _UNAVAILABLE_CLASSES:
        return StoreUnavailable(_UNAVAILABLE_CLASSES[code[:2]])
    if code == "XX001":
        return StoreRefused("the store reports damaged data")
    return None
