"""Reports of uses: what an event costs a worker and, apart, the clerk that settles it; and how fast
a backlog becomes rows.

Every event has an id and so is looked up and remembered; each is a row of `usage` in the end, or
the run is void.
"""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.load import gate, wrk
from bench.load.options import Options
from bench.load.processes import BenchFailed, CpuReading, wait_until_quiet
from tallygate.store import keys
from tallygate.store.database import Database
from tallygate.store.schema import usage
from tallygate.store.usage_intake import LOGGED
from tallygate.store.usage_schema import usage_intake
from tests.servers.postgresql import Server

Row = dict[str, Any]
SCRIPT = Path(__file__).with_name("uses.lua")
SECRET = "bench-usage-secret-of-enough-length"
TOKENS = 200
CONNECTIONS = 16
WARM_UP_S = 1
BATCHES = (100, 1)  # events in a report
SETTLING_S_MAX = 300
POLL_S = 0.1


def measure(options: Options, folder: Path) -> Row:
    """SQLite, then PostgreSQL; batches, then single events."""
    rows: Row = {"sqlite": _measured(options, folder / "sqlite", "")}
    with _postgresql() as url:
        rows["postgresql"] = _measured(options, folder / "postgresql", url)
    return rows


@contextmanager
def _postgresql() -> Iterator[str]:
    server = Server(f"bench-{uuid.uuid4().hex}")
    server.create_database("bench")
    yield server.url("bench")
    server.drop_database("bench")


def _measured(options: Options, folder: Path, url: str) -> Row:
    settings = {"TALLYGATE_USAGE_SECRET": SECRET} | ({"DATABASE_URL": url} if url else {})
    with gate.running(folder, options.workers, "http://127.0.0.1:9/v1", **settings) as running:
        store = Store(url or f"sqlite:///{running.data / 'tallygate.db'}")
        store.furnish(folder / "hashes")
        row = {
            ("single" if size == 1 else "batches"): _driven(options, running, folder, store, size)
            for size in BATCHES
        }
        store.check()
    return row


def _driven(options: Options, running: gate.Gate, folder: Path, store: "Store", size: int) -> Row:
    groups = running.groups()
    everyone = [pid for pids in groups.values() for pid in pids]
    wanted = options.uses if size > 1 else options.uses // 10
    warm = _wrk(running.port, folder, WARM_UP_S, size)
    store.wait_for(warm.requests * size)
    wait_until_quiet(everyone)
    before, had = CpuReading.take(groups), store.logged()
    seconds = options.seconds_for(wanted, warm.per_second * size)
    load = _wrk(running.port, folder, seconds, size)
    ended_s, left = time.monotonic(), load.requests * size - (store.logged() - had)
    settled_s = store.wait_for(load.requests * size + had) - ended_s
    wait_until_quiet(everyone)
    events = store.logged() - had
    used_us = {name: s / events * 1e6 for name, s in before.since().items()}
    return {
        **{f"{name}_us": round(us, 2) for name, us in used_us.items()},
        "in_a_report": size,
        "events": events,
        "taken_per_second": round(load.per_second * size),
        "per_worker_core": round(1e6 / used_us["gateway"]),
        "per_clerk_core": round(1e6 / used_us["clerk"]),
        "backlog": max(0, left),
        "settled_per_second": round(left / settled_s) if left > size else None,
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
    }


def _wrk(port: int, folder: Path, seconds: int, size: int) -> wrk.Load:
    head = (
        f"POST /api/usage-log HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Usage-Secret: {SECRET}\r\n"
        "Content-Type: application/json\r\nUser-Agent: bench\r\nContent-Length: "
    ).encode()
    return wrk.drive(
        port,
        head,
        folder,
        seconds=seconds,
        connections=CONNECTIONS,
        script=SCRIPT,
        arguments=(uuid.uuid4().hex, str(size), str(folder / "hashes")),
    )


class Store:
    """The node's store, as the bench looks at it: a few reads a second."""

    def __init__(self, url: str) -> None:
        self._url = url

    def furnish(self, hashes: Path) -> None:
        """Tokens, and their hashes in a file."""
        digests = [hashlib.sha256(f"bench-{number}".encode()).digest() for number in range(TOKENS)]
        hashes.write_text("".join(f"{digest.hex()}\n" for digest in digests))

        async def run(db: Database) -> None:
            async with db.writing() as tx:
                for digest in digests:
                    key_id = await keys.insert_key(tx, kind="ntk", label="bench", now_ms=0)
                    await keys.add_secret(
                        tx, key_id, key_hash=digest, masked="", sealed=None, now_ms=0
                    )

        self._with(run)

    def logged(self) -> int:
        async def run(db: Database) -> int:
            return await _logged(db)

        return int(self._with(run))

    def wait_for(self, events: int) -> float:
        """When that many have become rows."""

        async def run(db: Database) -> float:
            deadline_s = time.monotonic() + SETTLING_S_MAX
            while await _logged(db) < events:
                if time.monotonic() > deadline_s:
                    raise BenchFailed(f"{events} events are not settled in {SETTLING_S_MAX} s")
                await asyncio.sleep(POLL_S)
            return time.monotonic()

        return float(self._with(run))

    def check(self) -> None:
        """What is counted as logged is there, row for row, and every token was used."""

        async def run(db: Database) -> tuple[int, int, int]:
            async with db.reading() as tx:
                count = sa.select(sa.func.count(), sa.func.count(usage.c.key_id.distinct()))
                rows, used = (await tx.execute(count.select_from(usage))).one()
            return await _logged(db), int(rows), int(used)

        logged, rows, used = self._with(run)
        if logged != rows or used != TOKENS:
            raise BenchFailed(f"{logged} logged, {rows} rows, {used} of {TOKENS} tokens used")

    def _with(self, run: Any) -> Any:
        """A coroutine function of a database."""

        async def opened() -> Any:
            db = Database(self._url)
            await db.open(may_create=False)
            try:
                return await run(db)
            finally:
                await db.close()

        return asyncio.run(opened())


async def _logged(db: Database) -> int:
    query = sa.select(sa.func.sum(usage_intake.c.counted)).where(usage_intake.c.kind == LOGGED)
    async with db.reading() as tx:
        return int(await tx.scalar(query) or 0)
