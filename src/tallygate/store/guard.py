"""A deadline around one await on the store, and its library's failures in the domain's words."""

import asyncio
import sqlite3
from collections.abc import Callable
from types import TracebackType

import sqlalchemy as sa

from tallygate.core.errors import StoreUnavailable
from tallygate.store import postgresql, sqlite

INTERRUPT_GRACE_S = 2.0


class Guard:
    """`async with`, around one await.

    SQLite works in a thread that no cancellation stops: it is interrupted at the deadline, and what
    the thread says then, or a little later nothing, is what the caller hears.
    """

    __slots__ = ("_deadline_s", "_interrupt", "_timeout", "_timer")

    def __init__(self, deadline_s: float, interrupt: Callable[[], object] | None = None) -> None:
        self._deadline_s = deadline_s
        self._interrupt = interrupt
        self._timer: asyncio.TimerHandle | None = None
        grace_s = INTERRUPT_GRACE_S if interrupt else 0.0
        self._timeout = asyncio.timeout(deadline_s + grace_s)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        if self._interrupt is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._deadline_s, self._interrupt)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError as late:
            raise StoreUnavailable("the store did not answer in time") from late
        if isinstance(error, Exception) and (domain := _domain_error(error)) is not None:
            raise domain from error


def _domain_error(error: Exception) -> Exception | None:
    """The domain's error for a library's, or None for what is our own bug or a broken rule."""
    cause: BaseException | None = error
    while isinstance(cause, sa.exc.DBAPIError):
        cause = cause.orig
    while cause is not None and not _is_of_library(cause):
        cause = cause.__cause__
    if isinstance(cause, sqlite3.Error):
        return sqlite.domain_error(cause)
    if cause is not None:
        return postgresql.domain_error(cause)
    if isinstance(error, sa.exc.TimeoutError):
        return StoreUnavailable("every connection to the store is busy")
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return StoreUnavailable("the connection to the store was lost")
    return None


def _is_of_library(error: BaseException) -> bool:
    return isinstance(error, sqlite3.Error | OSError) or postgresql.is_of_driver(error)
