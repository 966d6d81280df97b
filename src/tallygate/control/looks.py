"""Those who look at a stream of server-sent events: one reader, however many are looking.

The reader works while somebody looks. Who does not keep up misses the oldest; nobody who looks
costs the store anything of their own.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.responses import StreamingResponse

from tallygate.core.errors import Code, Refusal
from tallygate.tasks import OnFailure, Tasks

SILENT_S = 15.0  # then a comment, so that nothing between takes the stream for dead
LOOKING_S_MAX = 900.0  # whoever goes on looking comes again, and is asked again who they are
LOOKING_MAX = 100
WAITING_MAX = 256
BREATH_S = 1.0  # so soon it is noticed that the process is told to stop

BEHIND = b"event: behind\ndata: {}\n\n"  # what is shown is not current, until anything else comes

_COMMENT = b": still here\n\n"
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


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


class Looks:
    """`read` tells all of them what is new, and says after how many seconds to read again.

    `is_ending` says that this process is told to stop: streams end before it has to wait.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], Awaitable[float]],
        is_ending: Callable[[], bool],
        on_failure: OnFailure,
    ) -> None:
        self._name = name
        self._read = read
        self._is_ending = is_ending
        self._tasks = Tasks(on_failure)
        self._all: set[Look] = set()
        self._is_reading = False

    def __len__(self) -> int:
        return len(self._all)

    def require_room(self) -> None:
        if len(self._all) >= LOOKING_MAX:
            raise Refusal(Code.OVERLOADED, "too many are looking just now")

    def begin(self, first: list[bytes]) -> AsyncIterator[bytes]:
        """One more looks: `first` at once, then whatever is told, for a while."""
        self.require_room()
        look = Look()
        for event in first:
            look.tell(event)
        self._all.add(look)
        if not self._is_reading:
            self._is_reading = True
            self._tasks.start(self._go_on(), self._name)
        return self._events(look)

    def tell(self, event: bytes) -> None:
        for look in self._all:
            look.tell(event)

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
            self._all.discard(look)

    async def _go_on(self) -> None:
        """While somebody looks."""
        try:
            while self._all and not self._is_ending():
                await self._pause(await self._read())
        finally:
            self._is_reading = False
            if self._is_ending():
                for look in list(self._all):
                    look.end()

    async def _pause(self, seconds: float) -> None:
        while seconds > 0 and not self._is_ending():
            await asyncio.sleep(min(seconds, BREATH_S))
            seconds -= BREATH_S


def streamed(events: AsyncIterator[bytes]) -> StreamingResponse:
    return StreamingResponse(events, headers=_HEADERS, media_type="text/event-stream")
