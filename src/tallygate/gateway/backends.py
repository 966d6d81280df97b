"""The private services of one worker: each route's backend with its pool, its health, its heads."""

import asyncio
import ssl
import urllib.parse

from tallygate.core.breaker import Breaker
from tallygate.core.routes import Route, RouteTable, forwarded_target
from tallygate.gateway.backend_headers import answer_lines, request_lines
from tallygate.gateway.bearers import Bearer, Bearers
from tallygate.tasks import Tasks
from tallygate.wire.answer import AnswerHead
from tallygate.wire.head import RequestHead
from tallygate.wire.pool import Origin, Pool, PoolBounds


class Backend:
    """Where one route leads. Routes to the same origin share its connections and its health."""

    __slots__ = ("_host_field", "_via", "bearers", "breaker", "pool", "route")

    def __init__(self, route: Route, pool: Pool, breaker: Breaker, via: bytes) -> None:
        self.route = route
        self.pool = pool
        self.breaker = breaker
        self.bearers = Bearers(route)
        self._via = via
        origin = pool.origin
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        default = 443 if origin.is_tls else 80
        self._host_field = (host if origin.port == default else f"{host}:{origin.port}").encode()

    def __repr__(self) -> str:
        return f"<Backend {self.route!r} {self.breaker}>"

    def request_prefix(self, head: RequestHead, bearer: Bearer | None) -> bytes:
        """The head that it is sent, up to where the client's address follows."""
        target = forwarded_target(self.route, head.target.decode("ascii"))
        rules = self.route.request_headers
        if bearer is not None:
            target, rules = bearer.target(target), bearer.rules
        upgrade = b"connection: upgrade\r\nupgrade: websocket\r\n" if head.is_websocket else b""
        return b"%b %b HTTP/1.1\r\nhost: %b\r\n%b%b%bx-forwarded-host: %b\r\nx-forwarded-for: " % (
            head.method,
            target.encode(),
            self._host_field,
            upgrade,
            request_lines(head, rules),
            self._via,
            head.value(b"host"),
        )

    def answer_lines(self, head: AnswerHead) -> bytes:
        route = self.route
        return answer_lines(head.kept, route.response_headers, is_on_our_origin=not route.host)


class Backends:
    """All of them. Pools are made on use, so a thousand idle routes cost a worker nothing."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tasks: Tasks, bounds: PoolBounds, via: bytes
    ) -> None:
        self._loop = loop
        self._tasks = tasks
        self._bounds = bounds
        self._via = b"via: 1.1 %s\r\n" % via
        self._tls: ssl.SSLContext | None = None
        self._routes: tuple[Route, ...] = ()
        self._pools: dict[Origin, Pool] = {}
        self._breakers: dict[Origin, Breaker] = {}
        self._backends: dict[int, Backend] = {}
        self.table = RouteTable()

    def apply(self, routes: tuple[Route, ...]) -> bool:
        """Whether anything is another than before; connections to unchanged origins live on."""
        if routes == self._routes:
            return False
        self._routes = routes
        self.table = RouteTable(routes)
        self._backends = {}
        in_use = {origin_of(route) for route in routes}
        for origin in [one for one in self._pools if one not in in_use]:
            self._pools.pop(origin).close()
            del self._breakers[origin]
        return True

    def of(self, route: Route) -> Backend:
        backend = self._backends.get(route.id)
        if backend is None:
            origin = origin_of(route)
            pool = self._pools.get(origin)
            if pool is None:
                pool = self._pools[origin] = self._new_pool(origin)
                self._breakers[origin] = Breaker()
            backend = Backend(route, pool, self._breakers[origin], self._via)
            self._backends[route.id] = backend
        return backend

    def renewed(self, route: Route, refused: Bearer) -> Bearer | None:
        """The same credential of a route as it is now, if it has another secret."""
        current = next((one for one in self._routes if one.id == route.id), None)
        found = self.of(current).bearers.of(refused.id) if current is not None else None
        return found if found is not None and found.secret != refused.secret else None

    @property
    def pools(self) -> list[Pool]:
        return list(self._pools.values())

    @property
    def open_count(self) -> int:
        return sum(pool.open_count for pool in self._pools.values())

    @property
    def limits_in_use(self) -> set[int]:
        return {limit.id for route in self._routes for limit in route.limits}

    def sweep(self, now_ms: int) -> None:
        for pool in self._pools.values():
            pool.sweep(now_ms)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def unhealthy(self) -> list[str]:
        return [
            f"{origin.host}:{origin.port}"
            for origin, breaker in self._breakers.items()
            if not breaker.is_closed
        ]

    def _new_pool(self, origin: Origin) -> Pool:
        if origin.is_tls and self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        tls = self._tls if origin.is_tls else None
        return Pool(self._loop, self._tasks, origin, self._bounds, tls)


def origin_of(route: Route) -> Origin:
    parts = urllib.parse.urlsplit(route.backend_url)
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    return Origin(parts.hostname or "", port, is_tls, is_private_allowed=True)
