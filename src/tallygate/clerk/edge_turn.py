"""Whose turn it is to publish to the edge: one node's, which says so again and again.

A node that died is followed by another one within a minute. Changes of the publisher's row fail
once it is another's, so that of two nodes that both believe in their turn one learns better.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.options import Options
from tallygate.clerk.writer import Writer
from tallygate.store import edge_entries as entries
from tallygate.store.database import Database, Tx
from tallygate.store.edge_entries import Publisher

MINE_MS = 60_000  # longer than all that one look may take

Work = Callable[[Tx, int], Awaitable[None]]


class Lost(Exception):
    """Another node publishes by now."""


class Turn:
    def __init__(self, db: Database, clock: NodeClock, writer: Writer, options: Options) -> None:
        self._db = db
        self._clock = clock
        self._writer = writer
        self._node = options.node_uuid
        self._place = f"{options.cloudflare_account_id}/{options.edge_kv_namespace_id}"
        self.feed_seq: int | None = None  # up to which this publisher has followed; None: it is not
        self.row = Publisher()

    async def take(self) -> bool:
        """Whether it is this node's turn; the row is then as it is in the store."""
        now_ms = self._clock.now_ms()
        async with self._db.reading() as tx:
            self.row = await entries.publisher(tx)
        is_mine = self.row.owner == self._node and self.row.until_ms > now_ms
        if not is_mine:
            self.feed_seq = None
            if self.row.until_ms > now_ms:
                return False
        if not is_mine or self.row.until_ms - now_ms < MINE_MS * 3 // 4:
            return await self._claim()
        return True

    async def save(self, name: str, work: Work | None = None, **changes: Any) -> None:
        """Change the row, and what belongs to that, in one transaction. Lost: not ours any more."""
        for field, value in changes.items():
            setattr(self.row, field, value)

        async def run(tx: Tx, now_ms: int) -> bool:
            if work is not None:
                await work(tx, now_ms)
            return await entries.save(tx, self._node, **changes)

        if not await self._writer.do(name, run, is_repeatable=True):
            raise Lost

    async def settle_in(self) -> None:
        """In another namespace it is not known yet what lies there."""
        if self.row.place == self._place:
            return
        fresh = Publisher(place=self._place, owner=self.row.owner, until_ms=self.row.until_ms)
        self.row = fresh
        await self.save("edge moved", _forget, **msgspec.structs.asdict(fresh))

    async def _claim(self) -> bool:
        seq = self.row.feed_seq if self.feed_seq is None else self.feed_seq

        async def claim(tx: Tx, now_ms: int) -> bool:
            is_claimed = await entries.claim(tx, self._node, now_ms, now_ms + MINE_MS)
            return is_claimed and await entries.save(tx, self._node, feed_seq=seq)

        if not await self._writer.do("edge publisher", claim, is_repeatable=True):
            self.feed_seq = None
            return False
        async with self._db.reading() as tx:
            self.row = await entries.publisher(tx)
        return True


async def _forget(tx: Tx, _: int) -> None:
    await entries.forget_published(tx)
