"""Finding lives: journals that appear, workers that die, boots that left nothing behind.

A journal is followed from the moment its folder exists, whether its worker has introduced itself or
not; so journals of earlier lives, of a clerk that died, and of boots that a restored backup never
heard of are all found the same way.
"""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from tallygate.clerk.lives import Life
from tallygate.clerk.options import Options
from tallygate.clerk.settle import Settler
from tallygate.clerk.writer import Writer
from tallygate.core.errors import StoreUnavailable
from tallygate.journal.folder import BootFolder, boot_folders
from tallygate.journal.frames import Identity, Position
from tallygate.store import nodes
from tallygate.store.database import Tx

SCAN_S = 0.5
SOON_S = 0.02  # after a connection ended: its worker lets go of the lock a moment later
SOON_TIMES = 10

log = structlog.get_logger("tallygate.clerk")


class Recovery:
    def __init__(
        self,
        options: Options,
        store_uuid: str,
        writer: Writer,
        settler: Settler,
        is_connected: Callable[[int, int], bool],
    ) -> None:
        self._options = options
        self._store_uuid = store_uuid
        self._writer = writer
        self._settler = settler
        self._is_connected = is_connected
        self._soon = 0
        self._wake = asyncio.Event()

    def look_soon(self) -> None:
        """A worker went away."""
        self._soon = SOON_TIMES
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(StoreUnavailable):  # the folders will still be there
                await self.scan()
            self._soon = max(0, self._soon - 1)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SOON_S if self._soon else SCAN_S):
                    await self._wake.wait()

    async def scan(self) -> None:
        for folder in boot_folders(self._options.journals):
            key = folder.slot, folder.boot
            if key in self._settler.ended:
                continue
            life = self._settler.lives.get(key)
            if life is None:
                life = await self._begin(folder)
            if life is None or not life.is_open:
                continue
            if not self._is_connected(*key) and life.find_out_death():
                log.info(
                    "a worker has ended: its journal is settled to the end", journal=repr(life)
                )
            if life.is_dead:
                self._writer.poke()

    async def _begin(self, folder: BootFolder) -> Life | None:
        boot = await self._writer.do(
            "register a journal",
            lambda tx, now_ms: self._register(tx, folder, now_ms),
            is_repeatable=True,
        )
        if (begun := self._settler.lives.get((folder.slot, folder.boot))) is not None:
            return begun  # by a barrier's scan meanwhile: of two lives one would be behind
        life = Life(
            folder.path,
            Identity(self._store_uuid, self._options.node_uuid, folder.slot, folder.boot),
            boot.id,
            Position(*boot.watermark),
            self._options.corrupt,
        )
        # Ended by its successor, when all was settled; or by whoever gave this node up.
        is_over = boot.ended_ms is not None and life.find_out_death()
        if is_over and not life.tail.has_more(life.position):
            life.lock.release()
            self._settler.ended.add(life.key)
            return None
        self._settler.lives[life.key] = life
        return life

    async def _register(self, tx: Tx, folder: BootFolder, now_ms: int) -> nodes.Boot:
        node_uuid = self._options.node_uuid
        return await nodes.register_boot(tx, node_uuid, folder.slot, folder.boot, now_ms)
