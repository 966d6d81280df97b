"""What is consumed just now, for all who look: one reader of the store, however many are looking.

It reads while somebody looks, once a second, and asks the clerk how deliveries fare. Who does not
keep up misses the oldest; nobody who looks costs the store anything of their own.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from tallygate.control import charges
from tallygate.control.orders import Clerk
from tallygate.core.billing_commands import ChargeView
from tallygate.core.commands import Inspect
from tallygate.core.errors import Code, Refusal, StoreRefused, StoreUnavailable
from tallygate.core.ports import Actor
from tallygate.store import charge_views
from tallygate.store.database import Database
from tallygate.tasks import Tasks

EVERY_S = 1.0
SILENT_S = 15.0  # then a comment, so that nothing between takes the stream for dead
LOOKING_S_MAX = 900.0  # whoever goes on looking comes again, and is asked again who they are
LOOKING_MAX = 100
WAITING_MAX = 256
RECENT = 20
READ_MAX = 500
OVERLAP_MS = 5_000  # transactions of other nodes end in another order than they began
SEEN_MAX = 5_000

_encode = msgspec.json.Encoder().encode
_COMMENT = b": still here\n\n"


class Look:
    """One who looks: what they have not been sent yet."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque(maxlen=WAITING_MAX)
        self.news = asyncio.Event()
        self.is_over = False

    def tell(self, event: bytes) -> None:
        self.waiting.append(event)
        self.news.set()

    def end(self) -> None:
        self.is_over = True
        self.news.set()


class Live:
    """`is_ending` says that this process is told to stop: streams end before it has to wait."""

    def __init__(
        self,
        database: Database,
        clerk: Clerk,
        is_ending: Callable[[], bool],
        on_failure: Callable[[str, BaseException], None],
    ) -> None:
        self._database = database
        self._clerk = clerk
        self._is_ending = is_ending
        self._tasks = Tasks(on_failure)
        self._looks: set[Look] = set()
        self._is_reading = False
        self._latest_ms = 0
        self._seen: dict[int, str] = {}  # by id, the state that was told

    def __len__(self) -> int:
        return len(self._looks)

    async def look(self) -> AsyncIterator[bytes]:
        """Events as SSE, for a while."""
        if len(self._looks) >= LOOKING_MAX:
            raise Refusal(Code.OVERLOADED, "too many are looking just now")
        look = Look()
        for view in reversed(await self._recent()):
            look.tell(_consumption(view))
        self._looks.add(look)
        self._start()
        return self._events(look)

    async def _events(self, look: Look) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + LOOKING_S_MAX
        try:
            yield b"retry: 2000\n\n"
            while True:
                look.news.clear()
                while look.waiting:
                    yield look.waiting.popleft()
                if look.is_over or loop.time() > ends_s:
                    return
                try:
                    async with asyncio.timeout(SILENT_S):
                        await look.news.wait()
                except TimeoutError:
                    yield _COMMENT
        finally:
            self._looks.discard(look)

    def _start(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self._tasks.start(self._read(), "live consumption")

    async def _read(self) -> None:
        """While somebody looks."""
        try:
            while self._looks and not self._is_ending():
                with contextlib.suppress(StoreUnavailable, StoreRefused):
                    await self._tell()
                await asyncio.sleep(EVERY_S)
        finally:
            self._is_reading = False
            if self._is_ending():
                for look in list(self._looks):
                    look.end()

    async def _tell(self) -> None:
        async with self._database.reading() as tx:
            found = await charge_views.since(tx, self._latest_ms - OVERLAP_MS, limit=READ_MAX)
        told = [_consumption(view) for view in reversed(found) if self._is_news(view)]
        told.append(_status(await self._clerk.command(Inspect(), Actor("live", "local", ""))))
        for look in self._looks:
            for event in told:
                look.tell(event)

    async def _recent(self) -> list[ChargeView]:
        """Some of the latest, for whoever begins to look; the reader goes on from there."""
        async with self._database.reading() as tx:
            found = await charge_views.since(tx, 0, limit=RECENT)
        if not self._looks:
            self._seen.clear()
            for view in found:
                self._is_news(view)
        return found

    def _is_news(self, view: ChargeView) -> bool:
        """A charge is news once in each of its states."""
        self._latest_ms = max(self._latest_ms, view.at_ms)
        if self._seen.get(view.id) == view.state:
            return False
        self._seen[view.id] = view.state
        while len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return True


def _consumption(view: ChargeView) -> bytes:
    return b"event: consumption\ndata: %b\n\n" % _encode(charges.shown(view))


def _status(inspected: Any) -> bytes:
    """`inspected` is what the clerk answers to Inspect."""
    return b"event: status\ndata: %b\n\n" % _encode(inspected.get("deliveries", {}))
