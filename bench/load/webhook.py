"""Charges by webhook: how many a second over HTTP, each committed before it is answered, and what
CPU time they cost beside the floor: the same rows written by bare batched INSERTs in one process.
"""

import asyncio
import functools
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.load import floor, gate, wrk
from bench.load.options import Options
from bench.load.processes import BenchFailed, CpuReading, family_s, wait_until_quiet
from tallygate.store import wallets
from tallygate.store.database import Database
from tallygate.store.money_schema import charge, price, wallet
from tallygate.store.people_schema import account
from tests.servers.postgresql import Server

Row = dict[str, Any]
SCRIPT = Path(__file__).with_name("events.lua")
KEY = "bench-webhook-key-of-enough-length"
USERS = 1_000
BALANCE_MICROS = 10**15
CONNECTIONS = 64
WARM_UP_S = 1


def measure(options: Options, folder: Path) -> Row:
    """SQLite, then PostgreSQL; each beside its own floor."""
    rows: Row = {"sqlite": _measured(options, folder / "sqlite", "", lambda: 0.0)}
    with _postgresql() as (url, pid):
        server_s = functools.partial(family_s, pid)
        rows["postgresql"] = _measured(options, folder / "postgresql", url, server_s)
    return rows


@contextmanager
def _postgresql() -> Iterator[tuple[str, int]]:
    server = Server(f"bench-{uuid.uuid4().hex}")
    server.create_database("bench")
    yield server.url("bench"), server.pid
    server.drop_database("bench")


def _measured(options: Options, folder: Path, url: str, server_s: Callable[[], float]) -> Row:
    """`server_s`: the CPU that the store's own processes have used so far."""
    settings = {"TALLYGATE_DIFY_WEBHOOK_KEY": KEY} | ({"DATABASE_URL": url} if url else {})
    with gate.running(folder, options.workers, "http://127.0.0.1:9/v1", **settings) as running:
        store_url = url or f"sqlite:///{running.data / 'tallygate.db'}"
        asyncio.run(_furnish(store_url))
        row = _driven(options, running, folder, server_s)
    asyncio.run(_check(store_url, row.pop("answered")))
    wanted = min(row["charges"], options.floor_rows)
    size = row["charges_in_a_batch"]
    least = asyncio.run(floor.measure(store_url, folder, wanted, size, server_s))
    return row | _beside(row, least.own_s / wanted * 1e6, least.server_s / wanted * 1e6)


def _beside(row: Row, own_us: float, server_us: float) -> Row:
    """SQLite works in our processes; what PostgreSQL uses is shown apart, then with ours."""
    return {
        "floor_us": round(own_us, 2),
        "to_floor": round(row["all_us"] / own_us, 2),
        "floor_server_us": round(server_us, 2),
        "to_floor_with_server": round(
            (row["all_us"] + row["store_server_us"]) / (own_us + server_us), 2
        ),
    }


def _driven(
    options: Options, running: gate.Gate, folder: Path, server_s: Callable[[], float]
) -> Row:
    groups = running.groups()
    everyone = [pid for pids in groups.values() for pid in pids]
    head = (
        f"POST /api/dify/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Type: application/json\r\nUser-Agent: bench\r\nContent-Length: "
    ).encode()
    warm = _wrk(running.port, head, folder, WARM_UP_S)
    wait_until_quiet(everyone)
    batches, before, server_before_s = _batches(running), CpuReading.take(groups), server_s()
    load = _wrk(running.port, head, folder, options.seconds_for(options.events, warm.per_second))
    wait_until_quiet(everyone)
    server_us = (server_s() - server_before_s) / load.requests * 1e6
    used_us = {name: s / load.requests * 1e6 for name, s in before.since().items()}
    return {
        **{f"{name}_us": round(us, 2) for name, us in used_us.items()},
        "all_us": round(sum(used_us.values()), 2),
        "store_server_us": round(server_us, 2),
        "charges": load.requests,
        "per_second": round(load.per_second),
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
        "charges_in_a_batch": max(1, round(load.requests / (_batches(running) - batches))),
        "answered": warm.requests + load.requests,
    }


def _wrk(port: int, head: bytes, folder: Path, seconds: int) -> wrk.Load:
    arguments = (uuid.uuid4().hex, str(USERS))
    return wrk.drive(
        port,
        head,
        folder,
        seconds=seconds,
        connections=CONNECTIONS,
        script=SCRIPT,
        arguments=arguments,
    )


def _batches(running: gate.Gate) -> int:
    """How many transactions the clerk has charged in."""
    name = "tallygate_clerk_delivery_batches"
    for line in gate.text(running.port, "/metrics").splitlines():
        if line.startswith(f"{name} "):
            return int(float(line.split()[1]))
    raise BenchFailed(f"/metrics has no {name}")


async def _furnish(url: str) -> None:
    """Accounts with money, and a price."""
    db = Database(url)
    await db.open(may_create=False)
    names = ("input_picos", "output_picos", "request_picos", "effective_ms", "created_ms")
    async with db.writing() as tx:
        for number in range(USERS):
            who = {"id": f"user-{number}", "name": "", "role": "member", "is_active": True}
            await tx.execute(sa.insert(account), {**who, "created_ms": 0})
            await wallets.open_wallet(tx, who["id"], 0)
        await tx.execute(sa.update(wallet).values(balance_micros=BALANCE_MICROS))
        terms = dict(zip(names, (30 * 10**9, 60 * 10**9, 0, 0, 0), strict=True))
        what = {"model": "gpt-4", "currency": "points", "per_tokens": 1000, "is_active": True}
        await tx.execute(sa.insert(price), {**what, **terms, "actor": "", "reason": ""})
    await db.close()


async def _check(url: str, answered: int) -> None:
    """All that was answered is charged, and at most what wrk broke off besides."""
    db = Database(url)
    await db.open(may_create=False)
    async with db.reading() as tx:
        charged = int(await tx.scalar(sa.select(sa.func.count()).select_from(charge)))
        taken = await tx.scalar(sa.select(sa.func.sum(BALANCE_MICROS - wallet.c.balance_micros)))
        billed = await tx.scalar(sa.select(sa.func.sum(charge.c.micros)))
    await db.close()
    if not answered <= charged <= answered + 2 * CONNECTIONS or taken != billed:
        raise BenchFailed(f"{answered} answered, {charged} charged, {taken} taken of {billed}")
