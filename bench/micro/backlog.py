"""A backlog of reported uses becomes rows and sums on SQLite, by a whole clerk in this process.

Unlike `settle` it lets the tables grow, so what their indexes and the log cost shows. Its figures
are the clock until all are rows, and the processor time of all threads until all are summed up.
"""

import asyncio
import hashlib
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
import uvloop

from tallygate.clerk.clerk import Clerk
from tallygate.clerk.options import Options
from tallygate.core.usage_report import ReportedUse, UsageReport, event_of
from tallygate.journal.frames import Identity
from tallygate.journal.writer import Journal
from tallygate.store import keys
from tallygate.store.database import Database
from tallygate.store.migrations import migrate, store_uuid
from tallygate.store.rollup_schema import rollup_mark
from tallygate.store.schema import usage

USES = 200_000
IN_A_REPORT = 100
TOKENS = 200
JOURNALS = 2
POLL_S = 0.02
NODE = "bench"
_NEWEST = sa.select(sa.func.max(usage.c.id))
_SUMMED = sa.select(rollup_mark.c.usage_id)


class Measured(NamedTuple):
    settled_s: float
    summed_s: float
    cpu_s: float


def main() -> None:
    found = uvloop.run(measure())
    print(
        f"{found.cpu_s / USES * 1e6:>10,.1f} µs of CPU a use  backlog: {USES} reported uses, "
        f"{USES / found.settled_s:,.0f} settled a second, "
        f"{USES / found.summed_s:,.0f} with the last of them summed up"
    )


async def measure() -> Measured:
    with tempfile.TemporaryDirectory(prefix="tallygate-micro-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'tallygate.db'}"
        await furnish(url, folder)
        return await worked_off(url, folder)


async def furnish(url: str, folder: Path) -> None:
    """Tokens, and the journals of workers that have ended."""
    tokens = [hashlib.sha256(f"bench-{number}".encode()).digest() for number in range(TOKENS)]
    database = Database(url)
    await database.open()
    await migrate(database)
    now_ms = await database.clock_ms()
    async with database.writing() as tx:
        uuid = await store_uuid(tx)
        for token in tokens:
            key_id = await keys.insert_key(tx, kind="ntk", label="bench", now_ms=now_ms)
            await keys.add_secret(tx, key_id, key_hash=token, masked="", sealed=None, now_ms=now_ms)
    await database.close()
    for slot in range(JOURNALS):
        identity = Identity(uuid, NODE, slot, 1)
        path = folder / "journal" / str(slot) / "1"
        write(Journal(path, identity), tokens, slot, now_ms)


def write(journal: Journal, tokens: list[bytes], slot: int, now_ms: int) -> None:
    for number in range(USES // JOURNALS // IN_A_REPORT):
        names = range(number * IN_A_REPORT, (number + 1) * IN_A_REPORT)
        uses = [
            ReportedUse(
                *(tokens[one % TOKENS], "/api/orders", now_ms - 1000 + one % 1000),
                *(f"203.0.113.{one % 250}", "n8n/1.64.0", 200, one % 90),
                event_of(f"{slot}-{one:09d}"),
            )
            for one in names
        ]
        report = UsageReport(f"req_{slot}{number:x}", 0, uses)
        journal.append(msgspec.msgpack.encode(report))
        journal.write()
        journal.prepare()
    journal.close()


async def worked_off(url: str, folder: Path) -> Measured:
    def die(name: str, error: BaseException) -> None:
        raise RuntimeError(name) from error

    options = Options(
        data=str(folder), database_url=url, node_uuid=NODE, node_name=NODE, master_key=b""
    )
    (folder / "run").mkdir()
    clerk = Clerk(options, on_failure=die)
    started_s, cpu_s = time.monotonic(), time.process_time()
    await clerk.start()
    settled_s = await _reached(clerk.db, _NEWEST, started_s)
    summed_s = await _reached(clerk.db, _SUMMED, started_s)
    spent_s = time.process_time() - cpu_s
    await clerk.close()
    return Measured(settled_s, summed_s, spent_s)


async def _reached(database: Database, asked: sa.Select[tuple[int]], started_s: float) -> float:
    """When that is as many as there are uses."""
    while True:
        async with database.reading() as tx:
            if (await tx.scalar(asked) or 0) >= USES:
                return time.monotonic() - started_s
        await asyncio.sleep(POLL_S)
