"""Connections to one origin: made when needed, kept while idle, never more than a bound.

Only making a new connection takes a task; on a warm pool `ask` is a list pop and a write.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from tallygate.tasks import Tasks
from tallygate.wire.address import why_refused
from tallygate.wire.upstream import Asker, Loss, UpstreamConnection

WAITING_MAX = 4096


class Origin(NamedTuple):
    """Where connections lead: a host and port, or a Unix socket."""

    host: str
    port: int
    is_tls: bool
    unix_path: str = ""
    is_private_allowed: bool = True


class PoolBounds(NamedTuple):
    """The settings of all pools of a worker."""

    connections_max: int = 1024
    idle_ms: int = 50_000
    dns_cache_ms: int = 30_000
    connect_s: float = 30.0
    own_listeners: frozenset[tuple[str, int]] = frozenset()


class Waiting:
    """A request that waits for a connection; `cancel` takes it out of the queue."""

    __slots__ = ("asker", "data", "is_cancelled", "is_head_request", "on_connected")

    def __init__(
        self,
        asker: Asker,
        data: bytes,
        on_connected: Callable[[UpstreamConnection], None],
        *,
        is_head_request: bool,
    ) -> None:
        self.asker = asker
        self.data = data
        self.on_connected = on_connected
        self.is_head_request = is_head_request
        self.is_cancelled = False


class Pool:
    """All connections of one worker to one origin."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        origin: Origin,
        bounds: PoolBounds,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._loop = loop
        self._tasks = tasks
        self.origin = origin
        self._bounds = bounds
        self._tls = tls
        self._idle: list[UpstreamConnection] = []
        self._waiting: deque[Waiting] = deque()
        self._connections: set[UpstreamConnection] = set()
        self._connecting = 0
        self._on_failed: Callable[[], None] | None = None  # of the connection that nobody waits for
        self._addresses: list[str] = []
        self._addresses_until_ms = 0
        self.now_ms = 0
        self.is_closed = False

    def __repr__(self) -> str:
        return (
            f"<Pool {self.origin.host or self.origin.unix_path} idle={len(self._idle)} "
            f"open={len(self._connections)} waiting={len(self._waiting)}>"
        )

    @property
    def open_count(self) -> int:
        return len(self._connections)

    def ask(
        self,
        asker: Asker,
        data: bytes,
        on_connected: Callable[[UpstreamConnection], None],
        *,
        is_head_request: bool = False,
    ) -> Waiting | None:
        """Send a request over an idle connection, or wait for one.

        `on_connected` is told of the connection before any part of the answer comes. A returned
        Waiting can be cancelled until then.
        """
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.is_usable:
                on_connected(connection)
                connection.send(asker, data, is_head_request=is_head_request)
                return None
        waiting = Waiting(asker, data, on_connected, is_head_request=is_head_request)
        if len(self._waiting) >= WAITING_MAX:
            self._loop.call_soon(asker.answer_lost, Loss.CROWDED)
            return None
        self._waiting.append(waiting)
        self._connect_if_needed()
        return waiting

    def cancel(self, waiting: Waiting) -> None:
        waiting.is_cancelled = True
        self._waiting = deque(one for one in self._waiting if not one.is_cancelled)

    @property
    def has_idle(self) -> bool:
        return any(connection.is_usable for connection in self._idle)

    def warm(self, on_failed: Callable[[], None]) -> None:
        """See to it that a connection is idle, or that somebody hears that none can be made."""
        if not self._connecting and not self.has_idle and not self.is_closed:
            self._on_failed = on_failed
            self._connecting += 1
            self._tasks.start(self._connect(), f"connect to {self.origin.host}")

    def sweep(self, now_ms: int) -> None:
        """Close what has been idle for too long, the longest idle first."""
        self.now_ms = now_ms
        keep = []
        for connection in self._idle:
            if connection.is_usable and connection.idle_until_ms > now_ms:
                keep.append(connection)
            else:
                connection.abandon()
        self._idle = keep

    def close(self) -> None:
        """Close what is idle; what answers closes when it has ended."""
        self.is_closed = True
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abandon()

    # --- connections ---

    def _connect_if_needed(self) -> None:
        room = self._bounds.connections_max - len(self._connections) - self._connecting
        if self._connecting < len(self._waiting) and room > 0:
            self._connecting += 1
            self._tasks.start(self._connect(), f"connect to {self.origin.host or 'unix socket'}")

    async def _connect(self) -> None:
        loss = Loss.UNREACHABLE
        connection: UpstreamConnection | None = None
        try:
            async with asyncio.timeout(self._bounds.connect_s):
                if self.origin.unix_path:
                    connection = await self._connect_unix()
                else:
                    connection, loss = await self._connect_tcp()
        except (OSError, UnicodeError):  # ssl.SSLError and TimeoutError are OSErrors
            connection = None
        finally:
            self._connecting -= 1
        if connection is None:
            self._fail_one(loss)
        else:
            self._connections.add(connection)
            if connection.transport is None:  # lost again while it was being made
                self._connections.discard(connection)
                self._fail_one(loss)
            else:
                self._give(connection)
        self._connect_if_needed()

    async def _connect_unix(self) -> UpstreamConnection:
        _, connection = await self._loop.create_unix_connection(
            self._new_connection, self.origin.unix_path
        )
        return connection

    async def _connect_tcp(self) -> tuple[UpstreamConnection | None, Loss]:
        origin = self.origin
        loss = Loss.UNREACHABLE
        for host in await self._resolve():
            if why_refused(
                host,
                origin.port,
                is_private_allowed=origin.is_private_allowed,
                own=self._bounds.own_listeners,
            ):
                loss = Loss.REFUSED_ADDRESS
                continue
            try:
                _, connection = await self._loop.create_connection(
                    self._new_connection,
                    host,
                    origin.port,
                    ssl=self._tls if origin.is_tls else None,
                    server_hostname=origin.host if origin.is_tls else None,
                )
            except OSError:
                self._addresses_until_ms = 0
                continue
            return connection, loss
        return None, loss

    async def _resolve(self) -> list[str]:
        if self._addresses_until_ms <= self.now_ms or not self._addresses:
            found = await self._loop.getaddrinfo(
                self.origin.host, self.origin.port, type=socket.SOCK_STREAM
            )
            self._addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
            self._addresses_until_ms = self.now_ms + self._bounds.dns_cache_ms
        return self._addresses

    def _new_connection(self) -> UpstreamConnection:
        return UpstreamConnection(self._freed, self._lost)

    def _give(self, connection: UpstreamConnection) -> None:
        """Hand a connection to whoever has waited longest, or keep it idle."""
        self._on_failed = None
        while self._waiting:
            waiting = self._waiting.popleft()
            if waiting.is_cancelled:
                continue
            waiting.on_connected(connection)
            connection.send(waiting.asker, waiting.data, is_head_request=waiting.is_head_request)
            return
        self._freed(connection, 0)

    def _freed(self, connection: UpstreamConnection, idle_s: int) -> None:
        if self.is_closed:
            connection.abandon()
            return
        if self._waiting:
            self._give(connection)
            return
        idle_ms = self._bounds.idle_ms
        if idle_s:
            idle_ms = min(idle_ms, max(500, idle_s * 1000 - 1000))
        connection.idle_until_ms = self.now_ms + idle_ms
        self._idle.append(connection)

    def _lost(self, connection: UpstreamConnection) -> None:
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._connect_if_needed()

    def _fail_one(self, loss: Loss) -> None:
        on_failed, self._on_failed = self._on_failed, None
        if on_failed is not None:
            on_failed()
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.is_cancelled:
                waiting.asker.answer_lost(loss)
                return
