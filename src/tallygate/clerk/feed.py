"""Following the change feed: own workers hear at once, and what other clerks ask for is done.

The number of the last event that was pushed is kept in a file, so that workers that outlive their
clerk are told what happened in between.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from tallygate.clerk.peers import Peer, Peers
from tallygate.core.errors import StoreUnavailable
from tallygate.core.ports import Change, Changes
from tallygate.store import feed
from tallygate.store.database import Database
from tallygate.store.feed import Event

POLL_S = 0.2
RETRY_S = 0.2  # when the store did not answer, whatever the pace of looking is
READ_MAX = 1000
RECENT_MAX = 10_000
FOR_WORKERS = frozenset({"key", "limit", "counter", "flush"})

log = structlog.get_logger("tallygate.clerk")


class Feed:
    def __init__(
        self,
        db: Database,
        store_uuid: str,
        node_uuid: str,
        peers: Peers,
        on_event: Callable[[Event], None],
        cursor_file: Path,
    ) -> None:
        self._db = db
        self._store_uuid = store_uuid
        self._node_uuid = node_uuid
        self._peers = peers
        self._on_event = on_event
        self._cursor_file = cursor_file
        self._recent: deque[Change] = deque(maxlen=RECENT_MAX)
        self._wake = asyncio.Event()
        self.cursor = 0
        self.is_readable = True

    async def start(self) -> None:
        async with self._db.reading() as tx:
            latest = await feed.latest(tx)
        kept = self._kept_cursor()
        self.cursor = latest if kept is None or kept > latest else kept
        self._move(self.cursor)
        await self.poll()

    def poke(self) -> None:
        """Something was just written to the feed."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.poll()
                self.is_readable = True
            except StoreUnavailable:
                self.is_readable = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S if self.is_readable else RETRY_S):
                    await self._wake.wait()
            self._wake.clear()

    async def poll(self) -> None:
        """Read to the end, and pass on what was read."""
        while True:
            async with self._db.reading() as tx:
                events, oldest = await feed.read_since(tx, self.cursor, READ_MAX)
                latest = await feed.latest(tx)
            if self.cursor < oldest - 1 or latest < self.cursor:
                # Events were pruned before we read them, or the store is an older copy of itself.
                log.warning("the feed was missed; workers forget what they cached")
                before = latest if latest < self.cursor else oldest - 1
                self._push([Change(before, "flush", 0, 0)])
                self._move(before)
                continue
            if not events:
                return
            self._push([_change(event) for event in events if event.kind in FOR_WORKERS])
            self._move(events[-1].seq)
            for event in events:
                self._on_event(event)
            if len(events) < READ_MAX:
                return

    def catch_up(self, peer: Peer) -> None:
        """A worker that outlived its connection: tell it what it may have missed."""
        if self._recent:
            peer.send(Changes(list(self._recent)))

    def _push(self, changes: list[Change]) -> None:
        if changes:
            self._recent.extend(changes)
            self._peers.tell_workers(Changes(changes))

    def _move(self, cursor: int) -> None:
        self.cursor = cursor
        try:
            self._cursor_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._cursor_file.write_text(f"{self._store_uuid} {cursor}\n")
        except OSError as error:  # only a restart would miss it, and then workers flush
            log.warning("the feed's cursor can not be kept", reason=str(error))

    def _kept_cursor(self) -> int | None:
        try:
            store_uuid, cursor = self._cursor_file.read_text().split()
            return int(cursor) if store_uuid == self._store_uuid else None
        except (OSError, ValueError):
            return None


def _change(event: Event) -> Change:
    return Change(event.seq, event.kind, event.subject, event.detail)
