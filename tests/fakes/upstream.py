"""A fake OpenAI, DeepSeek and Anthropic upstream on 127.0.0.1, and what reached it.

In a test: `with running() as upstream:` serves from a thread of its own, so that blocking clients
and other event loops can use it. As a process: `python -m tests.fakes.upstream --port N`; then
`GET /_stats` has the counts. Nothing is shared between instances, no name is resolved.
"""

import argparse
import asyncio
import contextlib
import ssl
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import httptools
import uvloop

from tests.fakes import answers
from tests.fakes.behaviours import behave
from tests.fakes.exchange import Exchange, Seen

SEEN_MAX = 20_000


@dataclass
class Stats:
    """What reached the upstream so far; plain attributes, readable from any thread."""

    seen: "deque[Seen]" = field(default_factory=lambda: deque(maxlen=SEEN_MAX))
    requests: Counter[tuple[str, str]] = field(default_factory=Counter)  # (key, path)
    total: int = 0
    connections_made: int = 0
    connections_open: int = 0
    running: int = 0  # exchanges without an end of their answer
    faults: list[str] = field(default_factory=list)  # bytes that no honest client sends

    def count(self, path: str, key: str | None = None) -> int:
        """Requests that reached a path, of one key or of all."""
        return sum(
            number
            for (of_key, of_path), number in self.requests.items()
            if of_path == path and key in (None, of_key)
        )

    def as_json(self) -> bytes:
        requests = [
            {"key": key, "path": path, "count": count}
            for (key, path), count in self.requests.items()
        ]
        return answers.dumped(
            {
                "requests": requests,
                "total": self.total,
                "connections_made": self.connections_made,
                "connections_open": self.connections_open,
                "running": self.running,
                "faults": self.faults,
            }
        )


class Connection(asyncio.Protocol):
    """One connection; requests on it are answered one after the other."""

    def __init__(self, stats: Stats, answer: Callable[[Exchange], None] = behave) -> None:
        self.stats = stats
        self.answer = answer
        self.number = 0
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self.exchange: Exchange | None = None
        self.target: list[bytes] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.incoming: Seen | None = None
        self.whole: deque[Seen] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(
            asyncio.Transport, transport
        )  # uvloop's TLS transport is its own class
        self.stats.connections_made += 1
        self.stats.connections_open += 1
        self.number = self.stats.connections_made

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fault(f"{type(error).__name__}: {error}: {data[:200]!r}")
            assert self.transport is not None
            self.transport.abort()
            return
        if len(self.whole) > 1 or (self.whole and self.exchange):
            self.fault("a request was sent before the answer to the one before it had ended")
        self.answer_next()

    def fault(self, text: str) -> None:
        self.stats.faults.append(text)

    def on_message_begin(self) -> None:
        self.target, self.headers, self.body, self.incoming = [], [], [], None

    def on_url(self, part: bytes) -> None:
        self.target.append(part)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.incoming is not None:
            self.fault(f"a trailer arrived: {name!r}")
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        target = b"".join(self.target)
        seen = Seen(self.parser.get_method(), target, self.headers, self.number)
        if not target.startswith(b"/_"):
            self.stats.seen.append(seen)
        self.incoming = seen
        if seen.header(b"expect"):
            assert self.transport is not None
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        self.body.append(part)

    def on_message_complete(self) -> None:
        assert self.incoming is not None
        self.incoming.body = b"".join(self.body)
        self.incoming.is_whole = True
        self.whole.append(self.incoming)
        self.incoming = None

    def answer_next(self) -> None:
        while self.whole and self.exchange is None:
            assert self.transport is not None
            seen = self.whole.popleft()
            exchange = self.exchange = Exchange(seen, self.transport, self.finish)
            if seen.target.startswith(b"/_"):
                exchange.answer(200, self.stats.as_json())
                continue
            self.stats.running += 1
            self.stats.total += 1
            self.stats.requests[seen.key, seen.path] += 1
            self.answer(exchange)

    def finish(self) -> None:
        """The answer ended; called from within the behaviour or later from a timer."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None and not exchange.seen.target.startswith(b"/_"):
            self.stats.running -= 1
        if self.whole:
            asyncio.get_running_loop().call_soon(self.answer_next)

    def connection_lost(self, error: Exception | None) -> None:
        self.stats.connections_open -= 1
        if self.exchange is not None:
            self.exchange.drop()
            self.stats.running -= 1
        self.exchange = None


class FakeUpstream:
    """The listening upstream. `stats` may be read from anywhere."""

    answer = staticmethod(behave)

    def __init__(self) -> None:
        self.stats = Stats()
        self.port = 0
        self.is_tls = False
        self.server: asyncio.Server | None = None
        self.connections: list[Connection] = []

    @property
    def base_url(self) -> str:
        """What a provider is configured with."""
        return f"http{'s' if self.is_tls else ''}://127.0.0.1:{self.port}/v1"

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.is_tls = tls is not None
        self.server = await loop.create_server(
            self._connection, "127.0.0.1", port, ssl=tls, backlog=4096
        )
        self.port = self.server.sockets[0].getsockname()[1]

    def _connection(self) -> Connection:
        connection = Connection(self.stats, self.answer)
        self.connections = [one for one in self.connections if not _is_closed(one)]
        self.connections.append(connection)
        return connection

    def close(self) -> None:
        """Stop listening and drop every connection, as a crash of the provider would."""
        if self.server is not None:
            self.server.close()
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.abort()


def _is_closed(connection: Connection) -> bool:
    return connection.transport is not None and connection.transport.is_closing()


class RunningUpstream(FakeUpstream):
    """A fake upstream whose loop runs in a thread; stopped and started again on the same port."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.tls = tls
        self.loop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="fake-upstream")

    def go_away(self) -> None:
        """Refuse connections until `come_back`."""
        self._call(self._close())

    def come_back(self) -> None:
        self._call(self.start(self.port, self.tls))

    async def _close(self) -> None:
        self.close()

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def __enter__(self) -> "RunningUpstream":
        self.thread.start()
        self._call(self.start(0, self.tls))
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@contextlib.contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[RunningUpstream]:
    with RunningUpstream(tls) as upstream:
        yield upstream


async def serve(port: int) -> None:
    upstream = FakeUpstream()
    await upstream.start(port)
    upstream.stats.seen = deque(maxlen=0)  # a long run is counted, not kept
    print(upstream.port, flush=True)
    await asyncio.Event().wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one, printed")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(arguments.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
