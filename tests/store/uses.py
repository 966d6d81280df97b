"""Rows of usage for tests of sums, and the sums as somebody would make them with pen and paper."""

import random
from collections import Counter
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from tallygate.core.histogram import step_of
from tallygate.core.rollup import SUMS
from tallygate.store.database import Database, Tx
from tallygate.store.rollup_schema import DURATIONS, rollup_day, rollup_hour, total_day, total_hour
from tallygate.store.schema import usage

NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
MODELS = ("", "m1", "m2")
ROUTES = ("/v1/chat/completions", "/api/test")
ENDS = (
    *((200, "ok"), (200, "cut"), (404, "ok"), (429, "upstream_error"), (502, "unreachable")),
    *((0, "ok"), (0, "unreachable"), (0, "lost")),
)
GRAINS = {1: ("route",), 2: ("model",), 3: ("route", "model"), 0: ()}


def use(**values: Any) -> dict[str, Any]:
    """A row of usage; whatever a column holds."""
    return {
        "tenant_id": 1,
        "request_id": "r",
        "key_id": 1,
        "user_id": "",
        "at_ms": NOW_MS,
        "duration_ms": 40,
        "first_byte_ms": 10,
        "route": ROUTES[0],
        "model": "m1",
        "provider": "p",
        "status": 200,
        "outcome": "ok",
        "source": "reported",
        "requests": 1,
        "input_tokens": 3,
        "output_tokens": 4,
        "counts": None,
        "address": "192.0.2.1",
        "agent": "test",
        "bytes_in": 10,
        "bytes_out": 20,
        "charge_micros": 0,
        **values,
    }


def some_use(chance: random.Random, days: int = 3) -> dict[str, Any]:
    status, outcome = chance.choice(ENDS)
    cached = chance.choice([None, 0, 2])
    return use(
        key_id=chance.randrange(1, 4),
        at_ms=NOW_MS - chance.randrange(days * 24 * HOUR_MS),
        duration_ms=chance.choice([0, 1, 7, 350, 90_000, 10**7]),
        route=chance.choice(ROUTES),
        model=chance.choice(MODELS),
        status=status,
        outcome=outcome,
        requests=chance.choice([0, 1, 1, 5]),
        counts=None if cached is None else f'{{"cache_read_tokens":{cached},"other":1}}',
        charge_micros=chance.randrange(10),
        bytes_in=chance.choice([0, 10]),
        bytes_out=chance.choice([0, 20]),
    )


async def insert(tx: Tx, rows: list[dict[str, Any]]) -> None:
    await tx.insert_many(usage, rows)


async def rows_of(db: Database) -> list[dict[str, Any]]:
    async with db.reading() as tx:
        return [dict(row) for row in (await tx.execute(sa.select(usage))).mappings()]


def values_of(row: dict[str, Any]) -> Counter[str]:
    """What one row of usage adds, by name."""
    is_lost = row["outcome"] == "lost"
    uses = row["requests"] if is_lost else max(1, row["requests"])
    is_timed = not is_lost and (row["duration_ms"] > 0 or row["bytes_in"] + row["bytes_out"] > 0)
    status = row["status"]
    found = Counter(
        uses=uses,
        requests=row["requests"],
        refused=uses if status in (401, 403, 429) else 0,
        client_errors=uses if 400 <= status < 500 else 0,
        server_errors=uses if status >= 500 else 0,
        failures=uses if status < 400 and row["outcome"] in ("cut", "unreachable", "lost") else 0,
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cached_tokens=0 if not row["counts"] else int(row["counts"].split(":")[1].split(",")[0]),
        charge_micros=row["charge_micros"],
        timed=uses if is_timed else 0,
        duration_ms=row["duration_ms"] if is_timed else 0,
    )
    if is_timed:
        found[f"d{step_of(row['duration_ms'])}"] = uses
    return found


def start_of(at_ms: int, zone: str, *, is_day: bool) -> int:
    local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    if not is_day:
        return at_ms // 1000 - local.minute * 60 - local.second
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return int(midnight.timestamp())


Sums = dict[tuple[Any, ...], dict[str, int]]


def expected(rows: list[dict[str, Any]], zone: str) -> dict[str, Sums]:
    """All four tables, as rows of usage make them."""
    found: dict[str, dict[tuple[Any, ...], Counter[str]]] = {
        table.name: {} for table in (rollup_hour, rollup_day, total_hour, total_day)
    }
    for row in rows:
        values = values_of(row)
        for is_day in (False, True):
            start_s = start_of(row["at_ms"], zone, is_day=is_day)
            span = "day" if is_day else "hour"
            place = (start_s, row["key_id"], row["route"], row["model"])
            found[f"rollup_{span}"].setdefault(place, Counter()).update(values)
            for grain, names in GRAINS.items():
                subject = (row[n] if n in names else "" for n in ("route", "model"))
                total = found[f"total_{span}"]
                total.setdefault((grain, start_s, *subject), Counter()).update(values)
    return {
        name: {place: {k: n for k, n in sums.items() if n} for place, sums in table.items()}
        for name, table in found.items()
    }


async def actual(db: Database) -> dict[str, Sums]:
    found: dict[str, Sums] = {}
    async with db.reading() as tx:
        for table in (rollup_hour, rollup_day, total_hour, total_day):
            rows = (await tx.execute(sa.select(table))).mappings().all()
            keys = [column.name for column in table.primary_key]
            found[table.name] = {
                tuple(row[key] for key in keys): {
                    name: int(row[name]) for name in (*SUMS, *DURATIONS) if row[name]
                }
                for row in rows
            }
    return found
