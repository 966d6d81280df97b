"""Sending to the edge's KV: what takes away first, each day's writes counted, failures told.

What was sent and not entered, because this process died in between, waits still and is sent again.
"""

from collections.abc import Awaitable, Collection
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.edge_turn import Turn
from tallygate.clerk.options import Options
from tallygate.core import edge_notices
from tallygate.core.budget import NewNotice
from tallygate.core.edge import ROUTES, TOKEN
from tallygate.core.edge_portion import Portion
from tallygate.store import edge_entries as entries
from tallygate.store import notices
from tallygate.store.database import Database, Tx
from tallygate.store.edge_entries import Entry

if TYPE_CHECKING:
    from tallygate.clerk.edge_kv import Kv, KvRefused

GAP_MS = 2_000  # between two times: Cloudflare takes one write a second of a name
QUOTA_GAP_MS = 10_000
PAUSE_MS_FIRST = 1_000  # after a failure, then twice as long each time
PAUSE_MS_MAX = 300_000
PAGE = 1_000
SETTLED_MS = 600_000  # after so long a list shows what was written
DAY_MS = 86_400_000
_STATE = ("day", "writes", "deletes", "left", "published_ms", "failures", "failing_ms", "next_ms")

log = structlog.get_logger("tallygate.clerk")


class EdgeSender:
    def __init__(self, db: Database, clock: NodeClock, turn: Turn, options: Options) -> None:
        self._db = db
        self._clock = clock
        self._turn = turn
        self._options = options

    async def send(self, portion: Portion) -> bool:
        """Whether Cloudflare took it all."""
        return await self._with_kv(lambda kv: self._send(kv, portion))

    async def reconcile(self) -> bool:
        """Learn what really lies there; whether Cloudflare said so."""
        return await self._with_kv(self._reconcile)

    async def note_left(self, portion: Portion) -> None:
        """What has no room in this day is said, once a day."""
        row = self._turn.row
        is_idle = portion.is_empty and portion.left > 0
        if portion.left == row.left and not is_idle:
            return
        is_news = portion.left > row.left == 0
        row.left = portion.left
        if is_idle:
            row.next_ms = self._clock.now_ms() + QUOTA_GAP_MS
        if is_news:
            log.warning("the edge's writes of today are used up", left=row.left)

        async def tell(tx: Tx, now_ms: int) -> None:
            if row.left:
                told = edge_notices.over_quota(self._options.edge_writes_per_day, row.left)
                await _tell_once(tx, told, now_ms - now_ms % DAY_MS, now_ms)

        await self._turn.save("edge over quota", tell, **self._state())

    async def _with_kv(self, work: Any) -> bool:  # an async function of a Kv
        from tallygate.clerk import edge_kv  # aiohttp: for those who have something to send

        options = self._options
        place = (options.cloudflare_account_id, options.edge_kv_namespace_id)
        token = options.cloudflare_api_token or ""
        try:
            async with edge_kv.connected(options.cloudflare_api_url, *place, token) as kv:
                await work(kv)
        except edge_kv.KvRefused as refused:
            await self._failed(refused)
            return False
        return True

    async def _send(self, kv: "Kv", portion: Portion) -> None:
        done = {one.name: one.published for one in portion.done}
        if done:
            await self._enter(done)
        if portion.deletes:
            names = [one.name for one in portion.deletes]
            gone = await self._counted("deletes", len(names), kv.delete(names))
            await self._enter(dict.fromkeys(gone, ""))
            _expect_all(gone, names)
        if portion.writes:
            digests = {one.name: one.digest for one in portion.writes}
            values = [(one.name, one.text or "", one.digest) for one in portion.writes]
            taken = await self._counted("writes", len(values), kv.write(values))
            await self._enter({name: digests[name] for name in taken})
            _expect_all(taken, digests)
        log.info("published to the edge", writes=len(portion.writes), deletes=len(portion.deletes))

    async def _counted(self, what: str, number: int, asking: Awaitable[set[str]]) -> set[str]:
        """Also what nobody knows of whether it was done counts."""
        from tallygate.clerk.edge_kv import KvRefused

        row = self._turn.row
        try:
            taken = await asking
        except KvRefused as refused:
            if refused.is_unknown:
                setattr(row, what, getattr(row, what) + number)
            raise
        setattr(row, what, getattr(row, what) + number)
        return taken

    async def _enter(self, digests: dict[str, str]) -> None:
        row, now_ms = self._turn.row, self._clock.now_ms()
        if row.failures:
            log.info("the edge can be published to again")
        row.failures = row.failing_ms = 0
        row.published_ms, row.next_ms = now_ms, now_ms + GAP_MS

        async def enter(tx: Tx, now_ms: int) -> None:
            await entries.published(tx, digests, now_ms)

        await self._turn.save("edge published", enter, **self._state(), error="")

    async def _failed(self, refused: "KvRefused") -> None:
        row, now_ms = self._turn.row, self._clock.now_ms()
        row.failing_ms = row.failing_ms or now_ms
        pause_ms = min(PAUSE_MS_MAX, PAUSE_MS_FIRST << min(row.failures, 20))
        row.failures += 1
        row.next_ms = now_ms + max(pause_ms, refused.retry_s * 1000)
        error = str(refused)
        log.warning("the edge can not be published to", reason=error, failures=row.failures)

        async def tell(tx: Tx, now_ms: int) -> None:
            if edge_notices.is_failing(row.failing_ms, now_ms):
                _, waiting, revocations, _ = await entries.counts(tx)
                told = edge_notices.failing(error, waiting, revocations)
                await _tell_once(tx, told, row.failing_ms, now_ms)

        await self._turn.save("edge failed", tell, **self._state(), error=error)

    def _state(self) -> dict[str, Any]:
        return {name: getattr(self._turn.row, name) for name in _STATE}

    async def _reconcile(self, kv: "Kv") -> None:
        """What was written lately may not be listed yet, and is left alone."""
        listed = await kv.names()
        now_ms = self._clock.now_ms()
        name, corrected = "", 0
        while page := await self._page(name):
            wrong = [
                msgspec.structs.replace(one, published=listed.get(one.name, ""), wanted_ms=now_ms)
                for one in page
                if one.published != listed.get(one.name, "")
                and one.published_ms < now_ms - SETTLED_MS
            ]
            for one in page:
                listed.pop(one.name, None)
            await self._put(wrong)
            corrected += len(wrong)
            name = page[-1].name
        strays = [
            Entry(stray, 0, "", digest, entries.REVOKING, now_ms, 0)
            for stray, digest in listed.items()
            if stray == ROUTES or stray.startswith(TOKEN)
        ]
        await self._put(strays)
        row = self._turn.row
        row.failures = row.failing_ms = row.next_ms = 0
        await self._turn.save("edge compared", **self._state(), error="", reconciled_ms=now_ms)
        log.info("compared with the edge", corrected=corrected, strays=len(strays))

    async def _page(self, name: str) -> list[Entry]:
        async with self._db.reading() as tx:
            return await entries.after(tx, name, PAGE)

    async def _put(self, changed: list[Entry]) -> None:
        async def put(tx: Tx, _: int) -> None:
            await entries.put(tx, changed)

        if changed:
            await self._turn.save("edge corrected", put, place=self._turn.row.place)


def _expect_all(taken: Collection[str], asked: Collection[str]) -> None:
    from tallygate.clerk.edge_kv import KvRefused

    if missing := len(asked) - len(taken):
        raise KvRefused(f"{missing} of {len(asked)} were not taken")


async def _tell_once(tx: Tx, notice: NewNotice, since_ms: int, now_ms: int) -> None:
    if not await notices.was_told(tx, notice.kind, since_ms):
        await notices.insert(tx, [notice], now_ms)
