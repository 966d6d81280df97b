"""A node that another one's operator took for dead."""

import asyncio
import json

import pytest

from tallygate.store import nodes
from tallygate.store.database import Database
from tests.system.conftest import MakeNode
from tests.system.harness import until

pytestmark = pytest.mark.slow


async def retire(store_url: str, uuid: str) -> None:
    database = Database(store_url)
    await database.open(may_create=False)
    async with database.writing() as tx:
        await nodes.retire(tx, uuid, database.system_clock_ms())
    await database.close()


def test_a_node_that_was_given_up_while_it_lives_serves_again_by_itself(
    make_node: MakeNode,
) -> None:
    """Its workers' lives are over in the store: new ones take their place, and nothing is lost."""
    node = make_node(workers=1)
    key = node.make_key(100)
    assert node.chat(key)[0] == 200
    before = node.pids()["gateway-0"]
    asyncio.run(retire(node.store_url, json.loads((node.data / "node.json").read_text())["uuid"]))
    until(lambda: node.pids().get("gateway-0") not in (before, None), "a new worker is there")
    until(lambda: node.chat(key)[0] == 200, "it serves")
    served = node.requests_of(key)
    assert node.chat(key)[0] == 200
    assert node.requests_of(key) == served + 1
