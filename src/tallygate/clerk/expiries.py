"""Holds and grants whose time is over are taken care of, also where nobody touches their wallet.

Every node does it: a wallet is locked, what has ended is seen under the lock, and a second look
finds nothing more to do.
"""

import asyncio

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.options import Options
from tallygate.clerk.writer import Writer
from tallygate.core.errors import StoreUnavailable
from tallygate.store import budgets, feed, holds, wallets
from tallygate.store.database import Database, Tx

EVERY_S = 10.0
WALLETS_MAX = 50  # in one transaction


class Expiries:
    def __init__(self, db: Database, clock: NodeClock, writer: Writer, options: Options) -> None:
        self._db = db
        self._clock = clock
        self._writer = writer
        self._options = options

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.sweep()
            except StoreUnavailable:
                continue

    async def sweep(self) -> None:
        """Look at each wallet once that has something whose time is over."""
        after_id = 0
        while due := await self._due(after_id):
            await self._writer.do(
                "expire",
                lambda tx, now_ms, due=due: self._expire(tx, due, now_ms),  # type: ignore[misc]  # bound now
                is_repeatable=True,
            )
            after_id = due[-1]

    async def _due(self, after_id: int) -> list[int]:
        async with self._db.reading() as tx:
            now_ms = self._clock.now_ms()
            return await holds.due_wallets(tx, now_ms, after_id=after_id, limit=WALLETS_MAX)

    async def _expire(self, tx: Tx, wallet_ids: list[int], now_ms: int) -> None:
        found = (await wallets.lock_ids(tx, wallet_ids, now_ms)).values()
        dropped = {one.account_id: -sum(e.amount_micros for e in one.entries) for one in found}
        freed = [one.id for one in found if one.lapsed_holds]
        await wallets.write(tx, found)
        await budgets.note_dropped(tx, dropped, now_ms)
        for wallet_id in freed:  # a gateway that found it empty may ask again
            await feed.append(tx, "limit", -wallet_id, 0, self._options.node_uuid, now_ms)
