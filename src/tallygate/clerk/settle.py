"""Settling: journals become usage, counters and watermarks, one bounded transaction at a time.

`step` is called by the writer between the jobs of others. A transaction is sized so that it holds
the store's lock for about five milliseconds. An entry that the store can not take is set aside
rather than let everything behind it wait.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.lives import Life
from tallygate.core.entry import Entry
from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.core.records import Record
from tallygate.journal import slab
from tallygate.journal.corrupt import Corruption, Reason, set_aside
from tallygate.journal.frames import Position
from tallygate.journal.reader import Batch
from tallygate.journal.retention import stamp_settled
from tallygate.store import closing, idempotency, nodes
from tallygate.store import settle as store_settle
from tallygate.store.database import Database, Tx
from tallygate.store.recent_events import RecentEvents

TARGET_S = 0.005
BATCH_MIN = 256  # a transaction's own cost is that of some 250 rows: smaller ones only fall behind
BATCH_MAX = 2000
WATCH_S = 0.25  # usage shows within a second; whoever needs it now sets a barrier

# The lives that are still to be read to their ends, and who waits for that.
_Barrier = tuple[set[tuple[int, int]], asyncio.Future[None]]
Charge = Callable[[Tx, Sequence[Entry], int], Awaitable[None]]

log = structlog.get_logger("tallygate.clerk")


class Settler:
    def __init__(
        self,
        db: Database,
        node_clock: NodeClock,
        poke: Callable[[], None],
        on_closed: Callable[[Life], None],
    ) -> None:
        self._db = db
        self._clock = node_clock
        self._poke = poke
        self._on_closed = on_closed
        self._machine_boot = slab.machine_boot()
        self._barriers: list[_Barrier] = []
        self._turn = 0
        self._events = RecentEvents()
        self.charge: Charge | None = None  # of entries whose cost nobody has worked out yet
        self.settled: Callable[[Sequence[Entry]], None] | None = None  # may neither wait nor fail
        self.lives: dict[tuple[int, int], Life] = {}
        self.ended: set[tuple[int, int]] = set()  # closed by an earlier clerk

    @property
    def open_lives(self) -> list[Life]:
        return [life for life in self.lives.values() if life.is_open]

    def close(self) -> None:
        """Let go of the journals, also of those that a start found that came to nothing."""
        for life in self.lives.values():
            life.lock.release()

    async def watch(self) -> None:
        """Until cancelled: wake the writer whenever a journal has grown."""
        while True:
            await asyncio.sleep(WATCH_S)
            if any(life.is_dead or life.tail.has_more(life.position) for life in self.open_lives):
                self._poke()

    async def barrier(self) -> None:
        """Return once all that is in this node's journals now is settled."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._barriers.append(({life.key for life in self.open_lives}, waiter))
        self._release_barriers()
        self._poke()
        await waiter

    def file_events(self) -> None:
        """Bring home soon what is known of reported events; on PostgreSQL it is there already."""
        if self._db.dialect == "sqlite":
            self._events.file_soon()
            self._poke()

    @property
    def has_events_to_file(self) -> bool:
        return self._events.is_due

    async def step(self) -> bool:
        """Settle one batch of one journal; True if there may be more to do."""
        has_settled = await self._settle_some()
        if self._events.is_due:
            await self._events.file(self._db)
            return True
        return has_settled

    async def _settle_some(self) -> bool:
        lives = self.open_lives
        for number in range(len(lives)):
            life = lives[(self._turn + number) % len(lives)]
            if await self._step_of(life):
                self._turn += number + 1
                return True
        return False

    async def _step_of(self, life: Life) -> bool:
        limit = life.batch
        waiting = list(self._barriers)  # whoever comes later waits for the next read
        try:
            batch = life.tail.read(life.position, limit, is_dead=life.is_dead)
        except (StoreRefused, OSError) as error:
            life.refused = str(error)
            log.error("a journal is refused", journal=repr(life), reason=life.refused)
            self._drained(life, waiting)
            return False
        if batch.corruptions:
            life.corruptions += len(batch.corruptions)
            log.error("damage in a journal was set aside", journal=repr(life))
        has_moved = batch.position != life.position
        if has_moved and not await self._settle(life, batch):
            return True  # not settled as it was read: look again
        if batch.rows < limit:
            if life.is_dead:
                await self._close(life)
            self._drained(life, waiting)
        return has_moved

    async def _settle(self, life: Life, batch: Batch) -> bool:
        started_s = time.perf_counter()
        try:
            await self._write(life, batch)
        except store_settle.StaleWatermark:
            # A commit whose answer was lost, or another clerk: go on from where the store stands.
            await self._read_watermark(life)
            return False
        except StoreUnavailable:
            raise
        except Exception as error:
            return await self._isolate(life, batch, error)
        elapsed_s = max(1e-6, time.perf_counter() - started_s)
        if batch.rows:
            wanted = int(batch.rows * TARGET_S / elapsed_s)
            life.batch = max(BATCH_MIN, min(BATCH_MAX, (life.batch + wanted) // 2 or 1))
        self._moved(life, batch)
        if self.settled is not None:
            self.settled(batch.entries)
        return True

    async def _read_watermark(self, life: Life) -> None:
        log.warning("a watermark was not where we left it", journal=repr(life))
        identity = life.identity
        async with self._db.writing() as tx:
            boot = await nodes.register_boot(
                tx, identity.node_uuid, identity.slot, identity.boot, self._clock.now_ms()
            )
        life.boot_id = boot.id
        life.position = Position(*boot.watermark)

    async def _write(self, life: Life, batch: Batch) -> None:
        async with self._db.writing() as tx:
            now_ms = self._clock.now_ms()
            await store_settle.settle(
                tx,
                life.boot_id,
                life.position,
                batch.position,
                batch.entries,
                now_ms,
                batch.reports,
                self._events,
            )
            if self.charge is not None:
                await self.charge(tx, batch.entries, now_ms)

    async def _isolate(self, life: Life, batch: Batch, error: Exception) -> bool:
        """Find the one entry that the store does not take; settle around it."""
        records: list[Record] = [*batch.entries, *batch.reports]
        if len(records) > 1:
            life.batch = 1
            return False
        log.error("the store does not take an entry", journal=repr(life), exc_info=error)
        for record in records:
            data = msgspec.msgpack.encode(record)
            corruption = Corruption(life.identity, *life.position, data, Reason.NOT_TAKEN)
            set_aside(life.tail.corrupt, corruption)
            life.corruptions += 1
        await self._write(life, batch._replace(entries=[], reports=()))
        self._moved(life, batch)
        life.batch = BATCH_MIN
        return True

    def _moved(self, life: Life, batch: Batch) -> None:
        if batch.position.segment != life.position.segment:
            stamp_settled(life.folder, batch.position.segment, self._db.system_clock_ms() / 1000)
        life.position = batch.position
        life.settled += len(batch.entries) + len(batch.reports)

    async def _close(self, life: Life) -> None:
        """A dead worker's journal is settled: what it admitted and never recorded is lost."""
        admitted, is_same_boot = slab.read(life.folder / "slab", self._machine_boot)
        async with self._db.writing() as tx:
            now_ms = self._clock.now_ms()
            await closing.close_boot(tx, life.boot_id, admitted, not is_same_boot, now_ms)
            await idempotency.release_owner(tx, owner_of(life.key, life.identity.node_uuid))
        life.is_closed = True
        life.lock.release()
        log.info("a life is settled and closed", journal=repr(life), entries=life.settled)
        self._on_closed(life)

    def _drained(self, life: Life, waiting: list[_Barrier]) -> None:
        """Read to its end after these began to wait, and settled."""
        for keys, _ in waiting:
            keys.discard(life.key)
        self._release_barriers()

    def _release_barriers(self) -> None:
        for keys, waiter in self._barriers:
            if not keys and not waiter.done():
                waiter.set_result(None)
        self._barriers = [(keys, waiter) for keys, waiter in self._barriers if not waiter.done()]


def owner_of(key: tuple[int, int], node_uuid: str) -> str:
    """A life's name on the idempotency records that it is running."""
    slot, boot = key
    return f"{node_uuid}/{slot}/{boot}"
