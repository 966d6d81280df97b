"""A round of the keeper: clean up, bury, refresh, tell, alert; and rounds one after another."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from tallygate.clock import system_ms
from tallygate.core import credential_notices
from tallygate.core.credential import RENEW_AHEAD_MS
from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.keeper import client, metrics
from tallygate.keeper.book import DAY_MS, StoreBook
from tallygate.keeper.run import HOUR_MS, Report, Tally, Wanted, run_once
from tallygate.keeper.telling import Telling
from tallygate.kinds import Kinds
from tallygate.store.credential_checks import Choice, Selection
from tallygate.store.database import Database
from tallygate.store.keeper_runs import OF_ALL, OF_THE_DUE, OF_THE_USED, Run
from tallygate.tasks import Tasks

DUE_WINDOW_MS: Final = 60_000

log = structlog.get_logger("tallygate.keeper")


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a round is to do."""

    is_refreshing: bool = True
    max_age_days: int | None = None
    cleanup_days: int | None = None
    is_due_only: bool = False  # only what ends soon, or what somebody asked for
    is_dry_run: bool = False
    concurrency: int = 128
    metrics_file: Path | None = None
    window_ms: int = HOUR_MS
    keeps_reports: bool = False  # each credential's, to be read in the end


@dataclass(slots=True, kw_only=True)
class Done:
    """What a round came to. `faults`: bugs of ours, which the log has in full."""

    tally: Tally = field(default_factory=Tally)
    cleaned: int = 0
    buried: int = 0
    faults: int = 0
    reports: list[Report] = field(default_factory=list)
    would_check: list[Choice] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        return not self.tally.reasons and not self.faults


class Keeper:
    """`db` is open; `send` sends what alerts there are to send. One round at a time."""

    def __init__(
        self,
        db: Database,
        ring: Callable[[], bytes],
        kinds: Callable[[], Kinds],
        telling: Telling,
        *,
        owner: str,
        grace_days: int,
        send: Callable[[], Awaitable[None]],
    ) -> None:
        self._book = StoreBook(db, ring, owner=owner, grace_ms=grace_days * DAY_MS)
        self._kinds = kinds
        self._telling = telling
        self._send = send

    async def round(self, orders: Orders) -> Done:
        done = Done()
        started_ms = system_ms()
        await self._book.set_clock()
        if not orders.is_dry_run:
            await self._book.tell_if_idle()
        if orders.cleanup_days is not None:
            await self._clean(orders, orders.cleanup_days, done)
        if orders.is_refreshing:
            await self._refresh(orders, done)
        if orders.metrics_file is not None and not orders.is_dry_run:
            counts = await self._book.counts()
            text = metrics.render(done.tally, done.cleaned, counts, started_ms, system_ms())
            metrics.write(orders.metrics_file, text)
        if not orders.is_dry_run:
            await self._send()
        return done

    async def _clean(self, orders: Orders, days: int, done: Done) -> None:
        self._telling.say("cleaning", days=days)
        gone = await self._book.clean(days, is_dry_run=orders.is_dry_run)
        for _, name in gone:
            self._telling.say("one_cleaned", name=name)
        done.cleaned = len(gone)
        self._telling.say("would_clean" if orders.is_dry_run else "cleaned", count=len(gone))

    async def _refresh(self, orders: Orders, done: Done) -> None:
        wanted = await self._wanted(orders)
        if orders.is_dry_run:
            done.would_check = await self._book.preview(wanted.selection)
            self._telling.would_refresh(done.would_check)
            return
        buried = await self._book.bury()
        for _, name in buried:
            self._telling.say("buried", name=name)
        done.buried = len(buried)

        def failed(name: str, error: BaseException) -> None:
            done.faults += 1
            log.error("a part of the keeper died", part=name, exc_info=error)

        async with client.opened() as sender:
            done.tally = await run_once(
                self._book,
                self._kinds(),
                sender,
                wanted,
                _Ears(self._telling, done.reports) if orders.keeps_reports else self._telling,
                jitter=random.random,
                concurrency=orders.concurrency,
                on_failure=failed,
            )
        deleted = done.tally.totals()["deleted"] + done.buried
        self._telling.statistics(done.tally, deleted)
        await self._alert(done.tally, is_of_few=orders.is_due_only)

    async def _wanted(self, orders: Orders) -> Wanted:
        now_ms = await self._book.now_ms()
        if orders.is_due_only:
            selection = Selection(due_before_ms=now_ms + RENEW_AHEAD_MS)
            return Wanted(selection, OF_THE_DUE, DUE_WINDOW_MS)
        if orders.max_age_days is not None:
            since_ms = now_ms - orders.max_age_days * DAY_MS
            name = f"{OF_THE_USED}{orders.max_age_days} days"
            return Wanted(Selection(used_since_ms=since_ms), name, orders.window_ms)
        return Wanted(Selection(), OF_ALL, orders.window_ms)

    async def _alert(self, tally: Tally, *, is_of_few: bool) -> None:
        failed = len(tally.reasons)
        if credential_notices.is_failing(failed, tally.total):
            self._telling.say("alert", logging.WARNING, failed=failed, total=tally.total)
            notice = credential_notices.failing(failed, tally.total, tally.reasons)
            await self._book.tell_failing(notice, is_of_few=is_of_few)


class _Ears(Telling):
    """Tells what it hears, and keeps it."""

    def __init__(self, telling: Telling, reports: list[Report]) -> None:
        self._telling = telling
        self._reports = reports
        self.wants_attempts = telling.wants_attempts

    def begins(self, run: Run, choices: list[Choice]) -> None:
        self._telling.begins(run, choices)

    def ended(self, number: int, total: int, report: Report) -> None:
        self._reports.append(report)
        self._telling.ended(number, total, report)


class Timer:
    """Rounds until told to stop. One that fails is told, and the next one comes in its time."""

    def __init__(self, keeper: Keeper, telling: Telling, stop: asyncio.Event) -> None:
        self._keeper = keeper
        self._telling = telling
        self._stop = stop
        self._tasks = Tasks(self._failed)

    async def run(
        self,
        orders: Orders,
        *,
        interval_h: float,
        runs_immediately: bool,
        moment: Callable[[int], str],
    ) -> None:
        self._telling.say("scheduler", hours=f"{interval_h:g}")
        if not runs_immediately:
            await self._pause(interval_h, moment)
        while not self._stop.is_set():
            await self._round(orders)
            await self._pause(interval_h, moment)
        self._telling.say("stopped")

    async def _round(self, orders: Orders) -> None:
        """What is not done when the stop comes, the next round does."""
        stopping = self._tasks.start(self._stop.wait(), "stop")
        working = self._tasks.start(self._keeper.round(orders), "round")
        await asyncio.wait((stopping, working), return_when=asyncio.FIRST_COMPLETED)
        await self._tasks.close()

    def _failed(self, name: str, error: BaseException) -> None:
        self._telling.say("run_failed", logging.ERROR, reason=str(error))
        if not isinstance(error, StoreUnavailable | StoreRefused | OSError):
            log.error("a round failed", exc_info=error)

    async def _pause(self, interval_h: float, moment: Callable[[int], str]) -> None:
        if self._stop.is_set():
            return
        self._telling.say("next", when=moment(system_ms() + int(interval_h * HOUR_MS)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval_h * 3600):
                await self._stop.wait()
