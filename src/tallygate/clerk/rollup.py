"""Keeps the sums of usage close behind its rows, and takes away what is kept no longer.

Every node does it. Who finds that another node moved the mark leaves it to that one for a while;
were both to go on, the mark would still let only one of them add anything. A transaction is sized
so that it holds the store's lock for about five milliseconds, like one of settling.
"""

import asyncio
import time
from dataclasses import replace

import structlog

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.options import Options
from tallygate.clerk.writer import Writer
from tallygate.core.errors import StoreUnavailable
from tallygate.core.rollup import Rolled, roll
from tallygate.core.windows import Span, window_at
from tallygate.store import rollup_sweep, rollups, usage
from tallygate.store.database import Database, Tx
from tallygate.store.rollups import Mark
from tallygate.store.visible_rows import Fence

EVERY_S = 1.0
LEAVE_S = 10.0  # to the node that moved the mark
TARGET_S = {"sqlite": 0.005, "postgresql": 0.05}  # nobody else waits for rows of sums there
ROWS_MIN = 512  # of fewer, the totals are written almost as often as the rows
ROWS_MAX = 20_000
KEYS_PER_SLICE = 100
CLEAN_EVERY = 60  # rounds
DAY_S = 86_400

log = structlog.get_logger("tallygate.clerk")


class Roller:
    def __init__(self, db: Database, clock: NodeClock, writer: Writer, options: Options) -> None:
        self._db = db
        self._clock = clock
        self._writer = writer
        self._options = options
        self._fence = Fence()
        self._rows = ROWS_MIN
        self._left_at_id = -1  # where we left the mark
        self._lock = asyncio.Lock()
        self.behind = 0  # rows that may be summed up and are not yet

    async def run(self) -> None:
        """Until cancelled."""
        rounds = 0
        while True:
            is_ours = True
            try:
                is_ours = await self.catch_up()
                if rounds % CLEAN_EVERY == 0:
                    await self.clean()
            except StoreUnavailable:
                pass
            except Exception as error:  # sums can wait; keys, leases and books must go on
                log.error("usage can not be summed up", exc_info=error)
                is_ours = False
            rounds += 1
            await asyncio.sleep(EVERY_S if is_ours else LEAVE_S)

    async def catch_up(self) -> bool:
        """Sum up all that may be. False: another node is at it."""
        async with self._lock:
            return await self._catch_up()

    async def _catch_up(self) -> bool:
        async with self._db.reading() as tx:
            mark = await rollups.read_mark(tx)
            safe_id = await self._fence.look(tx)
        has_others = self._db.dialect != "sqlite"
        if has_others and self._left_at_id not in (-1, mark.usage_id):
            self._left_at_id = mark.usage_id
            return False
        if mark.zone != self._options.time_zone and self._left_at_id == -1:
            mark = await self._set_zone(mark)
        while mark.usage_id < safe_id:
            self.behind, rows = safe_id - mark.usage_id, self._rows
            if not await self._step(mark, min(safe_id, mark.usage_id + rows)):
                return False
            mark = replace(mark, usage_id=min(safe_id, mark.usage_id + rows))
        self.behind = 0
        self._left_at_id = mark.usage_id
        while mark.sweep_s is not None:
            mark = await self._sweep_day(mark)
        return True

    async def _step(self, mark: Mark, upto_id: int) -> bool:
        async with self._db.reading() as tx:  # begun after the fence was looked at
            groups = await rollups.read_groups(tx, mark.usage_id, upto_id)
        rolled = roll(groups, mark.zone)
        elapsed_s = 0.0

        async def write(tx: Tx, now_ms: int) -> bool:
            nonlocal elapsed_s
            started_s = time.perf_counter()
            is_done = await rollups.write(tx, mark, upto_id, rolled, now_ms)
            await tx.scalar(rollups.NOTHING)  # what waits with the transaction is done, and timed
            elapsed_s = max(1e-6, time.perf_counter() - started_s)
            return is_done

        is_done = await self._writer.do("roll up", write)
        self._resize(upto_id - mark.usage_id, rolled, elapsed_s)
        return is_done

    def _resize(self, rows: int, rolled: Rolled, elapsed_s: float) -> None:
        if rolled.hours and rows >= self._rows:
            wanted = int(rows * TARGET_S[self._db.dialect] / elapsed_s)
            self._rows = max(ROWS_MIN, min(ROWS_MAX, (self._rows + wanted) // 2))

    async def _set_zone(self, mark: Mark) -> Mark:
        """Once a start, so that nodes that were told different zones do not take turns for ever."""
        zone = self._options.time_zone
        await self._writer.do("zone", lambda tx, _: rollup_sweep.set_zone(tx, mark, zone))
        if mark.zone:
            log.info("days are counted anew in another zone", zone=zone, before=mark.zone)
        async with self._db.reading() as tx:
            return await rollups.read_mark(tx)

    async def _sweep_day(self, mark: Mark) -> Mark:
        async with self._db.reading() as tx:
            day = await rollup_sweep.next_day(tx, mark)
            keys = [] if day is None else await rollup_sweep.keys_of(tx, *day)
        if day is not None:
            for start in range(0, len(keys), KEYS_PER_SLICE):
                some = keys[start : start + KEYS_PER_SLICE]
                await self._writer.do(
                    "sweep",
                    lambda tx, _, day=day, some=some: rollup_sweep.remake_keys(  # type: ignore[misc]  # bound now
                        tx, mark, day, some
                    ),
                )
        await self._writer.do("sweep", lambda tx, _: rollup_sweep.finish_day(tx, mark, day))
        async with self._db.reading() as tx:
            return await rollups.read_mark(tx)

    async def clean(self) -> None:
        """Take away what is older than the settings keep it, in many short steps."""
        options, now_s = self._options, self._clock.now_ms() // 1000
        if options.usage_keep_days:
            before_ms = (now_s - options.usage_keep_days * DAY_S) * 1000
            while await self._writer.do("keep usage", lambda tx, _: usage.clean(tx, before_ms)):
                pass
        async with self._db.reading() as tx:
            zone = (await rollups.read_mark(tx)).zone
        for of_hours, days in (
            (True, options.rollup_hours_keep_days),
            (False, options.rollup_days_keep_days),
        ):
            if not days or not zone:
                continue
            # Whole days, so that no day is left with some of its hours.
            before_s = window_at(Span.DAY, zone, now_s - days * DAY_S)[0]
            for table in rollups.HOUR_TABLES if of_hours else rollups.DAY_TABLES:
                while await self._writer.do(
                    "keep sums",
                    lambda tx, _, table=table, before_s=before_s: rollups.clean(  # type: ignore[misc]  # bound now
                        tx, table, before_s
                    ),
                ):
                    pass
