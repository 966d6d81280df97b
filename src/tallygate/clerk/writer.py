"""The node's one writer: jobs that arrive together share a transaction, a savepoint each.

Leases go first, commands after them, then one bounded step of settling. When the store fails,
everyone who waits is told at once and nothing is half done; the writer then knocks with growing
pauses, and meanwhile refuses new jobs without making them wait. A transaction that the store undid,
for another node's and ours waited for each other, is run again, its jobs one by one: each locks in
an order of its own, and it is what shares a transaction that closes a circle.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from tallygate.clerk.clock import NodeClock
from tallygate.core.errors import Refusal, StoreUnavailable, TransactionUndone
from tallygate.store.database import Database, Tx

BATCH_MAX = 64
PAUSE_S_MIN = 0.05
PAUSE_S_MAX = 1.0
ATTEMPTS = 2
ATTEMPTS_UNDONE = 5

log = structlog.get_logger("tallygate.clerk")

T = TypeVar("T")
Run = Callable[[Tx, int], Awaitable[T]]


class Rank(enum.IntEnum):
    """Who goes first in a shared transaction."""

    LEASES = 0
    COMMAND = 1


@dataclass(slots=True)
class _Job:
    name: str
    run: Run[Any]
    rank: Rank
    is_repeatable: bool
    waiter: asyncio.Future[Any]


class Writer:
    def __init__(self, db: Database, clock: NodeClock) -> None:
        self._db = db
        self._clock = clock
        self._jobs: list[_Job] = []
        self._wake = asyncio.Event()
        self._pause_s = 0.0
        self._may_settle = True
        self.is_available = True
        self.settle: Callable[[], Awaitable[bool]] | None = None

    async def do(
        self, name: str, run: Run[T], *, rank: Rank = Rank.COMMAND, is_repeatable: bool = False
    ) -> T:
        """Run in a transaction; returns once it is committed.

        `is_repeatable`: running it twice does what running it once does, so a transaction whose
        end is unknown may be tried again.
        """
        if not self.is_available:
            raise StoreUnavailable("the store can not be reached")
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(name, run, rank, is_repeatable, waiter))
        self._wake.set()
        return await waiter

    def poke(self) -> None:
        """There is something to settle."""
        self._may_settle = True
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                if self.is_available:
                    await self._wake.wait()
                    self._wake.clear()
                await self._turn()
        finally:
            self._fail_all(self._jobs, StoreUnavailable("the clerk is ending"))

    async def _turn(self) -> None:
        try:
            if not self.is_available:
                await self._knock()
            if self._jobs:
                await self._run_jobs()
            if self._may_settle and self.settle is not None:
                self._may_settle = False  # until somebody says that there is more
                if await self.settle():
                    self.poke()
            self._pause_s = 0.0
        except StoreUnavailable as error:
            self._may_settle = True
            await self._find_out(error)
        if self._jobs:
            self._wake.set()

    async def _knock(self) -> None:
        await asyncio.sleep(self._pause_s)
        async with self._db.writing():
            pass
        self.is_available = True
        self._wake.set()
        log.info("the store is back")

    async def _find_out(self, error: StoreUnavailable) -> None:
        """One transaction failed: is the store gone, or was it a lost connection or a deadlock?"""
        if self.is_available:
            try:
                async with self._db.writing():
                    pass
            except StoreUnavailable as again:
                error = again
            else:
                self._wake.set()
                return
        self._lose(error)

    def _lose(self, error: StoreUnavailable) -> None:
        if self.is_available:
            log.warning("the store can not be reached", reason=str(error))
        self.is_available = False
        self._pause_s = min(PAUSE_S_MAX, max(PAUSE_S_MIN, self._pause_s * 2))
        self._fail_all(self._jobs, error)

    def _fail_all(self, jobs: list[_Job], error: Exception) -> None:
        for job in jobs:
            if not job.waiter.done():
                failure = StoreUnavailable(str(error))
                failure.__cause__ = error
                job.waiter.set_exception(failure)
        jobs.clear()

    async def _run_jobs(self) -> None:
        self._jobs.sort(key=lambda job: job.rank)
        jobs, self._jobs = self._jobs[:BATCH_MAX], self._jobs[BATCH_MAX:]
        try:
            await self._finish(jobs)
        except BaseException as error:
            self._fail_all(jobs, error if isinstance(error, Exception) else StoreUnavailable())
            raise

    async def _finish(self, jobs: list[_Job]) -> None:
        """Run them and tell whoever waits."""
        may_repeat = all(job.is_repeatable for job in jobs)
        try:
            outcomes = await self._attempt(jobs, ATTEMPTS if may_repeat else 1)
        except TransactionUndone:
            if len(jobs) == 1:
                raise
            for job in jobs:
                await self._finish([job])
            return
        for job, outcome in zip(jobs, outcomes, strict=True):
            if job.waiter.done():  # nobody waits any more
                continue
            if isinstance(outcome, Exception):
                job.waiter.set_exception(outcome)
            else:
                job.waiter.set_result(outcome)

    async def _attempt(self, jobs: list[_Job], attempts: int) -> list[Any]:
        undone = 0
        while True:
            try:
                if len(jobs) == 1:
                    return [await self._alone(jobs[0])]
                return await self._together(jobs)
            except TransactionUndone:  # nothing has happened, so anything may be repeated
                undone += 1
                if len(jobs) > 1 or undone >= ATTEMPTS_UNDONE:
                    raise
            except StoreUnavailable:
                attempts -= 1
                if attempts < 1:
                    raise

    async def _alone(self, job: _Job) -> Any:
        """A single job needs no savepoint: what it refuses rolls everything back."""
        try:
            async with self._db.writing() as tx:
                return await job.run(tx, self._clock.now_ms())
        except StoreUnavailable:
            raise
        except Exception as error:
            return _noted(job, error)

    async def _together(self, jobs: list[_Job]) -> list[Any]:
        outcomes: list[Any] = []
        async with self._db.writing() as tx:
            for job in jobs:
                try:
                    async with tx.savepoint():
                        outcomes.append(await job.run(tx, self._clock.now_ms()))
                except StoreUnavailable:
                    raise
                except Exception as error:
                    outcomes.append(_noted(job, error))
        return outcomes


def _noted(job: _Job, error: Exception) -> Exception:
    """A refusal is an answer; anything else is a bug that its caller and the log hear of."""
    if not isinstance(error, Refusal):
        log.error("a job failed", job=job.name, exc_info=error)
    return error
