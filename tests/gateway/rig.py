"""A worker's parts without sockets, clock or chance: a test plays clients, upstreams and clerk.

Every byte is delivered by a call and time moves only when a test moves it, so that the states
between two events, where the bugs live, can be entered one by one. `settle` runs what is due until
nothing more happens by itself.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from tallygate.core.claims import Fulfil
from tallygate.core.dify import App
from tallygate.core.entry import Entry
from tallygate.core.ports import Change, Changes, Key, PriceBook, Reload, Tick, Welcome
from tallygate.core.pricing import Book, Price, Rate
from tallygate.core.provider import Protocol, Provider, Snapshot
from tallygate.core.routes import Route
from tallygate.core.usage_report import UsageReport
from tallygate.gateway.clerk_link import ClerkLink
from tallygate.gateway.options import Options
from tallygate.gateway.parts import Parts
from tallygate.journal.frames import Identity
from tallygate.journal.reader import START, Batch, Tail
from tallygate.wire.pool import Pool
from tallygate.wire.server import ClientConnection
from tallygate.wire.upstream import Loss
from tests.fakes.socket_options import SocketOptions
from tests.gateway.exchange_text import Answer, chat, read_answer
from tests.gateway.model_clerk import ModelClerk

STORE = "00000000-0000-0000-0000-00000000store"
NOON_MS = 1_767_268_800_000  # 2026-01-01 12:00 UTC: no window ends nearby but the minute's
SWEEP_S = 0.25


class Loop:
    """As much of an event loop as the parts ask for."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.ready: list[Callable[[], object]] = []

    def time(self) -> float:
        return self.now_s

    def call_soon(self, callback: Callable[..., object], *args: object) -> None:
        self.ready.append(lambda: callback(*args))

    def run_ready(self) -> bool:
        ready, self.ready = self.ready, []
        for callback in ready:
            callback()
        return bool(ready)


class Coroutines:
    """Tasks that run only when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def start(self, coroutine: Any, name: str) -> None:
        if name.startswith("connect"):
            coroutine.close()  # the rig connects, or refuses to
        else:
            self.waiting.append(coroutine)

    def run(self) -> None:
        waiting, self.waiting = self.waiting, []
        for coroutine in waiting:
            asyncio.run(coroutine)


class Transport:
    """The test's end of a connection."""

    def __init__(self, loop: Loop, protocol: Any, host: str = "127.0.0.1") -> None:
        self._loop = loop
        self._protocol = protocol
        self._host = host
        self._unread = 0
        self._arrived: deque[bytes] = deque()
        self.high = 1 << 16
        self.written = b""
        self.is_stuck = False  # the other side reads nothing
        self.is_reading_paused = False
        self.is_lost = False
        self.was_aborted = False
        self.was_closed = False
        self.socket = SocketOptions()
        protocol.connection_made(self)

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if self.was_closed or self.was_aborted:
            return
        self.written += data
        if self.is_stuck:
            before, self._unread = self._unread, self._unread + len(data)
            if before <= self.high < self._unread:
                self._protocol.pause_writing()

    def catch_up(self) -> None:
        """The other side has read all that was written, and goes on reading."""
        was_over, self._unread, self.is_stuck = self._unread > self.high, 0, False
        if was_over:
            self._protocol.resume_writing()

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self._unread

    def get_extra_info(self, name: str) -> Any:
        return self.socket if name == "socket" else (self._host, 1)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None: ...

    def receive(self, data: bytes) -> None:
        """What the test sends; read when it is read."""
        if self.is_reading_paused or self._arrived:
            self._arrived.append(data)
        else:
            self._protocol.data_received(data)

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False
        self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        while self._arrived and not self.is_reading_paused and not self.is_lost:
            self._protocol.data_received(self._arrived.popleft())

    def close(self) -> None:
        self.was_closed = True
        self._loop.call_soon(self.lose)

    def abort(self) -> None:
        self.was_aborted = True
        self._loop.call_soon(self.lose)

    def lose(self, error: Exception | None = None) -> None:
        """The connection is gone."""
        if not self.is_lost:
            self.is_lost = True
            self._protocol.connection_lost(error)


class Side:
    """A client, or an upstream's connection."""

    def __init__(self, rig: "Rig", protocol: Any, host: str = "127.0.0.1") -> None:
        self.rig = rig
        self.protocol = protocol
        self.transport = Transport(rig.loop, protocol, host)
        self._read = 0

    def send(self, data: bytes, *, is_settled: bool = True) -> None:
        assert not self.transport.is_lost, "the connection is gone"
        self.transport.receive(data)
        if is_settled:
            self.rig.settle()

    def hang_up(self, error: Exception | None = None) -> None:
        self.transport.lose(error)
        self.rig.settle()

    @property
    def unread(self) -> bytes:
        """What came since the last `take`."""
        return self.transport.written[self._read :]

    def take(self) -> bytes:
        data, self._read = self.unread, len(self.transport.written)
        return data

    def answer(self, *, is_head: bool = False) -> Answer:
        """The next whole answer; fails when there is none yet."""
        answer = read_answer(self.unread, is_head=is_head, is_over=self.transport.was_closed)
        self._read += answer.length
        return answer

    def ask(self, *args: Any, **headers: Any) -> Answer:
        """One chat call, answered."""
        self.send(chat(*args, **headers))
        return self.answer()


class Rig:
    """The parts of one worker, and all that they talk to."""

    def __init__(
        self,
        folder: Path,
        keys: dict[str, Key],
        providers: list[Provider],
        apps: Iterable[App] = (),
        **options: Any,
    ) -> None:
        self.loop = Loop()
        self.tasks = Coroutines()
        self.clerk = ModelClerk(keys)
        self.connects = "at once"  # or "held", or "refused"
        self.clients: list[Side] = []
        self.upstreams: list[Side] = []  # in the order in which they were connected
        self.snapshots = itertools.count(2)
        self.books = 0
        values = {"data": str(folder), "node_uuid": "node", "slot": 0, "boot": 1, "port": 0}
        values |= {"clerk_socket": "", "control_socket": f"{folder}/control.sock"}
        values |= {"journal_segment_bytes": 1 << 20}
        self.options = Options(**(values | options))
        self.folder = folder / "journal" / "0" / "1"
        offset_ms = NOON_MS - int(self.loop.now_s * 1000)
        snapshot = Snapshot(1, tuple(providers), tuple(apps))
        self.welcome = Welcome("n", STORE, offset_ms, 1, True, snapshot)
        self.parts = Parts(
            self.options,
            cast(Any, self.loop),
            cast(Any, self.tasks),
            cast(ClerkLink, self.clerk),
            self.welcome,
        )
        self.gateway = self.parts.gateway
        self.sweep()

    # --- time ---

    def settle(self) -> None:
        """Until nothing more happens by itself."""
        is_busy = True
        while is_busy:
            is_busy = self.loop.run_ready()
            for message in self.clerk.deliver():
                is_busy = True
                self.parts.from_clerk(message)
            if self.connects != "held":
                is_busy |= self.connect(is_refused=self.connects == "refused")

    def sweep(self) -> None:
        self.parts.sweep()
        self.settle()

    def pass_time(self, seconds: float, *, is_clerk_alive: bool = True) -> None:
        """With a sweep each quarter of a second, and the clerk's ticks."""
        until_s = self.loop.now_s + seconds
        while self.loop.now_s < until_s:
            self.loop.now_s += SWEEP_S
            if is_clerk_alive:
                self.tick()
            self.sweep()

    def tick(self) -> None:
        offset_ms = self.welcome.clock_offset_ms
        self.parts.from_clerk(Tick(offset_ms, 1, self.clerk.is_store_available))

    # --- the clerk's side ---

    def publish(self, kind: str, subject: int = 0, detail: int = 0) -> None:
        self.parts.from_clerk(Changes([Change(2, kind, subject, detail)]))
        self.settle()

    def price(self, *prices: Price, rate: Rate | None = None, **aliases: str) -> None:
        """The book of prices, or another one."""
        self.books += 1
        self.parts.from_clerk(PriceBook(self.books, Book(self.books, prices, aliases, rate)))
        self.settle()

    def reload(self, *providers: Provider) -> None:
        self.parts.from_clerk(Reload(Snapshot(next(self.snapshots), providers)))
        self.settle()

    def route(self, *routes: Route) -> None:
        """The routes that there are from now on; the providers stay."""
        self.clerk.amounts_of(routes)
        providers = self.welcome.snapshot.providers
        self.parts.from_clerk(Reload(Snapshot(next(self.snapshots), providers, (), routes)))
        self.settle()

    def reload_apps(self, *apps: App) -> None:
        providers = self.welcome.snapshot.providers
        self.parts.from_clerk(Reload(Snapshot(next(self.snapshots), providers, apps)))
        self.settle()

    def reconnect(self) -> None:
        """Another clerk says hello; what the last one was asked is lost."""
        self.clerk.is_away = False
        self.clerk.waiting = []
        self.parts.from_clerk(self.welcome)
        self.settle()

    # --- clients ---

    def client(self, host: str = "127.0.0.1") -> Side:
        side = Side(self, ClientConnection(self.parts.front), host)
        self.clients.append(side)
        return side

    # --- upstreams ---

    def pools(self) -> list[Pool]:
        providers = self.gateway.upstreams._pools.values()
        return [*providers, *self.gateway.backends.pools, self.gateway.control]

    def connect(self, *, is_refused: bool = False) -> bool:
        """Make the connections that are wanted, or refuse them; whether there were any."""
        wanted = [pool for pool in self.pools() for _ in range(pool._connecting)]
        for pool in wanted:
            pool._connecting -= 1
            if is_refused:
                pool._fail_one(Loss.UNREACHABLE)
            else:
                side = Side(self, pool._new_connection())
                self.upstreams.append(side)
                pool._connections.add(side.protocol)
                pool._give(side.protocol)
            pool._connect_if_needed()
        return bool(wanted)

    @property
    def upstream(self) -> Side:
        """The upstream connection that was made last."""
        return self.upstreams[-1]

    def requests_upstream(self) -> int:
        return sum(side.transport.written.count(b" HTTP/1.1\r\n") for side in self.upstreams)

    # --- what came of it ---

    def fulfilled(self) -> list[Fulfil]:
        """How claimed calls ended."""
        return self.clerk.sent(Fulfil)

    def entries(self) -> list[Entry]:
        """Every request journaled so far."""
        return self._journaled().entries

    def reports(self) -> list[UsageReport]:
        """Every report of uses, and of refused ones, journaled so far."""
        return list(self._journaled().reports)

    def _journaled(self) -> Batch:
        tail = Tail(self.folder, Identity(STORE, "node", 0, 1), self.folder / "corrupt")
        return tail.read(START, 100_000, is_dead=False)


def provider(name: str = "p0", **changes: Any) -> Provider:
    values = {"base_url": f"http://{name}.test/v1", "secret": "sk-operator"} | changes
    return Provider(name, values.pop("protocol", Protocol.OPENAI), **values)


@contextmanager
def rigged(keys: dict[str, Key], *providers: Provider, **options: Any) -> Iterator[Rig]:
    """A rig with these keys and providers (one, unless told); it must end with nothing held."""
    with TemporaryDirectory() as folder:
        rig = Rig(Path(folder), keys, list(providers) or [provider()], **options)
        yield rig
        for side in rig.upstreams:
            side.transport.abort()
        rig.loop.run_ready()
        rig.parts.close()
