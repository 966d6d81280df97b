"""Nodes over stores of each kind."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tallygate.store.database import Database
from tallygate.store.migrations import migrate
from tests.clerk.samples import Node, make_options

MakeNode = Callable[..., Awaitable[Node]]


async def prepare(url: str) -> None:
    db = Database(url)
    await db.open()
    await migrate(db)
    await db.close()


@pytest.fixture
async def make_node(tmp_path: Path) -> AsyncIterator[MakeNode]:
    """Nodes that share one store; SQLite unless a URL is given."""
    nodes: list[Node] = []

    async def make(name: str = "one", url: str = "", **changes: object) -> Node:
        if not url:
            url = f"sqlite:///{tmp_path}/tallygate.db"
        await prepare(url)
        changes = {"node_uuid": f"node-{name}", "node_name": name} | changes
        node = await Node(make_options(tmp_path / name, url, **changes)).start()
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        await node.stop()


@pytest.fixture
async def node(make_node: MakeNode) -> Node:
    return await make_node()


@pytest.fixture
async def any_node(store_url: str, make_node: MakeNode) -> Node:
    """Once over each kind of store."""
    return await make_node(url=store_url)
