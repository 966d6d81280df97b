"""What piles up is taken away: old feed events, records of what was seen, sessions, segments."""

import asyncio
from collections.abc import Callable

import structlog

from tallygate.clerk.notices import KEEP_MS
from tallygate.clerk.options import Options
from tallygate.clerk.settle import Settler
from tallygate.clerk.writer import Writer
from tallygate.core.errors import StoreUnavailable
from tallygate.journal.folder import BootFolder, boot_folders
from tallygate.journal.retention import drop_ended, prune
from tallygate.store import (
    feed,
    idempotency,
    notices,
    partitions,
    sessions,
    usage_intake,
    usage_reports,
)
from tallygate.store.database import Tx

EVERY_S = 60.0
HOUR_MS = 3_600_000
SLICES_AT_A_TIME = 32

log = structlog.get_logger("tallygate.clerk")


class Upkeep:
    def __init__(
        self,
        options: Options,
        writer: Writer,
        settler: Settler,
        system_clock_ms: Callable[[], int],
    ) -> None:
        self._options = options
        self._writer = writer
        self._settler = settler
        self._system_clock_ms = system_clock_ms  # files bear the system's time
        self._slice = 0  # of what is known of reported events

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.tidy()
            except StoreUnavailable:
                continue

    async def tidy(self) -> None:
        await self._writer.do("upkeep", self._prune_rows, is_repeatable=True)
        await self._writer.do("months", partitions.make_ahead, is_repeatable=True)
        await self._forget_usage_events()
        for folder in boot_folders(self._options.journals):
            try:
                self._prune_journal(folder)
            except OSError as error:
                log.warning("a journal can not be pruned", reason=str(error))

    async def _prune_rows(self, tx: Tx, now_ms: int) -> None:
        await feed.prune(tx, now_ms - self._options.feed_keep_h * HOUR_MS)
        await idempotency.clean(tx, now_ms)
        await notices.clean(tx, now_ms - KEEP_MS)
        await sessions.clean(tx, now_ms)
        await usage_intake.clean(tx, now_ms)

    async def _forget_usage_events(self) -> None:
        """A small part of them at a time: all are looked at within some two hours."""
        self._settler.file_events()  # or the latest of a node that is idle would stay for ever
        for _ in range(SLICES_AT_A_TIME):
            number, self._slice = self._slice, self._slice + 1

            async def forget(tx: Tx, now_ms: int, number: int = number) -> None:
                before_ms = now_ms - self._options.usage_event_keep_h * HOUR_MS
                await usage_reports.forget_events(tx, number, before_ms)

            await self._writer.do("forget usage events", forget, is_repeatable=True)

    def _prune_journal(self, folder: BootFolder) -> None:
        options, life = self._options, self._settler.lives.get((folder.slot, folder.boot))
        keep_s, now_s = options.journal_keep_h * 3600, self._system_clock_ms() / 1000
        if life is not None and not life.is_closed:
            prune(
                folder.path,
                settled_before=life.position.segment,
                keep_s=keep_s,
                bytes_max=options.journal_bytes_max,
                now_s=now_s,
            )
        elif life is not None or (folder.slot, folder.boot) in self._settler.ended:
            drop_ended(folder.path, keep_s=keep_s, now_s=now_s)
