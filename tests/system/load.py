"""Many requests at once, each with what became of it."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

PATIENCE_S = 120


@dataclass
class Outcomes:
    """How the requests of a run ended, as their clients saw it."""

    statuses: list[int] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)  # ids of 200s whose last byte arrived
    failures: list[str] = field(default_factory=list)  # no whole answer

    def count(self, status: int) -> int:
        return self.statuses.count(status)

    @property
    def by_status(self) -> Counter[int]:
        return Counter(self.statuses)


@dataclass
class Load:
    """Requests with one key against one or several nodes, in turns."""

    urls: Sequence[str]
    key: str
    model: str = "fake-chat"
    is_stream: bool = False
    is_keeping_alive: bool = True
    outcomes: Outcomes = field(default_factory=Outcomes)
    is_stopped: bool = False

    async def burst(self, count: int) -> Outcomes:
        """All at once, each on a connection of its own if it must."""
        async with self._session() as session:
            turns = itertools.cycle(self.urls)
            await asyncio.gather(*(self._one(session, next(turns)) for _ in range(count)))
        return self.outcomes

    async def steady(self, clients: int) -> None:
        """`clients` ask one after the other until `stop`."""
        async with self._session() as session:
            await asyncio.gather(*(self._client(session, n) for n in range(clients)))

    def stop(self) -> None:
        self.is_stopped = True

    async def _client(self, session: aiohttp.ClientSession, number: int) -> None:
        while not self.is_stopped:
            await self._one(session, self.urls[number % len(self.urls)])

    async def _one(self, session: aiohttp.ClientSession, url: str) -> None:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": "hello"}],
            "stream": self.is_stream,
        }
        try:
            async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            self.outcomes.failures.append(repr(error))
            await asyncio.sleep(0.01)  # a dead port must not be hammered by a tight loop
            return
        self.outcomes.statuses.append(answer.status)
        if answer.status == 200 and (not self.is_stream or b"data: [DONE]" in text):
            self.outcomes.answered.append(answer.headers["x-request-id"])

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=not self.is_keeping_alive),
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
            headers={"authorization": f"Bearer {self.key}"},
        )
