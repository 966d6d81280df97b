"""The settle barrier over all nodes: everything answered before it is on the books after it.

The own node settles and is done. Others are asked by a feed event and say in `node.settled_seq`
that they have; one that does not in time, or has not been seen for a while, is named as stale.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.options import Options
from tallygate.clerk.settle import Settler
from tallygate.clerk.writer import Writer
from tallygate.core.errors import StoreUnavailable
from tallygate.store import feed, nodes
from tallygate.store.database import Database, Tx
from tallygate.store.nodes import Node

LOOK_S = 0.03
STALE_MS = 5_000
TIMEOUT_MS_MAX = 60_000


class Barrier:
    def __init__(
        self,
        db: Database,
        clock: NodeClock,
        options: Options,
        writer: Writer,
        settler: Settler,
        prepare: Callable[[], Awaitable[None]],
    ) -> None:
        self._db = db
        self._clock = clock
        self._options = options
        self._writer = writer
        self._settler = settler
        self._prepare = prepare
        self.is_retired = False  # somebody gave this node up while it lives
        self.others: list[Node] = []  # other nodes in use, as of the last heartbeat

    async def settle(self, timeout_ms: int) -> list[str]:
        """The names of nodes whose usage may be missing still."""
        timeout_s = max(0, min(timeout_ms, TIMEOUT_MS_MAX)) / 1000
        give_up_at = asyncio.get_running_loop().time() + timeout_s
        alive = [node for node in self.others if self._is_alive(node)]
        stale = [node.name for node in self.others if not self._is_alive(node)]
        seq = 0
        if alive:
            seq = await self._writer.do("ask nodes to settle", self._publish)
        try:
            async with asyncio.timeout_at(give_up_at):
                await self._settle_here()
        except (TimeoutError, StoreUnavailable):
            stale.append(self._options.node_name)
        uuids = {node.uuid for node in alive}
        late = await self._late(uuids, seq)
        while late and asyncio.get_running_loop().time() < give_up_at:
            await asyncio.sleep(LOOK_S)
            late = await self._late(uuids, seq)
        return sorted({*stale, *late})

    async def answer(self, seq: int) -> None:
        """Another node asked: settle what was answered before, then say so."""
        await self._settle_here()
        await self._writer.do(
            "say that we settled",
            lambda tx, _: nodes.set_settled(tx, self._options.node_uuid, seq),
            is_repeatable=True,
        )

    async def _settle_here(self) -> None:
        await self._prepare()
        await self._settler.barrier()

    async def beat(self) -> None:
        """We live; and who else does?"""
        await self._writer.do(
            "heartbeat",
            lambda tx, now_ms: nodes.heartbeat(tx, self._options.node_uuid, now_ms),
            is_repeatable=True,
        )
        async with self._db.reading() as tx:
            found = await nodes.list_nodes(tx)
        in_use = [node for node in found if node.retired_ms is None]
        self.others = [node for node in in_use if node.uuid != self._options.node_uuid]
        self.is_retired = len(self.others) == len(in_use)

    @property
    def has_other_nodes(self) -> bool:
        return any(self._is_alive(node) for node in self.others)

    def _is_alive(self, node: Node) -> bool:
        return self._clock.now_ms() - node.last_seen_ms < STALE_MS

    async def _publish(self, tx: Tx, now_ms: int) -> int:
        return await feed.append(tx, "settle", 0, 0, self._options.node_uuid, now_ms)

    async def _late(self, uuids: set[str], seq: int) -> list[str]:
        if not uuids:
            return []
        try:
            async with self._db.reading() as tx:
                found = await nodes.list_nodes(tx)
        except StoreUnavailable:
            return [node.name for node in self.others if node.uuid in uuids]
        return [node.name for node in found if node.uuid in uuids and node.settled_seq < seq]
