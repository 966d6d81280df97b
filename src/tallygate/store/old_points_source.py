"""Where the seed's points system kept its rows: Supabase's PostgreSQL, or a folder of exports.

Both are only read. A folder holds a file for each table, as Supabase's pages export them: CSV or
JSON, named after the table, perhaps with `_rows` behind it. Of tables that may bear the users'
balances the first one that is there counts.
"""

import csv
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from tallygate.store.postgresql import cleaned_url

CONNECT_DEADLINE_S = 10.0
USERS = ("users", "profiles", "user_profiles", "user_balances")
TABLES = (*USERS, "model_configs", "exchange_rates", "exchange_rate_history", "token_usage")
_ENDINGS = (".csv", "_rows.csv", ".json", "_rows.json", ".jsonl")

Rows = list[dict[str, Any]]  # a value is whatever its column holds


class NotAPointsStore(Exception):
    """Nothing of it can be read, or nothing in it is a points system's."""


async def read_tables(place: str) -> dict[str, Rows]:
    """All rows by table; NotAPointsStore never repeats a URL, which holds a password."""
    if place.startswith(("postgresql://", "postgres://")):
        found = await _read_database(place)
    else:
        found = _read_folder(Path(place))
    if not found:
        raise NotAPointsStore("none of its tables is there: " + ", ".join(TABLES))
    return found


def users_of(tables: dict[str, Rows]) -> Rows:
    return next((tables[name] for name in USERS if name in tables), [])


async def _read_database(url: str) -> dict[str, Rows]:
    try:
        connection = await asyncpg.connect(cleaned_url(url), timeout=CONNECT_DEADLINE_S)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
        raise NotAPointsStore(f"the database can not be opened ({type(e).__name__})") from e
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            there = await connection.fetch(
                "SELECT table_name AS name FROM information_schema.tables "
                "WHERE table_schema = 'public' AND table_name = ANY($1)",
                list(TABLES),
            )
            return {
                one["name"]: [
                    dict(row)
                    for row in await connection.fetch(f'SELECT * FROM public."{one["name"]}"')  # noqa: S608 - a name of TABLES
                ]
                for one in there
            }
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NotAPointsStore(f"the database can not be read: {error}") from error
    finally:
        await connection.close()


def _read_folder(folder: Path) -> dict[str, Rows]:
    if not folder.is_dir():
        raise NotAPointsStore(f"{folder} is no folder; give one of exports, or a PostgreSQL URL")
    found: dict[str, Rows] = {}
    for table in TABLES:
        for ending in _ENDINGS:
            path = folder / f"{table}{ending}"
            if path.is_file():
                found[table] = list(_read_file(path))
                break
    return found


def _read_file(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with closing(path.open(encoding="utf-8-sig", newline="")) as file:
            if path.suffix == ".csv":
                yield from csv.DictReader(file)
            elif path.suffix == ".jsonl":
                for line in file:
                    yield _decode(line, dict[str, Any])
            else:
                yield from _decode(file.read(), list[dict[str, Any]])
    except (OSError, UnicodeDecodeError, csv.Error, msgspec.MsgspecError) as error:
        raise NotAPointsStore(f"{path.name} can not be read: {error}") from error


def _decode(text: str, kind: Any) -> Any:
    """Numbers with a fraction as they were written: no float ever holds money."""
    return msgspec.json.Decoder(kind, float_hook=str).decode(text)
