"""One whole metered request through a worker, without sockets: the gateway's own code and no more.

The client's and the upstream's transports are lists, the journal is real, and the clerk has granted
three large limits before. What remains is parsing, admission, metering, both heads and the entry.
The same with a wallet that pays: one more lease, the cost, two more header fields.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from bench.load.traffic import ANSWER, ANSWER_HEADERS, request_bytes
from tallygate.core.limits import Dimension, Limit
from tallygate.core.ports import (
    Answer,
    Found,
    Key,
    LookUp,
    PriceBook,
    Reload,
    Sync,
    Synced,
    Welcome,
)
from tallygate.core.pricing import Book, Currency, Price, Rate
from tallygate.core.provider import Protocol, Provider, Snapshot
from tallygate.core.windows import Span
from tallygate.gateway.clerk_link import ClerkLink
from tallygate.gateway.options import Options
from tallygate.gateway.parts import Parts
from tallygate.tasks import Tasks
from tallygate.wire.server import ClientConnection
from tallygate.wire.upstream import UpstreamConnection

KEY = "roc_benchmark"
LARGE = 10**15
BOOK = Book(
    1,
    (Price(1, "*", Currency.USD, 1_000_000, 150_000, 600_000, 75_000, None, 0, True, 0),),
    {},
    Rate(1, 10**10),
)
STREAM_CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    b'[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
)


class Loop:
    """As much of an event loop as the gateway's callbacks ask for."""

    def __init__(self) -> None:
        self.ready: list[Callable[[], object]] = []

    def time(self) -> float:
        return 1_000.0

    def call_soon(self, callback: Callable[[], object], *_: object) -> None:
        self.ready.append(callback)

    def run_ready(self) -> None:
        while self.ready:
            ready, self.ready = self.ready, []
            for callback in ready:
                callback()


class Transport:
    """Counts what is written."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return "127.0.0.1", 1

    def abort(self) -> None: ...

    def close(self) -> None: ...


class Clerk:
    """Answers at once."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.parts: Parts | None = None
        self.waiting: list[Any] = []

    def send(self, message: Any) -> bool:
        self.waiting.append(message)
        return True

    def answer(self) -> None:
        waiting, self.waiting = self.waiting, []
        assert self.parts is not None
        for message in waiting:
            if isinstance(message, Sync):
                answers = [Answer(abs(a.limit_id), 1, LARGE, False, False, 0) for a in message.asks]
                self.parts.from_clerk(Synced(message.id, True, answers))
            elif isinstance(message, LookUp):
                self.parts.from_clerk(Found(message.id, self.key, True))


def answer_bytes(number: int) -> bytes:
    """As an upstream sends it: a date and an id of its own in each."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in ANSWER_HEADERS)
    head = (
        f"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 01:30:{number % 60:02} GMT\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n"
        f"Connection: keep-alive\r\n{fields}x-request-id: {number:032x}\r\n\r\n"
    )
    return (head + ANSWER).encode()


class Rig:
    """A worker's parts with one client and one upstream connection."""

    def __init__(self, data: Path, wallet_id: int = 0) -> None:
        limits = (
            Limit(1, Dimension.REQUESTS, Span.MINUTE, "UTC", LARGE),
            Limit(2, Dimension.REQUESTS, Span.DAY, "UTC", LARGE),
            Limit(3, Dimension.TOKENS, Span.DAY, "UTC", LARGE),
        )
        key = Key(1, 1, "roc", True, None, "", "", None, None, (), limits, wallet_id)
        provider = Provider("p", Protocol.OPENAI, "http://127.0.0.1:9/v1", "sk-x", models=None)
        self.loop = Loop()
        loop = cast(Any, self.loop)
        clerk = Clerk(key)
        options = Options(
            data=str(data),
            node_uuid="n",
            slot=0,
            boot=1,
            port=0,
            clerk_socket="",
            control_socket="",
            journal_segment_bytes=1 << 30,
        )
        welcome = Welcome("n", "s", 0, 1, True, Snapshot(1, ()))
        tasks = Tasks(lambda name, error: None)
        self.parts = clerk.parts = Parts(options, loop, tasks, cast(ClerkLink, clerk), welcome)
        self.upstream = self._upstream(provider)
        self.parts.from_clerk(PriceBook(1, BOOK))
        self.client = ClientConnection(self.parts.front)
        self.client.connection_made(cast(Any, Transport()))
        self.request = request_bytes(KEY)
        self.answers = [answer_bytes(number) for number in range(1024)]
        self.number = 0
        self.client.data_received(self.request)
        for _ in range(3):
            clerk.answer()
            self.loop.run_ready()
        self.upstream.data_received(self.answers[0])
        self.loop.run_ready()

    def _upstream(self, provider: Provider) -> UpstreamConnection:
        self.parts.from_clerk(Reload(Snapshot(2, (provider,))))
        pool = self.parts.gateway.upstreams.all()[0].pool
        connection = UpstreamConnection(pool._freed, pool._lost)
        connection.connection_made(cast(Any, Transport()))
        pool._freed(connection, 0)
        return connection

    def plain(self) -> None:
        self.number = (self.number + 1) % 1024
        self.client.data_received(self.request)
        self.upstream.data_received(self.answers[self.number])
        self.loop.run_ready()


@contextmanager
def cases() -> Iterator[dict[str, Callable[[], object]]]:
    with tempfile.TemporaryDirectory() as data:
        rig = Rig(Path(data) / "limits")
        paid = Rig(Path(data) / "wallet", wallet_id=4)
        yield {"a metered request, whole": rig.plain, "the same, paid by a wallet": paid.plain}
