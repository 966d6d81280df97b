"""Settling on a fresh SQLite file: the processor time of an entry, all threads together.

One figure is not enough: how much the way to the store's thread and back costs shows in small
batches, and what an entry itself costs in large ones.
"""

import hashlib
import tempfile
import time
from pathlib import Path

import uvloop

from bench.micro.journal import entry
from tallygate.core.entry import Entry, Use
from tallygate.core.limits import Dimension
from tallygate.core.ports import Ask
from tallygate.core.usage_report import ReportedUse, UsageReport, event_of
from tallygate.core.windows import Span
from tallygate.store import keys, leases, limits, nodes, settle
from tallygate.store.database import Database
from tallygate.store.migrations import migrate

BATCHES = 40
SIZES = (1, 16, 256)  # entries in a batch
USES = 256  # in a report
KEYS = 20
NOW_MS = 1_732_147_200_123
WINDOW_S = 1_732_147_200
LIMITS = tuple(
    limits.NewLimit(dimension, span, "UTC", None)
    for dimension, span in (
        (Dimension.REQUESTS, Span.DAY),
        (Dimension.REQUESTS, Span.MINUTE),
        (Dimension.TOKENS, Span.DAY),
    )
)
REPEATS = 3  # the best of them is the figure

Place = tuple[int, int]  # lease_id, limit_id


def main() -> None:
    for size in SIZES:
        spent_us = min(uvloop.run(measure(size)) for _ in range(REPEATS))
        print(f"{spent_us:>10,.1f} µs of CPU an entry  settle: {BATCHES} batches of {size}")
    spent_us = min(uvloop.run(measure_reports()) for _ in range(REPEATS))
    print(
        f"{spent_us:>10,.1f} µs of CPU a use  settle: {BATCHES} reports of {USES}, each use named"
    )


async def measure(size: int) -> float:
    with tempfile.TemporaryDirectory(prefix="tallygate-micro-") as folder:
        database = Database(f"sqlite:///{Path(folder) / 'tallygate.db'}")
        await database.open()
        await migrate(database)
        boot_id, held = await furnish(database)
        await settle_batch(database, boot_id, 0, entries_of(held, size))  # statements are compiled
        batches = [entries_of(held, size) for _ in range(BATCHES)]
        before_s = time.process_time()
        for number, batch in enumerate(batches, 1):
            await settle_batch(database, boot_id, number, batch)
        spent_s = time.process_time() - before_s
        await database.close()
    return spent_s / (BATCHES * size) * 1e6


async def measure_reports() -> float:
    """Reported uses, each to be remembered by its event; nothing is summed up meanwhile."""
    with tempfile.TemporaryDirectory(prefix="tallygate-micro-") as folder:
        database = Database(f"sqlite:///{Path(folder) / 'tallygate.db'}")
        await database.open()
        await migrate(database)
        boot_id, held = await furnish(database)
        tokens = [hashlib.sha256(str(key_id).encode()).digest() for key_id, _ in held]
        async with database.writing() as tx:
            for token, (key_id, _) in zip(tokens, held, strict=True):
                await keys.add_secret(
                    tx, key_id, key_hash=token, masked="", sealed=None, now_ms=NOW_MS
                )
        reports = [report_of(tokens, number) for number in range(BATCHES + 1)]
        spent_s = 0.0
        for number, one in enumerate(reports):
            before_s = time.process_time()
            async with database.writing() as tx:
                place = (0, number), (0, number + 1)
                await settle.settle(tx, boot_id, *place, [], NOW_MS, [one])
            spent_s += time.process_time() - before_s if number else 0.0
        await database.close()
    return spent_s / (BATCHES * USES) * 1e6


def report_of(tokens: list[bytes], number: int) -> UsageReport:
    uses = [
        ReportedUse(
            *(tokens[one % len(tokens)], "/api/orders", NOW_MS, "203.0.113.7", "n8n/1.64.0"),
            *(200, 12, event_of(f"{number}-{one}")),
        )
        for one in range(USES)
    ]
    return UsageReport(f"req_{number:x}", 0, uses)


async def furnish(database: Database) -> tuple[int, list[tuple[int, list[Place]]]]:
    """A worker's life, and for each key its id and a lease of each of its three limits."""
    held: list[tuple[int, list[Place]]] = []
    async with database.writing() as tx:
        await nodes.register_node(tx, "node", "node", NOW_MS)
        boot_id = (await nodes.register_boot(tx, "node", 0, 1, NOW_MS)).id
        for _ in range(KEYS):
            key_id = await keys.insert_key(tx, kind="roc", label="key", now_ms=NOW_MS)
            places = []
            for limit in LIMITS:
                limit_id = await limits.insert(
                    tx, "key", str(key_id), limit, NOW_MS, is_daily=False
                )
                wish = Ask(limit_id, WINDOW_S, 0, 10**9, 0, 0, False)
                places.append(((await leases.sync(tx, boot_id, wish, NOW_MS)).lease_id, limit_id))
            held.append((key_id, places))
    return boot_id, held


def entries_of(held: list[tuple[int, list[Place]]], size: int) -> list[Entry]:
    made = []
    for number in range(size):
        one = entry()
        one.key_id, places = held[number % len(held)]
        one.uses = [Use(lease_id, limit_id, WINDOW_S, 1, 700, 132) for lease_id, limit_id in places]
        made.append(one)
    return made


async def settle_batch(database: Database, boot_id: int, number: int, batch: list[Entry]) -> None:
    async with database.writing() as tx:
        await settle.settle(tx, boot_id, (0, number), (0, number + 1), batch, NOW_MS)
