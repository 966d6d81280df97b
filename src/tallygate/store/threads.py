"""SQLite blocks, so each connection to it has a thread of its own, which alone uses it.

What is asked of a thread is a function, done in one hop: its arguments go there and all that it
read comes back. A pool lends threads out, one transaction each.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

import sqlalchemy as sa

from tallygate.core.errors import StoreUnavailable

WAIT_S_MAX = 5.0  # for a connection that others use

T = TypeVar("T")
_Job = tuple[asyncio.Future[Any], Callable[[], Any]]  # each of its own type


class ConnectionThread:
    """One connection and the thread that uses it; functions run in the order they are handed in.

    Who stops waiting stops nothing: the function runs, or is skipped if it had not begun, and what
    is handed in later finds the connection free.
    """

    __slots__ = ("_is_ended", "_jobs", "_loop", "connection", "driver")

    connection: sa.Connection
    driver: sqlite3.Connection

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_ended = False
        self._jobs = queue.SimpleQueue[_Job | None]()
        # A daemon: a disk that hangs must not keep the process from ending.
        threading.Thread(target=self._work, name="tallygate-store", daemon=True).start()

    async def open(self, engine: sa.Engine) -> None:
        try:
            await self.run(lambda: self._connect(engine))
        except BaseException:
            self.end()
            raise

    async def run(self, function: Callable[[], T]) -> T:
        if self._is_ended:
            raise StoreUnavailable("the connection to the store was lost")
        waiter: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((waiter, function))
        return await waiter

    def interrupt(self) -> None:
        """The statement that runs fails soon; nothing happens if none does."""
        self.driver.interrupt()

    def end(self) -> "asyncio.Future[None]":
        """Close the connection after all that was handed in, rolling back what it has open."""
        self._is_ended = True
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put((waiter, self._disconnect))
        self._jobs.put(None)
        return waiter

    def _connect(self, engine: sa.Engine) -> None:
        self.connection = engine.connect()
        # What SQLAlchemy hands out is untyped; our engine's driver is the standard library's.
        self.driver = cast(sqlite3.Connection, self.connection.connection.driver_connection)

    def _disconnect(self) -> None:
        if hasattr(self, "connection"):
            self.connection.invalidate()  # closes the driver's, whatever state it is in
            self.connection.close()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            waiter, function = job
            if waiter.cancelled() and function != self._disconnect:
                continue
            result, failure = None, None
            try:
                result = function()
            except BaseException as error:  # it belongs to whoever waits
                failure = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_tell, waiter, result, failure)
            del job, waiter, function, result, failure  # or they live until the next job comes


def _tell(waiter: asyncio.Future[Any], result: object, failure: BaseException | None) -> None:
    if waiter.done():  # whoever waited has gone
        return
    if failure is None:
        waiter.set_result(result)
    else:
        waiter.set_exception(failure)


class Pool:
    """At most `size` connections to one file; who finds all of them lent out waits in line."""

    def __init__(self, engine: sa.Engine, size: int) -> None:
        self._engine = engine
        self._room = asyncio.Semaphore(size)
        self._free: list[ConnectionThread] = []  # the one last used is lent out first
        self._is_closed = False

    async def take(self) -> ConnectionThread:
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                await self._room.acquire()
        except TimeoutError as error:
            raise StoreUnavailable("every connection to the store is busy") from error
        if self._free:
            return self._free.pop()
        try:
            if self._is_closed:
                raise StoreUnavailable("the store is not open")
            thread = ConnectionThread()
            await thread.open(self._engine)
        except BaseException:
            self._room.release()
            raise
        return thread

    def give(self, thread: ConnectionThread, *, is_fit: bool) -> None:
        """Take back what was lent; what is not fit for another transaction is closed."""
        if is_fit and not self._is_closed:
            self._free.append(thread)
        else:
            thread.end()
        self._room.release()

    async def close(self) -> None:
        for ended in self.end():
            await ended

    def end(self) -> "list[asyncio.Future[None]]":
        """Let all of them be closed; those that are lent out are when they are given back."""
        self._is_closed = True
        threads, self._free = self._free, []
        return [thread.end() for thread in threads]
