"""The book of prices in memory: follows the feed, and goes whole to every worker of this node.

Workers say which book they charge by, so that a change of a price can be acknowledged when it is in
force everywhere: `renew` for this node, the settle barrier for the others (it does `catch_up`).
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from tallygate.clerk.peers import Peer, Peers
from tallygate.core.errors import StoreUnavailable
from tallygate.core.ports import PriceBook
from tallygate.core.pricing import Book, Prices
from tallygate.store import prices as rows
from tallygate.store.database import Database

HEARD_S = 2.0  # a worker that has not taken a book in by then hangs, and charges nobody
RETRY_S = 1.0

log = structlog.get_logger("tallygate.clerk")


class BookKeeper:
    """`prices` is None until a book has been read."""

    def __init__(self, db: Database, now_ms: Callable[[], int], peers: Peers) -> None:
        self._db = db
        self._now_ms = now_ms
        self._peers = peers
        self._loading = asyncio.Lock()
        self._wake = asyncio.Event()
        self._heard = asyncio.Event()
        self._is_stale = True
        self.number = 0
        self.prices: Prices | None = None

    def reload_soon(self) -> None:
        """Prices, aliases or the rate were changed, here or by another node."""
        self._is_stale = True
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled: follow changes."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.load()
            except StoreUnavailable:
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def load(self) -> None:
        """Read the book; if it is another one, workers get it."""
        async with self._loading:
            self._is_stale = False
            try:
                async with self._db.reading() as tx:
                    book = await rows.read_book(tx, self._now_ms())
            except BaseException:
                self._is_stale = True
                raise
            if self.prices is None or book != self.prices.book:
                self._take(book)

    def _take(self, book: Book) -> None:
        self.number += 1
        self.prices = Prices(book)
        for peer in self._peers.workers:
            self.tell(peer)

    def tell(self, peer: Peer) -> None:
        """To a worker that has just introduced itself, or because there is another book."""
        if self.prices is not None:
            peer.send(PriceBook(self.number, self.prices.book))

    def heard(self, peer: Peer, number: int) -> None:
        """A worker charges by this book from now on."""
        peer.book_number = number
        self._heard.set()

    async def renew(self) -> None:
        """Read the book, and return when this node's workers charge by it."""
        await self.load()
        await self._all_heard()

    async def catch_up(self) -> None:
        """What the feed has said of prices so far is in force when this returns."""
        if self._is_stale or self._loading.locked():  # who reads it now has not told workers yet
            await self.load()
        await self._all_heard()

    async def _all_heard(self) -> None:
        give_up_s = asyncio.get_running_loop().time() + HEARD_S
        number = self.number
        while waited_for := [
            peer for peer in self._peers.workers if peer.is_open and peer.book_number < number
        ]:
            self._heard.clear()
            with contextlib.suppress(TimeoutError):  # one may have gone away without a word
                async with asyncio.timeout(HEARD_S / 10):
                    await self._heard.wait()
            if asyncio.get_running_loop().time() > give_up_s:
                for peer in waited_for:
                    log.warning("a worker does not take in the prices", peer=repr(peer))
                    peer.book_number = number  # nobody waits for it again
