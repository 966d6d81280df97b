"""A node that was given up while it lives: its workers begin anew, and nothing they did is lost."""

import pytest
import sqlalchemy as sa

from tallygate.core.commands import Settle
from tallygate.core.ports import Leave
from tallygate.store import nodes
from tallygate.store.schema import usage
from tests.clerk.samples import Node, Worker, until

pytestmark = pytest.mark.anyio


async def retire(node: Node) -> None:
    """As another node's operator does it, who takes this one for dead."""
    async with node.db.writing() as tx:
        await nodes.retire(tx, node.options.node_uuid, node.clerk.clock.now_ms())


async def answered(node: Node) -> list[str]:
    async with node.db.reading() as tx:
        names = (await tx.execute(sa.select(usage.c.request_id))).scalars()
        return [name for name in names if not name.startswith("lost-")]


def dismissals(worker: Worker) -> int:
    return sum(isinstance(message, Leave) for message in worker.messages)


async def test_its_workers_are_told_to_leave_and_it_is_in_use_again(node: Node):
    """Otherwise each request would be refused as if the store were away, until somebody looks."""
    worker = await node.worker(0)
    await retire(node)
    await node.clerk.barrier.beat()
    assert node.clerk.barrier.is_retired
    await worker.hear(Leave)
    await until(lambda: not node.clerk.barrier.is_retired)
    successor = await node.worker(0, boot=2)
    _, limit = await node.make_limit(3)
    assert await successor.admit(limit)
    assert dismissals(successor) == 0


async def test_a_worker_whose_life_has_ended_is_told_once_when_it_asks_or_comes_back(node: Node):
    """The clerk may have been restarted since: it knows from the store alone."""
    _, limit = await node.make_limit(3)
    worker = await node.worker(0)
    assert await worker.admit(limit)
    async with node.db.writing() as tx:
        await nodes.retire(tx, node.options.node_uuid, 1)
        await nodes.register_node(tx, node.options.node_uuid, "one", 2)
    for _ in range(2):
        assert not (await worker.sync((limit.id, 0), 1)).is_store_available
    assert dismissals(worker) == 1
    worker.channel.close()
    await worker.connect()
    await until(lambda: dismissals(worker) == 2)


async def test_what_it_answered_is_on_the_books_after_a_restart_of_its_clerk(node: Node):
    """Its units were spent when it was given up, but its journal is still the only witness."""
    _, limit = await node.make_limit(3)
    worker = await node.worker(0)
    assert await worker.admit(limit)
    await node.command(Settle())
    await node.stop()
    worker.finish(limit, "answered late")
    await node.db.open()
    await retire(node)
    await node.db.close()
    worker.die()
    await node.start()
    await node.until_closed()
    assert await answered(node) == ["answered late"]
