"""The parts of a worker, put together, and what each message and each tick means to them."""

import asyncio
from pathlib import Path

from tallygate.core.claims import Claimed, Fulfilled
from tallygate.core.deliveries import Delivered
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import (
    Changes,
    Found,
    FromClerk,
    Gauges,
    PriceBook,
    Priced,
    Recall,
    Refreshed,
    Reload,
    Synced,
    Tick,
    Welcome,
)
from tallygate.core.provider import Snapshot
from tallygate.core.shares import Shared
from tallygate.gateway.application import Gateway
from tallygate.gateway.backends import Backends
from tallygate.gateway.claims import Claims
from tallygate.gateway.clerk_link import ClerkLink
from tallygate.gateway.known_keys import KnownKeys
from tallygate.gateway.lease_book import LeaseBook
from tallygate.gateway.options import Options
from tallygate.gateway.record import Recorder
from tallygate.gateway.route_shares import RouteShares
from tallygate.gateway.upstreams import Upstreams
from tallygate.journal.frames import Identity
from tallygate.journal.slab import Slab, machine_boot
from tallygate.journal.writer import Journal
from tallygate.tasks import Tasks
from tallygate.telemetry.counters import Counters
from tallygate.wire.front import Front
from tallygate.wire.pool import Origin, Pool, PoolBounds

STRICT_SILENCE_MS = 1_000
GAUGES_EVERY_SWEEPS = 4
FORGET_EVERY_SWEEPS = 240
IDLE_POLL_S = 0.02

_STALE = Refusal(Code.STORE_UNAVAILABLE, "The gateway has lost touch with its store; try again.")


class Parts:
    """Everything that lives as long as the worker does."""

    def __init__(
        self,
        options: Options,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        link: ClerkLink,
        welcome: Welcome,
    ) -> None:
        self._options = options
        self._loop = loop
        self._link = link
        self._feed_seq = welcome.feed_seq
        self._store_seen_ms = int(loop.time() * 1000)
        self._sweeps = 0
        self.counters = Counters()
        journal = _open_journal(options, welcome.store)
        self._slab = Slab(journal.folder / "slab", machine_boot())
        self._book = LeaseBook(self._slab, link.send, loop.call_soon)
        self._keys = KnownKeys(
            self._book,
            link.send,
            keys_max=options.key_cache_max,
            unknown_ms=options.unknown_key_cache_s * 1000,
        )
        self._recorder = Recorder(
            journal, loop.call_soon, tasks, is_power_durable=options.durability == "power"
        )
        bounds = _pool_bounds(options)
        via = f"tallygate-{options.node_uuid[:12]}".encode()
        self._upstreams = Upstreams(loop, tasks, bounds, via)
        self._backends = Backends(loop, tasks, bounds, via)
        self._shares = RouteShares(self._book, link.send)
        control = Origin("", 0, is_tls=False, unix_path=options.control_socket)
        self._control = Pool(loop, tasks, control, bounds, None)
        self.gateway = Gateway(
            options,
            loop,
            book=self._book,
            keys=self._keys,
            claims=Claims(link.send),
            recorder=self._recorder,
            upstreams=self._upstreams,
            backends=self._backends,
            shares=self._shares,
            control=self._control,
            counters=self.counters,
            via=via,
            deliver=link.send,
        )
        self.gateway.fetch_models = link.send
        self.gateway.renewals.send = link.send
        self.front = _front(options, self.gateway)
        self._apply(welcome.snapshot)
        self.gateway.clock_offset_ms = welcome.clock_offset_ms

    def close(self) -> None:
        """After the last answer: units go home, the journal is closed."""
        self.gateway.usage_log.tell_refused()
        self._book.give_back_all()
        self._upstreams.close()
        self._backends.close()
        self._control.close()
        self._recorder.close()

    async def is_idle(self) -> None:
        """Returns when no client is connected and nothing runs."""
        while self.front.connections or self.gateway.running:  # noqa: ASYNC110 - at its end only
            await asyncio.sleep(IDLE_POLL_S)

    # --- messages ---

    def from_clerk(self, message: FromClerk) -> None:
        if isinstance(message, Synced):
            self._book.answered(message)
        elif isinstance(message, Found):
            self._keys.answered(message, self.gateway.now_ms(), self.gateway.wall_ms())
        elif isinstance(message, Tick):
            self.gateway.clock_offset_ms = message.clock_offset_ms
            if message.is_store_available:
                self._store_seen_ms = self.gateway.now_ms()
        elif isinstance(message, Changes):
            self._changed(message)
        elif isinstance(message, Recall):
            self._book.recall(message.counters)
        elif isinstance(message, Claimed):
            self.gateway.claims.answered(message)
        elif isinstance(message, Fulfilled):
            self.gateway.claims.fulfilled(message)
        elif isinstance(message, Shared):
            self._shares.answered(message)
        elif isinstance(message, Delivered):
            self.gateway.deliveries.answered(message)
        elif isinstance(message, Refreshed):
            self.gateway.models_refreshed(message.id)
        elif isinstance(message, Reload):
            self._apply(message.snapshot)
        elif isinstance(message, PriceBook):
            self.gateway.prices.apply(message.book)
            self._link.send(Priced(message.number))
        elif isinstance(message, Welcome):
            self._welcome_again(message)

    def _changed(self, changes: Changes) -> None:
        for change in changes.changes:
            self._feed_seq = max(self._feed_seq, change.seq)
            if change.kind == "limit":
                self._book.limit_changed(change.subject)
            elif change.kind == "counter":
                self._book.counter_reset(change.subject, change.detail)
            else:
                self._keys.changed(change)

    def _welcome_again(self, welcome: Welcome) -> None:
        """Another clerk, or the same: it knows nothing of us, and we may have missed changes."""
        if welcome.feed_seq != self._feed_seq:
            self._keys.forget_all()
            self._feed_seq = welcome.feed_seq
        self.gateway.clock_offset_ms = welcome.clock_offset_ms
        self._apply(welcome.snapshot)
        self._book.reconnected()
        self._keys.reconnected()
        self._shares.reconnected()
        self.gateway.claims.reconnected()
        self.gateway.deliveries.reconnected()
        self.gateway.clerk_returned()

    def _apply(self, snapshot: Snapshot) -> None:
        self._upstreams.apply(snapshot)
        if self._backends.apply(snapshot.routes):
            self._shares.forget_all()
        self.gateway.providers_changed()
        self.gateway.renewals.applied(snapshot)

    # --- four times a second ---

    def sweep(self) -> None:
        gateway = self.gateway
        now_ms = gateway.now_ms()
        self._sweeps += 1
        silence_ms = now_ms - self._store_seen_ms
        is_strict = self._options.revocation == "strict"
        stale_ms = STRICT_SILENCE_MS if is_strict else self._options.key_stale_s * 1000
        gateway.closed = _STALE if silence_ms > stale_ms else None
        self.front.sweep(now_ms)
        gateway.sweep(now_ms)
        self._book.sweep(gateway.wall_ms())
        self._upstreams.sweep(now_ms)
        self._backends.sweep(now_ms)
        self._control.sweep(now_ms)
        self._recorder.sweep()
        if self._sweeps % GAUGES_EVERY_SWEEPS == 0:
            self._report()
        if self._sweeps % FORGET_EVERY_SWEEPS == 0:
            in_use = self._keys.limits_in_use() | self._shares.limits_in_use
            self._book.forget_unused(in_use | self._backends.limits_in_use)

    def _report(self) -> None:
        counters, upstreams = self.counters, self._upstreams.all()
        usage_log = self.gateway.usage_log
        counters.gauges.update(
            connections_open=len(self.front.connections),
            requests_running=len(self.gateway.running),
            upstream_connections_open=self._upstreams.open_count + self._backends.open_count,
            buffered_bytes=self.front.buffered_bytes,
            leases_held=len(self._book),
            keys_known=len(self._keys),
            journal_room_bytes=self._recorder.journal.room,
        )
        counters.sums.update(
            lease_refills=self._book.refills,
            journal_bytes=self._recorder.bytes_written,
            journal_failures=self._recorder.failures,
            connections_accepted=self.front.accepted,
            usage_reports=usage_log.reports,
            usage_events=usage_log.events,
            usage_reports_refused=usage_log.refused,
        )
        unhealthy = [one.provider.name for one in upstreams if not one.breaker.is_closed]
        counters.unhealthy = unhealthy + self._backends.unhealthy()
        self._link.send(Gauges(self._options.slot, self._options.boot, counters.encode()))
        self.gateway.credential_use.tell(self._link.send)


def _open_journal(options: Options, store_uuid: str) -> Journal:
    folder = Path(options.data) / "journal" / str(options.slot) / str(options.boot)
    return Journal(
        folder,
        Identity(store_uuid, options.node_uuid, options.slot, options.boot),
        segment_bytes=options.journal_segment_bytes,
        bytes_max=options.journal_bytes_max,
        durability=options.durability,
    )


def _pool_bounds(options: Options) -> PoolBounds:
    return PoolBounds(
        connections_max=options.upstream_connections_max,
        idle_ms=options.upstream_idle_s * 1000,
        dns_cache_ms=options.dns_cache_s * 1000,
        own_listeners=frozenset((host, options.port) for host in own_addresses()),
    )


def own_addresses() -> list[str]:
    """Where this gateway's own listener can be reached from itself."""
    return ["127.0.0.1", "::1"]


def _front(options: Options, gateway: Gateway) -> Front:
    front = Front(gateway)
    front.connections_max = options.connections_max
    front.head_bytes_max = options.head_bytes_max
    front.buffered_bytes_max = options.buffered_bytes_max
    front.head_timeout_ms = options.head_timeout_s * 1000
    front.body_timeout_ms = options.body_timeout_s * 1000
    front.idle_timeout_ms = options.idle_timeout_s * 1000
    front.half_closed_timeout_ms = options.client_gone_drain_s * 1000
    front.write_timeout_ms = options.write_timeout_s * 1000
    return front
