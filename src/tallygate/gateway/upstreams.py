"""The upstreams of one worker: each provider with its pool, its health and the heads it is sent."""

import asyncio
import ssl
import urllib.parse
from collections.abc import Sequence

from tallygate.core.breaker import Breaker
from tallygate.core.choice import Routes, WeightedTurns
from tallygate.core.dify import App
from tallygate.core.provider import Protocol, Provider, Snapshot
from tallygate.tasks import Tasks
from tallygate.wire.head import CREDENTIALS, RequestHead
from tallygate.wire.pool import Origin, Pool, PoolBounds

_NOT_FORWARDED = CREDENTIALS | {b"accept-encoding", b"via"}
# A trace's id that a client makes up could be another one's message (core/langfuse.py).
_REWRITTEN_WITH_THE_BODY = frozenset((b"content-type", b"x-trace-id"))
_ANTHROPIC_VERSION = b"2023-06-01"

Candidate = tuple[Provider, str]  # with the name it calls the model


class Upstream:
    """One provider as this worker reaches it."""

    __slots__ = ("_base_path", "_fields", "breaker", "pool", "provider")

    def __init__(self, provider: Provider, pool: Pool, base_path: bytes, via: bytes) -> None:
        self.provider = provider
        self.pool = pool
        self.breaker = Breaker()
        self._base_path = base_path
        self._fields = b"host: %s\r\n%saccept-encoding: identity\r\n%s" % (
            _host_field(pool.origin),
            via,
            _credential_fields(provider),
        )

    def __repr__(self) -> str:
        return f"<Upstream {self.provider.name} {self.breaker}>"

    def is_out_of_reach(self) -> None:
        """No connection for a trial could be made: that was the trial."""
        self.breaker.failed(self.pool.now_ms)

    def request_prefix(self, head: RequestHead) -> bytes:
        """The head that goes upstream, up to where the length of the body follows."""
        target = self._base_path + head.target.removeprefix(b"/v1")
        fields = self._fields
        if self.provider.protocol is Protocol.ANTHROPIC and not head.value(b"anthropic-version"):
            fields += b"anthropic-version: %s\r\n" % _ANTHROPIC_VERSION
        lines = head.lines_to_forward(_NOT_FORWARDED)
        return b"%s %s HTTP/1.1\r\n%s%scontent-length: " % (head.method, target, fields, lines)

    def prefix_to(self, head: RequestHead, path: bytes, content_type: bytes) -> bytes:
        """The same to a path of its own, for a body that was written anew."""
        lines = head.lines_to_forward(_NOT_FORWARDED | _REWRITTEN_WITH_THE_BODY)
        return b"%s %s%s HTTP/1.1\r\n%s%s%scontent-length: " % (
            *(head.method, self._base_path, path, self._fields, lines),
            b"content-type: %s\r\n" % content_type if content_type else b"",
        )


class Upstreams:
    """All of them, rebuilt when providers change; connections to unchanged origins live on."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tasks: Tasks, bounds: PoolBounds, via: bytes
    ) -> None:
        self._loop = loop
        self._tasks = tasks
        self._bounds = bounds
        self._via = b"via: 1.1 %s\r\n" % via
        self._tls: ssl.SSLContext | None = None
        self._pools: dict[Origin, Pool] = {}
        self._by_name: dict[str, Upstream] = {}
        self._turns = WeightedTurns()
        self.routes = Routes(Snapshot(0, ()))
        self.apps: dict[str, tuple[App, Provider]] = {}

    def apply(self, snapshot: Snapshot) -> None:
        previous, self._by_name = self._by_name, {}
        self.apps = {app.name: (app, _as_provider(app)) for app in snapshot.apps}
        for provider in (*snapshot.providers, *(one for _, one in self.apps.values())):
            known = previous.get(provider.name)
            if known is None or known.provider != provider:
                known = self._build(provider)
            self._by_name[provider.name] = known
        self.routes = Routes(snapshot)
        in_use = {upstream.pool.origin for upstream in self._by_name.values()}
        for origin in [one for one in self._pools if one not in in_use]:
            self._pools.pop(origin).close()

    def all(self) -> list[Upstream]:
        return list(self._by_name.values())

    @property
    def open_count(self) -> int:
        """Connections, idle or busy."""
        return sum(pool.open_count for pool in self._pools.values())

    def choose(
        self,
        candidates: Sequence[Candidate],
        tried: Sequence[str],
        now_ms: int,
        *,
        is_last: bool = False,
    ) -> tuple[Upstream, str] | None:
        """The next to try: the best priority first, those in good health first, then by weight.

        Who is ill takes part as if it were well when a trial of it is due and a connection to it
        stands, but only while somebody well is left to answer should the trial fail; never so when
        this try `is_last`.
        """
        if len(candidates) == 1 and not tried:
            provider, name = candidates[0]
            return self.of(provider), name
        left = [one for one in candidates if one[0].name not in tried] if tried else candidates
        if not left:
            return None
        if len(left) > 1:
            left = self._fit(left, now_ms, is_last=is_last)
            best = left[0][0].priority
            left = [one for one in left if one[0].priority == best]
        provider, name = left[self._turns.choose(left)]
        upstream = self.of(provider)
        if not upstream.breaker.is_closed:
            upstream.breaker.trial_begins(now_ms)
        return upstream, name

    def _fit(self, left: Sequence[Candidate], now_ms: int, *, is_last: bool) -> Sequence[Candidate]:
        """Who may be asked now, in the same order; somebody always, for a refusal is no better."""
        well = [one for one in left if self.of(one[0]).breaker.is_closed]
        if len(well) == len(left) or (well and is_last):
            return well
        fit = [one for one in left if self._admits(self.of(one[0]), now_ms, is_needed=not well)]
        return fit or left

    def _admits(self, upstream: Upstream, now_ms: int, *, is_needed: bool) -> bool:
        breaker = upstream.breaker
        if breaker.is_closed:
            return True
        # Nobody waits for the connection of a trial while others answer at once.
        return breaker.admits(now_ms) and (is_needed or upstream.pool.has_idle)

    def sweep(self, now_ms: int) -> None:
        for pool in self._pools.values():
            pool.sweep(now_ms)
        for upstream in self._by_name.values():
            if not upstream.breaker.is_closed and upstream.breaker.admits(now_ms):
                upstream.pool.warm(upstream.is_out_of_reach)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def renewed(self, refused: Provider) -> Provider | None:
        """What stands for the same credential now, if it has another secret."""
        found = self._by_name.get(refused.name)
        if found is None or found.provider.secret == refused.secret:
            return None
        return found.provider

    def of(self, provider: Provider) -> Upstream:
        """One that was deleted meanwhile still serves the requests that were routed before."""
        return self._by_name.get(provider.name) or self._build(provider)

    def _build(self, provider: Provider) -> Upstream:
        origin, base_path = parse_base_url(provider)
        pool = self._pools.get(origin)
        if pool is None:
            if origin.is_tls and self._tls is None:
                self._tls = ssl.create_default_context()
                self._tls.set_alpn_protocols(["http/1.1"])
            tls = self._tls if origin.is_tls else None
            pool = self._pools[origin] = Pool(self._loop, self._tasks, origin, self._bounds, tls)
        return Upstream(provider, pool, base_path, self._via)


def _as_provider(app: App) -> Provider:
    """A Dify app as an upstream; no model leads to it."""
    return Provider(app.route, Protocol.OPENAI, app.api_url, app.secret, models=())


def parse_base_url(provider: Provider) -> tuple[Origin, bytes]:
    """Where a provider is, and the path that takes the place of /v1."""
    url = provider.base_url
    if url.startswith("unix:"):
        _, path, base_path = url.split(":", 2)
        return Origin("", 0, is_tls=False, unix_path=path), base_path.rstrip("/").encode()
    parts = urllib.parse.urlsplit(url)
    is_tls = parts.scheme == "https"
    host = parts.hostname or ""
    port = parts.port or (443 if is_tls else 80)
    origin = Origin(host, port, is_tls, is_private_allowed=provider.is_private_allowed)
    return origin, parts.path.rstrip("/").encode()


def _host_field(origin: Origin) -> bytes:
    if origin.unix_path:
        return b"localhost"
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    default = 443 if origin.is_tls else 80
    return (host if origin.port == default else f"{host}:{origin.port}").encode()


def _credential_fields(provider: Provider) -> bytes:
    if not provider.secret:
        return b""
    secret = provider.secret.encode()
    if provider.protocol is Protocol.ANTHROPIC:
        return b"x-api-key: %s\r\n" % secret
    return b"authorization: Bearer %s\r\n" % secret
