"""The store as a run sees it: claims and results that arrive together share a transaction.

A store that does not answer is asked again until it does or patience ends: what was found out about
a credential, a new secret above all, exists nowhere else. Within a transaction rows are touched in
one order, so that two keepers never wait for each other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import structlog

from tallygate.clock import StoreClock, monotonic_ms
from tallygate.core import credential_notices
from tallygate.core.budget import NewNotice
from tallygate.core.credential import State
from tallygate.core.errors import StoreUnavailable
from tallygate.core.ports import Actor
from tallygate.store import (
    audit,
    credential_checks,
    credentials,
    feed,
    keeper_alerts,
    keeper_runs,
    notices,
)
from tallygate.store.credential_checks import Choice, Claim, Held, Result, Selection
from tallygate.store.database import Database, Tx
from tallygate.store.keeper_runs import Pulse, Run

PATIENCE_S: Final = 600.0
PAUSE_S_MAX: Final = 2.0
BATCH_MAX: Final = 200
ACTOR: Final = Actor("keeper", "local", "")
DAY_MS: Final = 86_400_000

log = structlog.get_logger("tallygate.keeper")

T = TypeVar("T")
Work = Callable[[Tx, int], Awaitable[T]]


class Book(Protocol):
    """What a run needs of the store; a model of it stands in for it in simulations."""

    async def open(self, selection: str, window_ms: int) -> Run: ...

    async def beat(self, run: Run) -> None: ...

    async def close(self, run: Run, selection: str, totals: dict[str, int]) -> None: ...

    async def choose(self, run: Run, wanted: Selection) -> list[Choice]: ...

    async def reserve(self, host: str, gap_ms: int) -> float: ...

    async def claim(self, run: Run, credential_id: int) -> Claim | Held: ...

    async def finish(self, run: Run, result: Result) -> State | None: ...

    async def pulse(self, credential_id: int) -> Pulse | None: ...

    async def give_up(self, pulse: Pulse) -> None: ...

    def unseal(self, claim: Claim) -> dict[str, str]: ...

    async def now_ms(self) -> int: ...


@dataclass(slots=True)
class _Job:
    order: tuple[int, Any]  # credentials by id, then hosts by name, then the feed
    run: Work[Any]
    waiter: "asyncio.Future[Any]" = field(repr=False)


class StoreBook:
    """`grace_ms`: how long what was proven invalid stays before it is deleted; 0 is at once.

    `ring` gives the master keys as they are now: they may be rotated while a run goes on, and what
    is sealed under a key that is forgotten afterwards would be lost.
    """

    def __init__(
        self, db: Database, ring: Callable[[], bytes], *, owner: str, grace_ms: int
    ) -> None:
        self._db = db
        self._ring = ring
        self._owner = owner
        self._grace_ms = grace_ms
        self._clock = StoreClock(0)
        self._offset_ms: int | None = None
        self._jobs: list[_Job] = []
        self._is_working = asyncio.Lock()

    async def set_clock(self) -> None:
        """The store's clock; one that is set back while a run goes on is not followed, for what is
        reserved and claimed would lie in its future."""
        offset_ms = await self._db.clock_ms() - monotonic_ms()
        if self._offset_ms is None or offset_ms > self._offset_ms:
            self._offset_ms = offset_ms
            self._clock.set_offset(offset_ms)

    async def now_ms(self) -> int:
        return self._clock.now_ms()

    async def open(self, selection: str, window_ms: int) -> Run:
        await self.set_clock()
        return await self._alone(
            lambda tx, now: keeper_runs.open_run(tx, selection, self._owner, now, window_ms)
        )

    async def beat(self, run: Run) -> None:
        await self.set_clock()
        await self._alone(lambda tx, now: keeper_runs.beat(tx, run.id, now))

    async def close(self, run: Run, selection: str, totals: dict[str, int]) -> None:
        await self._alone(lambda tx, now: keeper_runs.close_run(tx, run, selection, totals, now))

    async def choose(self, run: Run, wanted: Selection) -> list[Choice]:
        return await self._alone(lambda tx, now: credential_checks.choose(tx, run, wanted, now))

    async def preview(self, wanted: Selection) -> list[Choice]:
        """What a run would check; nothing is changed."""
        async with self._db.reading() as tx:
            now_ms = self._clock.now_ms()
            return await credential_checks.preview(tx, now_ms, wanted, now_ms)

    async def bury(self) -> list[tuple[int, str]]:
        """Delete what was in quarantine for long enough."""

        async def work(tx: Tx, now_ms: int) -> list[tuple[int, str]]:
            gone = await credential_checks.bury(tx, now_ms - self._grace_ms, now_ms)
            return await _told(tx, gone, "grace over", now_ms)

        return await self._alone(work)

    async def clean(self, days: int, *, is_dry_run: bool) -> list[tuple[int, str]]:
        """Delete what was unused for so many days."""

        async def work(tx: Tx, now_ms: int) -> list[tuple[int, str]]:
            since_ms = now_ms - days * DAY_MS
            gone = await credential_checks.clean(tx, since_ms, now_ms, is_dry_run=is_dry_run)
            return gone if is_dry_run else await _told(tx, gone, "unused", now_ms)

        return await self._alone(work)

    async def counts(self) -> dict[str, int]:
        async with self._db.reading() as tx:
            return await credentials.counts(tx)

    async def tell_if_idle(self) -> None:
        await self._alone(keeper_alerts.tell_if_idle)

    async def tell_failing(self, notice: NewNotice, *, is_of_few: bool) -> None:
        await self._alone(
            lambda tx, now: keeper_alerts.tell_failing(tx, notice, now, is_of_few=is_of_few)
        )

    def unseal(self, claim: Claim) -> dict[str, str]:
        return credentials.unseal(self._ring(), claim.id, claim.sealed)

    async def reserve(self, host: str, gap_ms: int) -> float:
        """Seconds until the moment that is ours."""

        async def work(tx: Tx, now_ms: int) -> int:
            return await keeper_runs.reserve(tx, host, now_ms, gap_ms)

        at_ms = await self._shared((1, host), work)
        return max(0, at_ms - self._clock.now_ms()) / 1000

    async def claim(self, run: Run, credential_id: int) -> Claim | Held:
        async def work(tx: Tx, now_ms: int) -> Claim | Held:
            return await credential_checks.claim(tx, run, credential_id, now_ms)

        return await self._shared((0, credential_id), work)

    async def finish(self, run: Run, result: Result) -> State | None:
        async def work(tx: Tx, now_ms: int) -> State | None:
            # No sooner: a rotation goes over all that was written before it.
            ring = b"" if result.parts is None else self._ring()
            state = await credential_checks.finish(tx, ring, run, result, now_ms)
            if state is State.QUARANTINED:
                return await self._condemned(tx, result, now_ms)
            return state

        ended = await self._shared((0, result.id), work)
        if ended in (State.QUARANTINED, State.DELETED) or (ended and result.parts is not None):
            await self._shared((2, ""), _publish)
        return ended

    async def pulse(self, credential_id: int) -> Pulse | None:
        return await self._alone(lambda tx, _: keeper_runs.pulse_of_holder(tx, credential_id))

    async def give_up(self, pulse: Pulse) -> None:
        await self._alone(lambda tx, now: keeper_runs.give_up(tx, pulse, now))

    async def _condemned(self, tx: Tx, result: Result, now_ms: int) -> State:
        """It is written down and told; without grace it is deleted at once."""
        view = await credentials.get(tx, result.id)
        state = State.QUARANTINED
        await audit.record(
            tx, ACTOR, "credential.quarantine", f"credential:{view.id}", None, view, now_ms
        )
        told = credential_notices.died(view.id, view.kind, view.name, view.user, result.reason)
        await notices.insert(tx, [told], now_ms)
        if self._grace_ms == 0:
            await credentials.discard(tx, result.id, now_ms)
            state = State.DELETED
            await audit.record(
                tx, ACTOR, "credential.delete", f"credential:{view.id}", view, None, now_ms
            )
        return state

    async def _alone(self, work: Work[T]) -> T:
        async with self._is_working:
            return await self._patiently(work)

    async def _shared(self, order: tuple[int, Any], work: Work[T]) -> T:
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(order, work, waiter))
        async with self._is_working:  # whoever comes first takes along all who wait
            if not waiter.done():
                await self._together()
        return await waiter

    async def _together(self) -> None:
        jobs, self._jobs = self._jobs[:BATCH_MAX], self._jobs[BATCH_MAX:]
        jobs.sort(key=lambda job: job.order)

        async def work(tx: Tx, now_ms: int) -> list[Any]:
            return [await job.run(tx, now_ms) for job in jobs]

        try:
            outcomes = await self._patiently(work)
        except Exception as error:
            for job in jobs:
                if not job.waiter.done():
                    job.waiter.set_exception(error)
            return
        for job, outcome in zip(jobs, outcomes, strict=True):
            if not job.waiter.done():
                job.waiter.set_result(outcome)

    async def _patiently(self, work: Work[T]) -> T:
        """All that is done here may be done twice: a commit whose end is unknown is repeated."""
        pause_s, waited_s = 0.05, 0.0
        while True:
            try:
                async with self._db.writing() as tx:
                    return await work(tx, self._clock.now_ms())
            except StoreUnavailable as error:
                if waited_s > PATIENCE_S:
                    raise
                log.warning("the store does not answer; trying again", reason=str(error))
            await asyncio.sleep(pause_s)
            waited_s += pause_s
            pause_s = min(PAUSE_S_MAX, pause_s * 2)


async def _publish(tx: Tx, now_ms: int) -> None:
    """Clerks carry the secrets of pools to their gateways: they read them again."""
    await feed.append(tx, "config", 0, 0, ACTOR.name, now_ms)


async def _told(
    tx: Tx, gone: list[tuple[int, str]], why: str, now_ms: int
) -> list[tuple[int, str]]:
    for credential_id, name in gone:
        before = {"name": name, "why": why}
        subject = f"credential:{credential_id}"
        await audit.record(tx, ACTOR, "credential.delete", subject, before, None, now_ms)
    if gone:
        await _publish(tx, now_ms)
    return gone
