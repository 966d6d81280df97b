"""What piles up is taken away: old feed events, idempotency records, sessions, settled segments."""

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
from tallygate.store import feed, idempotency, notices, sessions
from tallygate.store.database import Tx

EVERY_S = 60.0
HOUR_MS = 3_600_000

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
