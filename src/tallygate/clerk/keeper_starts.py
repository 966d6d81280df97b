"""Starting keepers: a process of its own for each run, when one is due or somebody asks for it.

Several nodes may start one at once: they find each other in the store and share the work. Whether
anything ran at all is looked after here too, for it must be noticed when nothing does.
"""

import asyncio
import base64
import contextlib
import os
from collections.abc import Mapping
from typing import Final

import structlog

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.options import Options
from tallygate.clerk.writer import Writer
from tallygate.core.credential import RENEW_AHEAD_MS
from tallygate.core.credential_commands import KeeperAsked, RunKeeper
from tallygate.core.errors import Code, Refusal, StoreUnavailable
from tallygate.core.master_key import MASTER_KEY_BYTES
from tallygate.core.ports import Actor, CredentialUse
from tallygate.store import audit, credentials, keeper_alerts, keeper_runs
from tallygate.store.database import Database, Tx

OVER_ALL: Final[tuple[str, ...]] = ()  # what a keeper is told to look after all of them
LOOK_S: Final = 5.0
AGAIN_MS: Final = 300_000  # what could not be renewed is tried again after so long
HOUR_MS: Final = 3_600_000
STOP_S: Final = 5.0
SQLITE: Final = "sqlite:///"

log = structlog.get_logger("tallygate.clerk")


class KeeperStarts:
    def __init__(self, db: Database, clock: NodeClock, options: Options, writer: Writer) -> None:
        self._db = db
        self._clock = clock
        self._options = options
        self._writer = writer
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._is_asked = False  # for a run over all credentials
        self._running: tuple[str, ...] | None = None  # what the keeper of now was told
        self.started = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            with contextlib.suppress(StoreUnavailable):
                await self.look()

    async def heard(self, use: CredentialUse) -> None:
        """Of a worker: what it used, and what was refused. A refused one is checked at once."""
        with contextlib.suppress(StoreUnavailable):  # it will be used, or refused, again
            await self._writer.do(
                "credentials",
                lambda tx, now_ms: credentials.note_use(tx, use.used, use.refused, now_ms),
                is_repeatable=True,
            )
        if use.refused:
            self._wake.set()

    async def run_now(self, wanted: RunKeeper, actor: Actor) -> KeeperAsked:
        """Whoever asks twice, or while a run over all is under way anywhere, gets that one."""
        if not self._options.keeper_command:
            raise Refusal(Code.IMPOSSIBLE, "this node starts no keepers")

        async def ask(tx: Tx, now_ms: int) -> bool:
            if await credentials.oldest_ms(tx) is None:
                raise Refusal(Code.IMPOSSIBLE, "there is no credential to look after")
            if await keeper_runs.is_running(tx, keeper_runs.OF_ALL, now_ms):
                return False
            await audit.record(tx, actor, wanted.NAME, "keeper", None, None, now_ms)
            return True

        if self._is_asked or self._running == OVER_ALL:
            return KeeperAsked(is_started=False)
        self._is_asked = await self._writer.do("keeper asked", ask, is_repeatable=True)
        if self._is_asked:
            self._wake.set()
        return KeeperAsked(is_started=self._is_asked)

    async def look(self) -> None:
        """Start what is due, and wait for its end."""
        async with self._one_at_a_time:
            async with self._db.reading() as tx:
                words = await self._due(tx, self._clock.now_ms())
            self._is_asked = False
            if words is not None and self._options.keeper_command:
                self._running = words
                try:
                    await self._start(words)
                finally:
                    self._running = None
        await self._writer.do("keeper idle", keeper_alerts.tell_if_idle)

    async def _due(self, tx: Tx, now_ms: int) -> tuple[str, ...] | None:
        """What the keeper is to be told; None if there is nothing to do."""
        oldest_ms = await credentials.oldest_ms(tx)
        if oldest_ms is None:
            return None
        if self._is_asked:
            return OVER_ALL
        interval_ms = self._options.keeper_interval_h * HOUR_MS
        if interval_ms:
            latest_ms = await keeper_runs.latest_ms(tx)
            if now_ms - max(latest_ms or 0, oldest_ms) >= interval_ms:
                return OVER_ALL
        if await credentials.is_pressing(tx, now_ms + RENEW_AHEAD_MS, now_ms - AGAIN_MS):
            return ("--due",)
        return None

    async def _start(self, words: tuple[str, ...]) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._options.keeper_command,
            *words,
            "--json",
            env=environ_of(self._options, os.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self.started += 1
        log.info("a keeper was started", words=" ".join(words), pid=process.pid)
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            raise
        if status:
            log.warning("a keeper could not check everything", status=status)


def environ_of(options: Options, environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that a keeper needs, as the environment that only its own user can read."""
    url = options.database_url
    is_sqlite = url.startswith(SQLITE)
    ring = options.master_key
    keys = [
        base64.b64encode(ring[start : start + MASTER_KEY_BYTES]).decode()
        for start in range(0, len(ring), MASTER_KEY_BYTES)
    ]
    told = {
        "TALLYGATE_DATA": options.data,
        "TALLYGATE_MASTER_KEY": keys[0],
        "TALLYGATE_MASTER_KEY_OLD": keys[1] if len(keys) > 1 else "",
        "TALLYGATE_SQLITE_DB_PATH": url.removeprefix(SQLITE) if is_sqlite else "",
        "TALLYGATE_DATABASE_URL": "" if is_sqlite else url,
        "TALLYGATE_TIME_ZONE": options.time_zone,
        "TALLYGATE_KEEPER_DELETE_GRACE_DAYS": str(options.keeper_delete_grace_days),
        "TALLYGATE_KEEPER_CONCURRENCY": str(options.keeper_concurrency),
    }
    return {**environ, **told}
