"""Recording: an answer ends for its client only after its entry is in the journal.

One write serves all that ended in a loop tick. Admission asks `has_room` first, so that no request
is let through whose entry might find no place.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tallygate.core.entry import Entry
from tallygate.journal.writer import Journal, JournalFailed
from tallygate.tasks import Tasks

ENTRY_BYTES_MAX = 2048


class Recorded(Protocol):
    """Whoever waits for its entry to be written."""

    def journaled(self) -> None:
        """The entry is on record: the answer may end."""

    def journal_failed(self) -> None:
        """It is not, and will not be."""


class Recorder:
    """The journal as the gateway uses it."""

    def __init__(
        self,
        journal: Journal,
        schedule: Callable[[Callable[[], None]], object],
        tasks: Tasks,
        *,
        is_power_durable: bool,
    ) -> None:
        self.journal = journal
        self._schedule = schedule
        self._tasks = tasks
        self._is_power_durable = is_power_durable
        self._encode = msgspec.msgpack.Encoder().encode
        self._pending: list[Recorded] = []
        self._is_scheduled = False
        self._is_syncing = False
        self.is_failing = False
        self.bytes_written = 0
        self.failures = 0

    def has_room(self, running: int) -> bool:
        return not self.is_failing and self.journal.room >= (running + 1) * ENTRY_BYTES_MAX

    def record(self, waiting: Recorded, entry: Entry) -> None:
        payload = self._encode(entry)
        self.bytes_written += len(payload)
        self.journal.append(payload)
        self._pending.append(waiting)
        self._write_soon()

    def make_room(self, running: int, size: int) -> bool:
        """Whether `size` bytes of frames fit beside what runs; allocates for them if need be."""
        wanted = running * ENTRY_BYTES_MAX + size
        if self.journal.room < wanted:
            self.journal.prepare()
        return not self.is_failing and self.journal.room >= wanted

    def record_parts(self, waiting: Recorded, payloads: Sequence[bytes]) -> None:
        """What is more than one entry may hold, by one write; JournalFailed: there was no room."""
        for payload in payloads:
            self.bytes_written += len(payload)
            self.journal.append(payload)
        self._pending.append(waiting)
        self._write_soon()

    def sweep(self) -> None:
        """Allocate ahead; try again what failed."""
        self.journal.prepare()
        if self.is_failing:
            self._write()

    def close(self) -> None:
        self.journal.close()

    def _write_soon(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._schedule(self._write)

    def _write(self) -> None:
        self._is_scheduled = False
        if self._is_syncing:
            return  # the next group goes when this one is down
        pending, self._pending = self._pending, []
        try:
            self.journal.write()
        except JournalFailed:
            self._failed()
            for waiting in pending:
                waiting.journal_failed()
            return
        self.is_failing = False
        if self._is_power_durable and pending:
            self._is_syncing = True
            self._tasks.start(self._sync(pending), "sync the journal")
            return
        for waiting in pending:
            waiting.journaled()

    def _failed(self) -> None:
        self.is_failing = True
        self.failures += 1

    async def _sync(self, pending: list[Recorded]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self.journal.sync)
        except (OSError, JournalFailed):
            self._failed()
            for waiting in pending:
                waiting.journal_failed()
        else:
            for waiting in pending:
                waiting.journaled()
        finally:
            self._is_syncing = False
        if self._pending:
            self._write()
