"""Whether many keys and routes cost a request anything, and what a worker remembers of a key.

Two gates take turns: one with a hundred tokens and one route, one with very many of both. Each
request carries a number of its own, so that no head is one that was read before: what is left
between few keys and many is what the keys cost.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.load import gate, nginx, wrk
from bench.load.options import Options
from bench.load.processes import CpuReading, rss_bytes, wait_until_quiet
from bench.load.traffic import request_bytes
from tallygate.core.keys import Kind, make_key
from tallygate.store.database import Database
from tallygate.store.schema import api_key, key_secret

Row = dict[str, Any]
SCRIPT = Path(__file__).with_name("keys.lua")
PATH = "/generic/things/7?page=2"
MARK = "THE-KEY"
SCOPE = "bench"
FEW = 100
IN_USE = 20_000  # below the cache's bound, so that a request finds its key
WARM_UP_PASSES = 3  # over the keys: each is met on every worker, nearly surely
ROWS_PER_STATEMENT = 10_000


def measure(options: Options, folder: Path) -> Row:
    secrets = [_secret(number) for number in range(options.keys)]
    (folder / "keys").write_text("".join(f"{secret}\n" for secret in secrets))
    with (
        nginx.upstream(folder / "upstream", options.workers) as (_, port),
        gate.running(folder / "few", options.workers, f"http://127.0.0.1:{port}/v1") as few,
        gate.running(folder / "many", options.workers, f"http://127.0.0.1:{port}/v1") as many,
    ):
        _furnish(few, port, secrets[:FEW], routes=0)
        _furnish(many, port, secrets, routes=options.routes)
        alone = Target(folder, few, FEW)
        beside = Target(folder, many, FEW)
        for _ in range(options.rounds):
            for target in (alone, beside):
                target.drive(options)
        before = _largest(many)
        in_use = Target(folder, many, min(IN_USE, options.keys))
        in_use.warm_up(options)
        held = _largest(many) - before
        for _ in range(options.rounds):
            in_use.drive(options)
    rows: Row = {"alone": alone.row(), "beside_many": beside.row(), "in_use": in_use.row()}
    return rows | {
        "keys": options.keys,
        "routes": options.routes,
        "bytes_per_key": round(held / in_use.keys),
    }


def _secret(number: int) -> str:
    return make_key(Kind.TOKEN, hashlib.sha256(f"bench-{number}".encode()).digest())


def _furnish(running: gate.Gate, port: int, secrets: Sequence[str], *, routes: int) -> None:
    backend = f"http://127.0.0.1:{port}"
    for number in range(routes):
        path = f"/services/team-{number}/api"
        running.admin("POST", "/api/routes", {"path": path, "backend_url": backend})
    route = {"path": "/generic", "backend_url": backend, "scope": SCOPE, "strip_prefix": True}
    running.admin("POST", "/api/routes", route)
    asyncio.run(_insert(f"sqlite:///{running.data / 'tallygate.db'}", secrets))


async def _insert(url: str, secrets: Sequence[str]) -> None:
    """As the store has them; nobody has asked for them yet, so no worker need be told."""
    db = Database(url)
    await db.open(may_create=False)
    try:
        async with db.reading() as tx:
            first = int(await tx.scalar(sa.select(sa.func.max(api_key.c.id))) or 0) + 1
        token = {"kind": "ntk", "label": "bench", "is_active": True, "created_ms": 0}
        token |= {"user_id": "", "team_id": "", "scopes": f'["{SCOPE}"]'}
        numbered = list(enumerate(secrets, first))
        for start in range(0, len(numbered), ROWS_PER_STATEMENT):
            some = numbered[start : start + ROWS_PER_STATEMENT]
            rows = [token | {"id": number} for number, _ in some]
            hashes = [
                {
                    "hash": hashlib.sha256(secret.encode()).digest(),
                    "key_id": number,
                    "masked": "",
                    "created_ms": 0,
                }
                for number, secret in some
            ]
            async with db.writing() as tx:
                await tx.execute(sa.insert(api_key), rows)
                await tx.execute(sa.insert(key_secret), hashes)
    finally:
        await db.close()


def _largest(running: gate.Gate) -> int:
    return max(map(rss_bytes, running.groups()["gateway"]))


@dataclass
class Target:
    """A gate, driven with so many of its keys in turn, and what that has cost so far."""

    folder: Path
    running: gate.Gate
    keys: int
    used_s: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    def warm_up(self, options: Options) -> None:
        """In one run: each begins with the first key."""
        first = self._wrk(1)
        self._wrk(options.seconds_for(self.keys * WARM_UP_PASSES, first.per_second))

    def drive(self, options: Options) -> None:
        warm = self._wrk(1)
        groups = self.running.groups()
        everyone = [pid for pids in groups.values() for pid in pids]
        wait_until_quiet(everyone)
        before = CpuReading.take(groups)
        load = self._wrk(options.seconds_for(options.requests // options.rounds, warm.per_second))
        wait_until_quiet(everyone)
        self.used_s.update(before.since())
        self.requests += load.requests

    def _wrk(self, seconds: int) -> wrk.Load:
        request = request_bytes(MARK, path=PATH)
        arguments = (MARK, str(self.folder / "keys"), str(self.keys))
        return wrk.drive(
            self.running.port,
            request,
            self.folder,
            seconds=seconds,
            script=SCRIPT,
            arguments=arguments,
        )

    def row(self) -> Row:
        row: Row = {
            f"{name}_us": round(s / self.requests * 1e6, 2) for name, s in self.used_s.items()
        }
        return row | {"keys_in_use": self.keys, "requests": self.requests}
