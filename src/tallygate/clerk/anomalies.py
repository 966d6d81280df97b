"""Looks for anomalies, every other minute: learns from new usage, judges the latest hours.

Every node does it; what one writes it writes in its turn, and who finds the turn gone has done
nothing. All that is costly is read and computed outside of the transaction that writes, in pieces
that hold the clerk's loop no longer than one of settling does.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

import msgspec
import structlog

from tallygate.clerk import throttle
from tallygate.clerk.clock import NodeClock
from tallygate.clerk.commands.context import Context
from tallygate.clerk.options import Options
from tallygate.clerk.writer import Writer
from tallygate.core.anomalies import Kind, Verdict, merged, notice, of_hour
from tallygate.core.anomaly_baseline import (
    FAILED_MIN,
    HISTORY_S,
    HOUR_S,
    USES_MIN,
    Baseline,
    Hour,
    fit,
    slot_of,
)
from tallygate.core.anomaly_learning import learn
from tallygate.core.anomaly_sources import DAY_MS
from tallygate.core.errors import StoreUnavailable
from tallygate.core.windows import Span, window_at
from tallygate.store import anomalies, anomaly_habits, keys, notices
from tallygate.store.anomalies import Mark
from tallygate.store.anomaly_habits import Busy
from tallygate.store.database import Database, Tx

EVERY_S = 120.0
ROWS_MAX = 5_000  # of usage, in one step
BACK_S = 86_400  # how far back hours are judged after a pause
BASELINES_MAX = 50_000  # a kilobyte each
CLEAN_EVERY = 30  # rounds
KEEP_MS = 400 * DAY_MS
KEEP_SOURCES_MS = 180 * DAY_MS
LIFTED_MAX = 100  # keys, in one transaction

log = structlog.get_logger("tallygate.clerk")


def _no_entropy(_: int) -> bytes:
    raise AssertionError("an anomaly makes no secrets")


class Anomalies:
    def __init__(self, db: Database, clock: NodeClock, writer: Writer, options: Options) -> None:
        self._db = db
        self._clock = clock
        self._writer = writer
        self._options = options
        self._baselines: dict[int, tuple[int, Baseline | None]] = {}  # by key: of which day

    async def run(self) -> None:
        """Until cancelled."""
        rounds = 0
        while self._options.anomalies:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
                if rounds % CLEAN_EVERY == 0:
                    await self.clean()
            except StoreUnavailable:
                continue
            except Exception as error:  # keys, leases and books must go on
                log.error("anomalies can not be looked for", exc_info=error)
            rounds += 1
        await asyncio.Event().wait()

    async def look(self) -> None:
        """One round."""
        await self._learn()
        await self._judge()
        await self._writer.do("end anomalies", self._end, is_repeatable=True)

    # --- sources and silences ---

    async def _learn(self) -> None:
        while True:
            async with self._db.reading() as tx:
                mark = await anomalies.read_mark(tx)
                newest_id = await anomaly_habits.summed_up(tx)
            if newest_id == mark.usage_id or not await self._learn_step(mark, newest_id):
                return

    async def _learn_step(self, mark: Mark, newest_id: int) -> bool:
        upto_id = min(newest_id, mark.usage_id + ROWS_MAX)  # below the mark: ids are used again
        now_ms = self._clock.now_ms()
        async with self._db.reading() as tx:
            met = await anomaly_habits.read_met(tx, mark.usage_id, upto_id)
            known = await anomaly_habits.load(tx, sorted({one.key_id for one in met}))
        learnt = learn(known, met, now_ms, self._options.anomaly_dormant_days * DAY_MS)
        verdicts = await self._with_uses(learnt.verdicts)

        async def write(tx: Tx, now_ms: int) -> bool:
            if not await anomalies.take_turn(tx, mark, usage_id=upto_id):
                return False
            await anomaly_habits.save(tx, learnt.habits, learnt.sources, learnt.forgotten)
            await self._write(tx, now_ms, verdicts)
            return True

        return await self._writer.do("learn habits", write)

    # --- hours ---

    async def _judge(self) -> None:
        now_s = self._clock.now_ms() // 1000
        this_hour_s = window_at(Span.HOUR, self._options.time_zone, now_s)[0]
        async with self._db.reading() as tx:
            marked_s = (await anomalies.read_mark(tx)).hour_s
        first_s = max(marked_s, this_hour_s - BACK_S) if marked_s else this_hour_s
        for hour_s in range(first_s, this_hour_s + 1, HOUR_S):
            # The last full hour is judged once more: what is told of late belongs to it.
            if not await self._judge_hour(hour_s, min(hour_s, this_hour_s - HOUR_S)):
                return

    async def _judge_hour(self, hour_s: int, next_s: int) -> bool:
        async with self._db.reading() as tx:
            mark = await anomalies.read_mark(tx)
        verdicts = await self._with_uses([one async for one in self._strange(hour_s)])
        if not verdicts and next_s <= mark.hour_s:
            return True

        async def write(tx: Tx, now_ms: int) -> bool:
            if not await anomalies.take_turn(tx, mark, hour_s=max(next_s, mark.hour_s)):
                return False
            await self._write(tx, now_ms, verdicts)
            return True

        return await self._writer.do("judge an hour", write)

    async def _strange(self, hour_s: int) -> AsyncIterator[Verdict]:
        after_id = 0
        while True:
            async with self._db.reading() as tx:
                busy = await anomaly_habits.busy_keys(tx, hour_s, after_id, USES_MIN, FAILED_MIN)
            for one in busy:
                for verdict in await self._verdicts(one, hour_s):
                    yield verdict
            if not busy:
                return
            after_id = busy[-1].key_id

    async def _verdicts(self, busy: Busy, hour_s: int) -> list[Verdict]:
        baseline = await self._baseline(busy.key_id, hour_s)
        if baseline is None:
            return []
        slot = slot_of(hour_s, self._options.time_zone)
        found = {
            Kind.VOLUME: baseline.volume(slot, busy.hour.uses),
            Kind.ERRORS: baseline.errors(busy.hour),
        }
        now_ms = self._clock.now_ms()
        return [
            of_hour(kind, busy.key_id, hour_s, unusual, now_ms)
            for kind, unusual in found.items()
            if unusual is not None
        ]

    async def _baseline(self, key_id: int, hour_s: int) -> Baseline | None:
        """Of all before the day of that hour, so that an event does not become usual at once."""
        day_s = hour_s - hour_s // HOUR_S % 24 * HOUR_S
        known = self._baselines.get(key_id)
        if known is not None and known[0] == day_s:
            return known[1]
        async with self._db.reading() as tx:
            first_s = await anomaly_habits.first_hour(tx, key_id)
            begin_s = max(first_s or day_s, day_s - HISTORY_S)
            history = await anomaly_habits.hours_of(tx, key_id, begin_s, day_s)
        made = self._fit(history, range(begin_s, day_s, HOUR_S))
        self._baselines.pop(key_id, None)
        self._baselines[key_id] = (day_s, made)
        if len(self._baselines) > BASELINES_MAX:
            del self._baselines[next(iter(self._baselines))]
        return made

    def _fit(self, history: dict[int, Hour], span: range) -> Baseline | None:
        zone = self._options.time_zone
        return fit(history, span, lambda at_s: slot_of(at_s, zone))

    # --- events ---

    async def _with_uses(self, verdicts: Iterable[Verdict]) -> list[Verdict]:
        found = list(verdicts)
        if found:
            async with self._db.reading() as tx:
                for verdict in found:
                    rows = await anomaly_habits.first_uses(tx, verdict)
                    verdict.evidence = msgspec.structs.replace(verdict.evidence, rows=rows)
        return found

    async def _write(self, tx: Tx, now_ms: int, verdicts: Iterable[Verdict]) -> None:
        context = Context(tx, now_ms, throttle.STEWARD, self._options, _no_entropy)
        for verdict in verdicts:
            await write_verdict(context, verdict)
        await context.append_events()

    async def _end(self, tx: Tx, now_ms: int) -> None:
        await anomalies.end_quiet(tx, now_ms)
        context = Context(tx, now_ms, throttle.STEWARD, self._options, _no_entropy)
        for key_id in await anomalies.over_throttled(tx, now_ms, LIFTED_MAX):
            await throttle.lift(context, key_id)
        await context.append_events()

    async def clean(self) -> None:
        """Forget what is old, in short steps."""
        now_ms = self._clock.now_ms()
        while await self._writer.do(
            "forget anomalies", lambda tx, _: anomalies.clean(tx, now_ms - KEEP_MS)
        ):
            pass
        while await self._writer.do(
            "forget sources", lambda tx, _: anomaly_habits.clean(tx, now_ms - KEEP_SOURCES_MS)
        ):
            pass


async def write_verdict(context: Context, verdict: Verdict) -> None:
    """A new event, with its notice, or more of one that goes on."""
    tx = context.tx
    before = await anomalies.latest(tx, verdict.key_id, verdict.kind)
    if before is not None and before.ended_ms is None:
        evidence = merged(before.evidence, verdict.evidence)
        await anomalies.extend(tx, before.id, max(before.last_ms, verdict.at_ms), evidence)
        return
    if before is not None and before.last_ms >= verdict.from_ms:
        return  # it was told, and is over
    key = await keys.find_view(tx, str(verdict.key_id))
    if key is None:
        return
    anomaly_id = await anomalies.insert(
        tx, verdict.kind, key.id, verdict.at_ms, verdict.evidence, context.now_ms
    )
    of_key = (await anomalies.key_throttles(tx, [key.id])).get(key.id)
    asked = throttle.wanted(context.options, verdict.kind, of_key)
    done = await throttle.apply(context, anomaly_id, key, asked)
    told = notice(verdict, anomaly_id, key.label, key.user_id or None, done)
    await notices.insert(tx, [told], context.now_ms)
