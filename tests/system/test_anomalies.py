"""What an anomaly does to a key, at a real gateway: another node's clerk finds it, this one obeys.

The node's own clerk looks every other minute; the one here looks when the test says so.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from tallygate.clerk.anomalies import Anomalies
from tallygate.clerk.clock import NodeClock
from tallygate.clerk.rollup import Roller
from tallygate.clerk.writer import Writer
from tallygate.store.database import Database
from tallygate.store.schema import api_key
from tallygate.tasks import Tasks
from tests.clerk.samples import make_options
from tests.store.uses import HOUR_MS, insert, use
from tests.system.conftest import MakeNode
from tests.system.harness import Node, until

pytestmark = pytest.mark.slow

WEEKS = 3
FLOOD = 60


class Watcher:
    """What a clerk of another node does about anomalies, on the same store."""

    def __init__(self, node: Node, database: Database, writer: Writer, **options: Any) -> None:
        chosen = make_options(node.folder / "other", node.store_url, **options)
        clock = NodeClock(database)
        self._database = database
        self._roller = Roller(database, clock, writer, chosen)
        self._anomalies = Anomalies(database, clock, writer, chosen)

    async def used(self, key_id: int, *at_ms: int) -> None:
        """From where the requests of the test come, too."""
        here = {"address": "127.0.0.1", "agent": ""}
        rows = [use(key_id=key_id, at_ms=one, request_id=f"r{one}", **here) for one in at_ms]
        async with self._database.writing() as tx:
            await insert(tx, rows)

    async def born(self, at_ms: int) -> None:
        async with self._database.writing() as tx:
            await tx.execute(sa.update(api_key).values(created_ms=at_ms))

    async def look(self) -> None:
        await self._roller.catch_up()
        await self._anomalies.look()


@asynccontextmanager
async def watching(node: Node, **options: Any) -> AsyncIterator[tuple[Watcher, int]]:
    """With the time by the store's clock."""

    def fail(name: str, error: BaseException) -> None:
        raise AssertionError(name) from error

    database, tasks = Database(node.store_url), Tasks(fail)
    await database.open(may_create=False)
    try:
        writer = Writer(database, NodeClock(database))
        tasks.start(writer.run(), "writer")
        yield Watcher(node, database, writer, **options), await database.clock_ms()
    finally:
        await tasks.close()
        await database.close()


async def flood(node: Node, key_id: int, **options: Any) -> None:
    """Some weeks of a use every three hours, then sixty in one."""
    async with watching(node, **options) as (watcher, now_ms):
        await watcher.born(now_ms - (WEEKS * 7 + 1) * 24 * HOUR_MS)
        hours = range(24, WEEKS * 7 * 24, 3)
        await watcher.used(key_id, *(now_ms - at * HOUR_MS for at in hours))
        await watcher.look()
        await watcher.used(key_id, *(now_ms - one for one in range(FLOOD)))
        await watcher.look()


def key_id_of(node: Node, key: str) -> int:
    (found,) = [
        one for one in node.admin("GET", "/api/keys")["items"] if key.endswith(one["masked"][-4:])
    ]
    return int(found["id"])


def test_a_gateway_stops_or_slows_down_a_key_that_was_flooded(make_node: MakeNode) -> None:
    """Until somebody says that it is fine; other keys do not notice."""
    node = make_node(workers=1)
    stopped, slowed, other = (node.make_key(None) for _ in range(3))
    assert [node.chat(key)[0] for key in (stopped, slowed, other)] == [200, 200, 200]
    asyncio.run(flood(node, key_id_of(node, stopped), anomaly_throttle="stop"))
    until(lambda: refused(node, stopped) == (403, "key_inactive"), "a key is stopped")
    limited = {"anomaly_throttle": "slow", "anomaly_throttle_per_minute": 1}
    asyncio.run(flood(node, key_id_of(node, slowed), **limited))
    until(lambda: refused(node, slowed)[0] == 429, "a key is slowed down")
    assert node.chat(other)[0] == 200
    told = node.admin("GET", "/api/anomalies")["items"]
    assert [(one["kind"], one["throttle"]) for one in told] == [
        ("volume", "slow"),
        ("volume", "stop"),
    ]
    for one in told:
        node.admin("POST", f"/api/anomalies/{one['id']}/acknowledge", {})
    for key in (stopped, slowed):
        until(lambda key=key: refused(node, key)[0] == 200, "the key is let through again")  # type: ignore[misc]  # bound now


def refused(node: Node, key: str) -> tuple[int, str]:
    status, _, answer = node.chat(key)
    return status, answer.get("error", {}).get("code", "")
