"""The overview as it changes, for all who look: read for all of them at once, sent when it is
another one.

However long one reading takes on a large store, most of the time nothing is read.
"""

import asyncio
from collections.abc import AsyncIterator

import msgspec

from tallygate.control import usage_tops
from tallygate.control.looks import BEHIND, Looks
from tallygate.control.parts import Parts
from tallygate.control.usage_question import Question, look_up
from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.tasks import OnFailure

EVERY_S = 1.0
PAUSE_PER_READING = 10  # times as long as it took
EVERY_S_MAX = 15.0

_encode = msgspec.json.Encoder().encode


class LiveOverview:
    def __init__(self, parts: Parts, on_failure: OnFailure) -> None:
        self._parts = parts
        self._latest = b""
        self.looks = Looks("live overview", self._read, parts.is_ending, on_failure)

    async def look(self) -> AsyncIterator[bytes]:
        """Events as SSE, for a while: the overview of now, then each that is another."""
        self.looks.require_room()
        return self.looks.begin([await self._overview()])

    async def _read(self) -> float:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        try:
            event = await self._overview()
        except (StoreUnavailable, StoreRefused):
            self._latest = b""
            event = BEHIND
        if event != self._latest:
            self.looks.tell(event)
        self._latest = event
        return min(max(EVERY_S, PAUSE_PER_READING * (loop.time() - begun_s)), EVERY_S_MAX)

    async def _overview(self) -> bytes:
        database, zone = self._parts.database, self._parts.time_zone
        now_ms = await database.clock_ms()
        async with database.reading() as tx:
            asked = await look_up(tx, Question(), zone, now_ms)
            return b"event: overview\ndata: %b\n\n" % _encode(await usage_tops.overview(asked))
