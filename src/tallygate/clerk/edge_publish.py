"""Publishing to the edge: what changed is looked for each second, and sent within a day's writes.

`EdgePlan` knows what should lie there, `Turn` which node publishes, `EdgeSender` how it is sent.
"""

import asyncio
import contextlib

import msgspec

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.edge_plan import EdgePlan
from tallygate.clerk.edge_send import DAY_MS, EdgeSender
from tallygate.clerk.edge_turn import Lost, Turn
from tallygate.clerk.options import Options
from tallygate.clerk.writer import Writer
from tallygate.core.edge_commands import PublishEdge, Publishing, utc_day
from tallygate.core.edge_portion import choose, room
from tallygate.core.errors import Code, Refusal, StoreUnavailable
from tallygate.core.ports import Actor
from tallygate.store import edge_status
from tallygate.store.database import Database

LOOK_S = 1.0
BATCH_MAX = 1_000
HOUR_MS = 3_600_000


class EdgePublisher:
    def __init__(self, db: Database, clock: NodeClock, writer: Writer, options: Options) -> None:
        self._db = db
        self._clock = clock
        self._options = options
        self._plan = EdgePlan(db, clock, writer, options)
        self._turn = Turn(db, clock, writer, options)
        self._sender = EdgeSender(db, clock, self._turn, options)
        self._busy = asyncio.Lock()
        self.figures: dict[str, int] = {}  # for metrics; none where there is no edge

    @property
    def is_on(self) -> bool:
        return bool(self._options.edge_kv_namespace_id)

    async def run(self) -> None:
        """Until cancelled."""
        while self.is_on:
            await asyncio.sleep(LOOK_S)
            with contextlib.suppress(StoreUnavailable):
                await self.look()

    async def publish_now(self, wanted: PublishEdge, _: Actor) -> Publishing:
        """Without waiting for the time of the next try; until nothing more can be done."""
        if not self.is_on:
            why = "there is no edge: TALLYGATE_EDGE_KV_NAMESPACE_ID is not set"
            raise Refusal(Code.IMPOSSIBLE, why)
        reconciles = wanted.reconcile
        while await self.look(is_asked=True, reconciles=reconciles):
            reconciles = False
        return await self.status()

    async def status(self) -> Publishing:
        async with self._db.reading() as tx:
            return await edge_status.publishing(
                tx,
                namespace_id=self._options.edge_kv_namespace_id,
                writes_per_day=self._options.edge_writes_per_day,
                now_ms=self._clock.now_ms(),
            )

    async def look(self, *, is_asked: bool = False, reconciles: bool = False) -> bool:
        """Do what is due; whether something was done and more may follow."""
        async with self._busy:
            try:
                if not await self._turn.take():
                    self.figures = {"is_publisher": 0}
                    return False
                await self._catch_up()
                if self._turn.row.next_ms > self._clock.now_ms() and not is_asked:
                    return False
                if reconciles or self._is_reconciling_due():
                    return await self._sender.reconcile()
                return await self._publish()
            except Lost:
                self._turn.feed_seq = None
                return False

    async def _catch_up(self) -> None:
        """Entries as the store is now, and the row with today's counts."""
        turn, now_ms = self._turn, self._clock.now_ms()
        await turn.settle_in()
        is_new = turn.feed_seq is None
        before = turn.row.feed_seq if turn.feed_seq is None else turn.feed_seq
        is_due = not turn.row.compared_ms or now_ms - turn.row.compared_ms > DAY_MS
        seq = None if is_due else await self._plan.follow(before)
        if seq is None:
            seq = await self._plan.compare_all()
            await turn.save("edge compared", compared_ms=now_ms, feed_seq=seq)
        elif is_new:  # another setting may make other routes
            await self._plan.compare_routes()
        turn.feed_seq = seq
        if self._plan.withheld is not None:
            withheld = msgspec.json.encode(self._plan.withheld).decode()
            if withheld != turn.row.withheld:
                await turn.save("edge withheld", withheld=withheld)
        row = turn.row
        if row.day != utc_day(now_ms):
            row.day, row.writes, row.deletes, row.left = utc_day(now_ms), 0, 0, 0

    def _is_reconciling_due(self) -> bool:
        """Once in a new place, then every so many hours."""
        done_ms, every_ms = self._turn.row.reconciled_ms, self._options.edge_reconcile_h * HOUR_MS
        return not done_ms or bool(every_ms and self._clock.now_ms() - done_ms > every_ms)

    async def _publish(self) -> bool:
        row = self._turn.row
        async with self._db.reading() as tx:
            waiting = await self._plan.waiting(tx, BATCH_MAX)
        space = room(self._options.edge_writes_per_day, row.writes, row.deletes)
        portion = choose(waiting, space)
        await self._sender.note_left(portion)
        is_done = not portion.is_empty and await self._sender.send(portion)
        self.figures = {
            "is_publisher": 1,
            "waiting": portion.left if is_done else len(waiting),
            "failures": row.failures,
            "writes_today": row.writes,
            "deletes_today": row.deletes,
        }
        return is_done
