"""Ten million rows of usage: how fast they are summed up, and how long each answer takes then.

The rows are made by the store itself, over ninety days, a thousand keys, fifty routes and twelve
models. The store also makes the sums of nine tenths of them, in single statements; the last tenth
is summed up by the clerk's own roller, which is timed. Answers are asked of the whole API in this
process, as control answers them; the figure is the middle one of some, beside the slowest.
"""

import asyncio
import contextlib
import secrets
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2 as httpx
import sqlalchemy as sa

from bench.load import usage_sums
from bench.load.options import Options
from bench.load.processes import BenchFailed
from tallygate.clerk.clock import NodeClock
from tallygate.clerk.options import Options as ClerkOptions
from tallygate.clerk.rollup import Roller
from tallygate.clerk.writer import Writer
from tallygate.control import application, metrics
from tallygate.control.authentication import AdminDoor, GuessBudget
from tallygate.control.parts import Parts
from tallygate.control.passwords import Cost, Passwords
from tallygate.control.sign_in import SignIn, Throttle
from tallygate.store.database import Database
from tallygate.store.migrations import migrate
from tallygate.store.postgresql import SCHEMA
from tallygate.store.rollups import read_mark
from tallygate.tasks import Tasks
from tests.servers.postgresql import Server

TOKEN = "bench-admin-token-of-no-value"
DAYS, KEYS, ROUTES, MODELS = 90, 1000, 50, 12
ROWS_PER_STATEMENT = 500_000
TIMES = 5
FILL_DEADLINE_S = 900.0
DAY_MS = 86_400_000
# A row in `{n}`: numbers that look random and are the same each time.
_NOISE = "(({n} * 7919 + {n} / 1000 * 104729) % 1000003)"
# Of a thousand keys an eighth is in use in any one hour, some of those far more than others.
_KEY = (
    "1 + (({n} * {step_us} / 3600000000) * 125 + {noise} * ({noise} % 1009) / 1009 % 125) % {keys}"
)
_COLUMNS = {
    "request_id": "'req_' || {n}",
    "key_id": _KEY,
    "user_id": "''",
    "at_ms": "{start_ms} + {n} * {step_us} / 1000",
    "duration_ms": "5 + {noise} % 997 * ({noise} % 13)",
    "first_byte_ms": "5 + {noise} % 97",
    # Half of the keys are for two models, the others for two private services.
    "route": "CASE WHEN ({key}) % 2 = 0 THEN '/v1/chat/completions' "
    "ELSE '/api/service-' || ((({key}) * 3 + {noise} % 2) % {routes}) END",
    "model": "CASE WHEN ({key}) % 2 = 0 THEN 'model-' || ((({key}) + {noise} % 2) % {models}) "
    "ELSE '' END",
    "provider": "'bench'",
    "status": "CASE WHEN {noise} % 50 = 0 THEN 502 WHEN {noise} % 31 = 0 THEN 429 ELSE 200 END",
    "outcome": "'ok'",
    "source": "'reported'",
    "requests": "1",
    "input_tokens": "{noise} % 4000",
    "output_tokens": "{noise} % 1000",
    "address": "'192.0.2.1'",
    "agent": "'bench'",
    "bytes_in": "600",
    "bytes_out": "400",
    "charge_micros": "{noise}",
}
SUMS_TABLES = ("rollup_hour", "rollup_day", "total_hour", "total_day")
INDEXES = {"usage_by_time": "at_ms", "usage_by_key": "key_id, at_ms"}
QUESTIONS = (
    *("overview", "series", "series?days=90", "series?days=31&by=hour", "series?hours=24"),
    *("series?token=7&days=90", "series?team=team-3", "series?route=/api/service-7&days=30"),
    *("series?model=model-3&days=30", "top-tokens", "top-tokens?days=30", "top-tokens?hours=24"),
    *("top-routes", "top-routes?days=90", "top-models?days=30", "heatmap", "heatmap?token=7"),
    *("heatmap?team=team-3", "unused", "latency", "latency?days=30", "latency?token=7"),
    *("errors", "errors?days=30", "hot", "forecast", "advice"),
)


def measure(options: Options, folder: Path) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    with _postgresql() as url:
        for name, address in (("sqlite", f"sqlite:///{folder}/tallygate.db"), ("postgresql", url)):
            rows[name] = asyncio.run(_measured(options, address))
    return rows


@contextlib.contextmanager
def _postgresql() -> Iterator[str]:
    server = Server(secrets.token_hex(8))
    name = f"bench_{secrets.token_hex(4)}"
    server.create_database(name)
    try:
        yield server.url(name)
    finally:
        server.drop_database(name)


async def _measured(options: Options, address: str) -> dict[str, Any]:
    database = Database(address, deadline_s=FILL_DEADLINE_S)
    await database.open()
    try:
        await migrate(database)
        filled_s = await fill(database, options.usage_rows)
        await usage_sums.make(database, options.usage_rows * 9 // 10)
        summed = await _sum_up(database, options.usage_rows)
        if database.dialect == "postgresql":
            await _vacuum(address)
        answers, slowest = await _ask(database)
        sizes = await _sizes(database)
    finally:
        await database.close()
    return {
        "rows": options.usage_rows,
        "filled_s": filled_s,
        **summed,
        **sizes,
        "ms": answers,
        "slowest_ms": slowest,
    }


async def fill(database: Database, rows: int) -> float:
    started_s = time.monotonic()
    start_ms = await database.clock_ms() - DAYS * DAY_MS
    async with database.writing(deadline_s=FILL_DEADLINE_S) as tx:
        for statement in _keys(database.dialect):
            await tx.execute(sa.text(statement))
        for name in INDEXES:
            await tx.execute(sa.text(f"DROP INDEX {name}"))
    for first in range(1, rows + 1, ROWS_PER_STATEMENT):
        last = min(rows, first + ROWS_PER_STATEMENT - 1)
        statement = _insert(database.dialect, first, last, start_ms, DAYS * DAY_MS * 1000 // rows)
        async with database.writing(deadline_s=FILL_DEADLINE_S) as tx:
            await tx.execute(sa.text(statement))
    for name, columns in INDEXES.items():
        async with database.writing(deadline_s=FILL_DEADLINE_S) as tx:
            await tx.execute(sa.text(f"CREATE INDEX {name} ON usage ({columns})"))
    return round(time.monotonic() - started_s, 1)


def _series(dialect: str, first: int, last: int) -> tuple[str, str]:
    """What comes before and after a SELECT of the numbers `n`."""
    if dialect == "postgresql":
        return "", f"FROM generate_series({first}::bigint, {last}) AS numbers(n)"
    numbers = f"SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}"
    return f"WITH RECURSIVE numbers(n) AS ({numbers})", "FROM numbers"


def _keys(dialect: str) -> list[str]:
    head, tail = _series(dialect, 1, KEYS)
    teams = f"SELECT 'team-' || n, 'Team ' || n, 0 {_series(dialect, 0, 9)[1]}"
    names = "kind, label, is_active, created_ms, user_id, team_id, scopes"
    truth = "TRUE" if dialect == "postgresql" else "1"
    values = f"'ntk', 'token ' || n, {truth}, 0, '', 'team-' || (n % 10), '[]'"
    return [
        f"INSERT INTO team (id, name, created_ms) {_series(dialect, 0, 9)[0]} {teams}",
        f"INSERT INTO api_key ({names}) {head} SELECT {values} {tail}",
    ]


def _insert(dialect: str, first: int, last: int, start_ms: int, step_us: int) -> str:
    noise = _NOISE.format(n="n")
    key = _KEY.format(n="n", step_us=step_us, noise=noise, keys=KEYS)
    known = {"n": "n", "noise": noise, "key": key, "keys": KEYS, "routes": ROUTES}
    known |= {"models": MODELS, "start_ms": start_ms, "step_us": step_us}
    head, tail = _series(dialect, first, last)
    values = ", ".join(value.format(**known) for value in _COLUMNS.values())
    return f"INSERT INTO usage ({', '.join(_COLUMNS)}) {head} SELECT {values} {tail}"


async def _sum_up(database: Database, rows: int) -> dict[str, Any]:
    def die(name: str, error: BaseException) -> None:
        raise BenchFailed(f"{name}: {error!r}")

    clock, tasks = NodeClock(database), Tasks(die)
    writer = Writer(database, clock)
    options = ClerkOptions(
        data="", database_url="", node_uuid="bench", node_name="bench", master_key=b""
    )
    roller = Roller(database, clock, writer, options)
    tasks.start(writer.run(), "writer")
    done = await _reach(database)
    started_s, cpu_s = time.monotonic(), time.process_time()
    while (await _reach(database)) < rows:
        await roller.catch_up()
    elapsed_s = time.monotonic() - started_s
    cpu_us = (time.process_time() - cpu_s) * 1e6 / (rows - done)
    await tasks.close()
    per_s = round((rows - done) / elapsed_s)
    return {"summed_s": round(elapsed_s, 1), "summed_per_s": per_s, "cpu_us": round(cpu_us, 1)}


async def _vacuum(address: str) -> None:
    """As the server does by itself within minutes, whose pages are known to be whole only then."""
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(f"SET search_path TO {SCHEMA}")
        for table in SUMS_TABLES:
            await connection.execute(f"VACUUM ANALYZE {table}")
    finally:
        await connection.close()


async def _reach(database: Database) -> int:
    async with database.reading() as tx:
        return (await read_mark(tx)).usage_id


async def _sizes(database: Database) -> dict[str, int]:
    async with database.reading() as tx:
        return {
            table: int(await tx.scalar(sa.text(f"SELECT count(*) FROM {table}")))
            for table in SUMS_TABLES
        }


async def _ask(database: Database) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds of the middle one and of the slowest; the first warms up and does not count."""
    served = application.build_bare(_parts(database))
    transport = httpx.ASGITransport(app=served)
    middle: dict[str, float] = {}
    slowest: dict[str, float] = {}
    headers = {"X-Admin-Token": TOKEN}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://bench", headers=headers, timeout=60
    ) as client:
        for question in QUESTIONS:
            times = []
            for _ in range(TIMES + 1):
                started_s = time.perf_counter()
                answer = await client.get(f"/api/usage/{question}")
                times.append((time.perf_counter() - started_s) * 1000)
                if answer.status_code != 200:
                    raise BenchFailed(f"{question}: {answer.text}")
            middle[question] = round(statistics.median(times[1:]), 1)
            slowest[question] = round(max(times[1:]), 1)
    return middle, slowest


class _NoClerk:
    async def command(self, *_: Any, **__: Any) -> Any:
        raise BenchFailed("nothing is commanded here")


def _parts(database: Database) -> Parts:
    clerk = _NoClerk()
    passwords = Passwords(secrets.token_bytes, Cost(passes=1, memory_kib=64))
    return Parts(
        database=database,
        clerk=clerk,
        door=AdminDoor(TOKEN, GuessBudget(time.monotonic)),
        master_key=b"",
        time_zone="UTC",
        keeps_sealed_keys=False,
        from_settings=None,
        node_name="bench",
        render_metrics=metrics.renderer(clerk),
        sign_in=SignIn(passwords=passwords, throttle=Throttle(time.monotonic)),
    )
