"""Traces of requests, made of what was settled and sent to a collector in batches.

Settling only puts its entries into a queue. When that is full the oldest go, counted and said once,
so a collector that is slow or away costs nothing but its own spans. At the end of the process what
waits is sent if it can be sent soon.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from tallygate import __version__
from tallygate.clerk.options import Options
from tallygate.core.entry import Entry
from tallygate.core.errors import StoreUnavailable
from tallygate.core.genai_names import Sites
from tallygate.core.otlp_spans import (
    encode_spans,
    parse_headers,
    rejected_of,
    request_body,
    traces_url,
)
from tallygate.core.provider import Snapshot
from tallygate.core.traces import spans_of, trace_of
from tallygate.store import keys
from tallygate.store.database import Database

if TYPE_CHECKING:
    from tallygate.clerk.trace_sender import NotTaken, TraceSender

BATCH: Final = 256
EVERY_S: Final = 1.0
SLICE: Final = 32  # requests whose spans are made without letting others have a turn
PAUSE_S_FIRST: Final = 1.0
PAUSE_S_MAX: Final = 60.0
TEAMS_MAX: Final = 10_000

Sleep = Callable[[float], Awaitable[object]]

log = structlog.get_logger("tallygate.clerk")


class Traces:
    """Those of one node."""

    def __init__(
        self,
        db: Database,
        options: Options,
        snapshot: Callable[[], Snapshot],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._db = db
        self._options = options
        self._snapshot = snapshot
        self._sleep = sleep
        self._resource = {
            "service.name": options.otlp_service_name,
            "service.version": __version__,
            "service.instance.id": options.node_name,
        }
        self._waiting: deque[Entry] = deque()
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()  # nothing waits, or it waits for a collector that fails
        self._quiet.set()
        self._teams: dict[int, str] = {}
        self._sites: tuple[Snapshot, Sites] | None = None
        self._failures = 0  # one after another
        self._is_loss_told = False
        self.sent = self.dropped = self.rejected = 0  # requests, requests, spans

    @property
    def is_on(self) -> bool:
        return bool(self._options.otlp_endpoint)

    @property
    def figures(self) -> dict[str, int]:
        """For /metrics; nothing where there is no collector."""
        if not self.is_on:
            return {}
        return {
            "waiting": len(self._waiting),
            "sent": self.sent,
            "dropped": self.dropped,
            "spans_rejected": self.rejected,
            "is_collector_failing": int(self._failures > 0),
        }

    def settled(self, entries: Sequence[Entry]) -> None:
        """Called between transactions: it only notes which of them are to be told."""
        ratio, node_uuid = self._options.otlp_sample_ratio, self._options.node_uuid
        if ratio < 1:
            entries = [one for one in entries if trace_of(one, node_uuid).is_sampled(ratio)]
        self._waiting.extend(entries)
        overflow = len(self._waiting) - self._options.otlp_queue_max
        if overflow > 0:
            for _ in range(overflow):
                self._waiting.popleft()
            self._drop(overflow, "more requests than the queue holds")
        if self._waiting and not self._failures:
            self._quiet.clear()
        if len(self._waiting) >= BATCH:
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled; at once over where there is no collector."""
        if not self.is_on:
            return
        from tallygate.clerk import trace_sender  # aiohttp: for those who have a collector

        headers = parse_headers(self._options.otlp_headers or "")
        url = traces_url(self._options.otlp_endpoint)
        async with trace_sender.connected(url, headers) as sender:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S):
                        await self._wake.wait()
                self._wake.clear()
                self._teams.clear()
                while self._waiting:
                    await self._send_some(sender)
                self._quiet.set()

    async def flush(self, timeout_s: float) -> None:
        """Return when all is sent, or it is clear that it cannot be soon."""
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._quiet.wait()

    async def _send_some(self, sender: "TraceSender") -> None:
        from tallygate.clerk.trace_sender import NotTaken

        number = min(BATCH, len(self._waiting))
        batch = [self._waiting.popleft() for _ in range(number)]
        try:
            body = await self._body(batch)
        except Exception as error:  # a trace is never worth a clerk
            log.error("traces could not be made", exc_info=error)
            self._drop(number, "they could not be made")
            return
        while True:
            try:
                answer = await sender.send(body)
            except NotTaken as refused:
                self._failed(refused)
                if refused.is_final:
                    self._drop(number, str(refused))
                    return
                pause_s = min(PAUSE_S_MAX, PAUSE_S_FIRST * 2 ** (self._failures - 1))
                await self._sleep(max(pause_s, refused.retry_s))
            else:
                self._taken(number, answer)
                return

    async def _body(self, batch: Sequence[Entry]) -> bytes:
        teams = await self._teams_of({entry.key_id for entry in batch})
        sites, node_uuid = self._known_sites(), self._options.node_uuid
        pieces = []
        for start in range(0, len(batch), SLICE):
            pieces.append(
                encode_spans(
                    span
                    for entry in batch[start : start + SLICE]
                    for span in spans_of(
                        entry, trace_of(entry, node_uuid), sites, teams.get(entry.key_id, "")
                    )
                )
            )
            await asyncio.sleep(0)
        return request_body(self._resource, __version__, pieces)

    async def _teams_of(self, key_ids: set[int]) -> dict[int, str]:
        """A key's team is not in its entries; while the store is away it is left out."""
        missing = key_ids - self._teams.keys()
        if missing:
            with contextlib.suppress(StoreUnavailable):
                async with self._db.reading() as tx:
                    self._teams |= await keys.teams_of(tx, sorted(missing))
        return self._teams

    def _known_sites(self) -> Sites:
        snapshot = self._snapshot()
        if self._sites is None or self._sites[0] is not snapshot:
            self._sites = (snapshot, Sites(snapshot))
        return self._sites[1]

    def _taken(self, number: int, answer: bytes) -> None:
        self.sent += number
        if rejected := rejected_of(answer):
            self.rejected += rejected
            self._tell_loss(f"the collector kept all but {rejected} spans of a batch")
        elif self._is_loss_told or self._failures:
            log.info("the collector takes traces again", dropped=self.dropped)
            self._is_loss_told = False
        self._failures = 0

    def _failed(self, refused: "NotTaken") -> None:
        self._failures = min(self._failures + 1, 32)
        self._quiet.set()
        if self._failures == 1:
            log.warning("the collector does not take traces", reason=str(refused))

    def _drop(self, number: int, why: str) -> None:
        self.dropped += number
        self._tell_loss(why)

    def _tell_loss(self, why: str) -> None:
        if not self._is_loss_told:
            self._is_loss_told = True
            log.warning("traces are lost", reason=why)
