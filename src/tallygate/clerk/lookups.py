"""Key look-ups of the own workers: those that come together share one read of the store.

A look-up that ran while a change was being pushed may have seen the key as it was before. Then it
is repeated, or a gateway would learn of the revocation first and of the old key afterwards.
"""

import asyncio
from collections.abc import Callable

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.peers import Peer
from tallygate.core.errors import StoreUnavailable
from tallygate.core.ports import Found, Key, LookUp
from tallygate.store import keys
from tallygate.store.database import Database

BATCH_MAX = 256
ATTEMPTS = 10


class LookUps:
    def __init__(self, db: Database, clock: NodeClock, pushed_seq: Callable[[], int]) -> None:
        self._db = db
        self._clock = clock
        self._pushed_seq = pushed_seq
        self._waiting: list[tuple[Peer, LookUp]] = []
        self._wake = asyncio.Event()

    def look_up(self, peer: Peer, message: LookUp) -> None:
        self._waiting.append((peer, message))
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch = self._waiting[:BATCH_MAX]
                del self._waiting[:BATCH_MAX]
                await self._answer(batch)

    async def _answer(self, batch: list[tuple[Peer, LookUp]]) -> None:
        hashes = {message.key_hash for _, message in batch}
        try:
            found = await self._read_settled(hashes)
        except StoreUnavailable:
            for peer, message in batch:
                peer.send(Found(message.id, None, False))
            return
        for peer, message in batch:
            peer.send(Found(message.id, found.get(message.key_hash), True))

    async def _read_settled(self, hashes: set[bytes]) -> dict[bytes, Key | None]:
        for _ in range(ATTEMPTS):
            before = self._pushed_seq()
            found = await self._read(hashes)
            if self._pushed_seq() == before:
                return found
        raise StoreUnavailable("keys change faster than they can be read")

    async def _read(self, hashes: set[bytes]) -> dict[bytes, Key | None]:
        async with self._db.reading() as tx:
            now_ms = self._clock.now_ms()
            return {one: await keys.find_by_hash(tx, one, now_ms) for one in hashes}
