"""Politeness: whose turn it is at a host, and how many requests run at once in all.

A host is asked at most once a second, however many credentials it has and whatever becomes of the
answers; hosts do not wait for each other. The moment is reserved in the store, so that keepers in
other processes keep the same distance, and measured here from when the last request went out.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from tallygate.keeper.book import Book

GAP_S: Final = 1.0
RESERVED_MS: Final = 1020  # a little more, so that nobody's clock counts two in one second


class Permit:
    """The right to have one request running; given back once, however often it is released."""

    def __init__(self, permits: asyncio.Semaphore) -> None:
        self._permits: asyncio.Semaphore | None = permits

    def release(self) -> None:
        if self._permits is not None:
            self._permits.release()
            self._permits = None


class Pace:
    def __init__(self, book: Book, concurrency: int) -> None:
        self._book = book
        self._permits = asyncio.Semaphore(concurrency)
        self._hosts: dict[str, _Host] = {}

    async def permit(self) -> Permit:
        await self._permits.acquire()
        return Permit(self._permits)

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """The host's next moment; the request goes out when the block ends."""
        loop = asyncio.get_running_loop()
        place = self._hosts.setdefault(host, _Host())
        async with place.queue:
            wait_s = await self._book.reserve(host, RESERVED_MS)
            since_s = loop.time() - place.sent_s
            await asyncio.sleep(max(wait_s, GAP_S - since_s, 0.0))
            try:
                yield
            finally:
                place.sent_s = loop.time()


class _Host:
    def __init__(self) -> None:
        self.queue = asyncio.Lock()  # first come, first served
        self.sent_s = float("-inf")
