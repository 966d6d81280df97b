"""The clerk, put together: one writer and everything that works through it.

`start` brings up what a node needs to settle and to run commands; `welcome` takes in connections.
Without connections it is all that the CLI needs when no server runs (local.py).
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from tallygate.clerk import figures
from tallygate.clerk.anomalies import Anomalies
from tallygate.clerk.barrier import Barrier
from tallygate.clerk.billing import Billing
from tallygate.clerk.book import BookKeeper
from tallygate.clerk.claims import Claims
from tallygate.clerk.cleaning import clean_usage
from tallygate.clerk.clock import NodeClock
from tallygate.clerk.commands.dispatch import Dispatch, Standing
from tallygate.clerk.dify_billing import DifyBilling
from tallygate.clerk.edge_publish import EdgePublisher
from tallygate.clerk.expiries import Expiries
from tallygate.clerk.feed import Feed
from tallygate.clerk.keeper_starts import KeeperStarts
from tallygate.clerk.leases import Leases
from tallygate.clerk.lives import Life
from tallygate.clerk.lookups import LookUps
from tallygate.clerk.notice_mail import all_channels
from tallygate.clerk.notices import Notifier
from tallygate.clerk.options import Options
from tallygate.clerk.peers import Peer, Peers
from tallygate.clerk.providers import Providers
from tallygate.clerk.recover import Recovery
from tallygate.clerk.rollup import Roller
from tallygate.clerk.settle import Settler
from tallygate.clerk.shelf import Shelf
from tallygate.clerk.traces import Traces
from tallygate.clerk.upkeep import Upkeep
from tallygate.clerk.waiting_syncs import Counter
from tallygate.clerk.writer import Writer
from tallygate.core.commands import Arguments, CleanUsage, Inspect, Settle
from tallygate.core.credential_commands import RunKeeper
from tallygate.core.dify_commands import TakeBrowserEvents
from tallygate.core.edge_commands import PublishEdge
from tallygate.core.errors import StoreUnavailable
from tallygate.core.ports import Actor, Reload, Tick
from tallygate.core.provider import Snapshot
from tallygate.store import feed, migrations, nodes, providers, rollups
from tallygate.store.database import Database, Tx
from tallygate.store.feed import Event
from tallygate.tasks import Tasks

STORE_DEADLINE_S = 5.0
TICK_S = 0.25
BEAT_S = 1.0
PRICES_TIMEOUT_MS = 3_000
PARTS = (
    *("recovery", "feed", "leases", "lookups", "providers", "book", "claims"),
    *("upkeep", "expiries", "notices", "billing", "dify", "keepers", "edge", "roller"),
    "anomalies",
    "traces",
)

log = structlog.get_logger("tallygate.clerk")


class Clerk:
    """`on_failure` hears of a part that died of a bug: then the whole process should end."""

    def __init__(
        self,
        options: Options,
        *,
        on_failure: Callable[[str, BaseException], None],
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        db: Database | None = None,
    ) -> None:
        self.options = options
        self.db = db or Database(options.database_url, deadline_s=STORE_DEADLINE_S)
        self.clock = NodeClock(self.db)
        self.tasks = Tasks(on_failure)
        self.peers = Peers()
        self.writer = Writer(self.db, self.clock)
        self.settler = Settler(self.db, self.clock, self.writer.poke, self._life_closed)
        self.providers = Providers(self.db, options, self._providers_changed)
        self.traces = Traces(self.db, options, lambda: self.providers.snapshot)
        self.book = BookKeeper(self.db, self.clock.now_ms, self.peers)
        self.claims = Claims(self.writer, options)
        self.barrier = Barrier(
            self.db, self.clock, options, self.writer, self.settler, self._prepare_barrier
        )
        self.expiries = Expiries(self.db, self.clock, self.writer, options)
        self.notices = Notifier(self.db, self.clock, self.writer, all_channels(options, self.db))
        self.roller = Roller(self.db, self.clock, self.writer, options)
        self.anomalies = Anomalies(self.db, self.clock, self.writer, options)
        self.keepers = KeeperStarts(self.db, self.clock, options, self.writer)
        self.edge = EdgePublisher(self.db, self.clock, self.writer, options)
        self.upkeep = Upkeep(options, self.writer, self.settler, self.db.system_clock_ms)
        self.leases = Leases(
            self.writer,
            self.register,
            lambda: self.barrier.has_other_nodes,
            self._publish_recall,
        )
        shelf = Shelf(self.book, options)
        self.billing = Billing(self.writer, self.clock, options, shelf, self._recall_money)
        self.dify = DifyBilling(
            self.db, self.writer, self.clock, options, shelf, self._recall_money
        )
        self.settler.charge = self.dify.settle
        told = (self._commanded, self.spread_prices, self._recall_money)
        self.dispatch = Dispatch(self.writer, options, entropy, self._standing(), *told)
        self.store_uuid = ""
        self.lookups = LookUps(self.db, self.clock, lambda: self.feed.cursor)

    def _standing(self) -> dict[type[Arguments], Standing]:
        return {
            Settle: self._settle,
            CleanUsage: self._clean_usage,
            Inspect: self._inspect,
            TakeBrowserEvents: self.dify.take_browser_events,
            PublishEdge: self.edge.publish_now,
            RunKeeper: self.keepers.run_now,
        }

    async def start(self) -> None:
        """Open the store and begin to work; StoreUnavailable and StoreRefused mean it can not."""
        options = self.options
        await self.db.open(may_create=False)
        await migrations.check_schema(self.db)
        async with self.db.reading() as tx:
            self.store_uuid = await migrations.store_uuid(tx)
        await self.clock.adjust()
        async with self.db.writing() as tx:
            now_ms = self.clock.now_ms()
            await nodes.register_node(tx, options.node_uuid, options.node_name, now_ms)
            await rollups.mend(tx)
            if options.settings_provider is not None:
                await providers.remember_configured(tx, now_ms)
        self.feed = Feed(
            self.db,
            self.store_uuid,
            options.node_uuid,
            self.peers,
            self._event,
            Path(options.data) / "run" / "feed-cursor",
        )
        self.recovery = Recovery(
            options, self.store_uuid, self.writer, self.settler, self.peers.is_connected
        )
        self.writer.settle = self.settler.step
        self.settler.settled = self.traces.settled if self.traces.is_on else None
        await self.providers.load()
        await self.book.load()
        await self.feed.start()
        self.tasks.start(self.writer.run(), "writer")
        await self.barrier.beat()
        await self.recovery.scan()
        for name in PARTS:
            self.tasks.start(getattr(self, name).run(), name)
        self.tasks.start(self.settler.watch(), "journals")
        self.tasks.start(self._beat(), "heartbeat")
        self.tasks.start(self._tick(), "tick")

    async def close(self) -> None:
        self.peers.close_all()
        await self.tasks.close()
        self.settler.close()
        await self.db.close()

    @property
    def is_store_available(self) -> bool:
        return self.writer.is_available and self.feed.is_readable

    async def command(
        self, name: str, arguments: bytes, actor: Actor, idempotency_key: str | None
    ) -> bytes:
        return await self.dispatch.run(name, arguments, actor, idempotency_key)

    async def enter(self, tx: Tx, now_ms: int, peer: Peer) -> nodes.Boot:
        node_uuid = self.options.node_uuid
        return await nodes.register_boot(tx, node_uuid, peer.slot, peer.boot, now_ms)

    async def register(self, tx: Tx, now_ms: int, peer: Peer) -> int:
        return (await self.enter(tx, now_ms, peer)).id

    async def _tick(self) -> None:
        while True:
            self.peers.tell_workers(
                Tick(self.clock.offset_ms, self.feed.cursor, self.is_store_available)
            )
            await asyncio.sleep(TICK_S)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self.clock.adjust()
                await self.barrier.beat()
                if self.barrier.is_retired:
                    await self._begin_anew()
            except StoreUnavailable:
                continue

    async def _begin_anew(self) -> None:
        """This node was given up while it lives: its workers leave, and it is in use again."""
        for peer in self.peers.workers:
            peer.dismiss()
        options = self.options
        await self.writer.do(
            "in use again",
            lambda tx, now_ms: nodes.register_node(
                tx, options.node_uuid, options.node_name, now_ms
            ),
            is_repeatable=True,
        )

    async def spread_prices(self) -> None:
        """After a change of prices: return when every node that is alive charges by them."""
        await self.book.renew()
        await self.barrier.beat()  # a node may have begun since the last one
        if not self.barrier.has_other_nodes:
            return
        if stale := await self.barrier.settle(PRICES_TIMEOUT_MS):
            log.warning("prices were changed, and nodes do not say that they know", nodes=stale)

    async def _prepare_barrier(self) -> None:
        """A journal that appeared a moment ago counts, and a book that was changed is in force."""
        await self.recovery.scan()
        await self.book.catch_up()

    def _commanded(self) -> None:
        self.billing.shelf.forget()
        self.feed.poke()

    def _event(self, event: Event) -> None:
        """What an event of the feed means to a clerk; workers have been told already."""
        is_own = event.node == self.options.node_uuid
        if event.kind == "config":
            self.providers.reload_soon()
        elif event.kind == "prices":
            self.book.reload_soon()
        elif event.kind == "recall" and not is_own:
            self.leases.recall((event.subject, event.detail))
        elif event.kind == "settle" and not is_own:
            self.tasks.start(self._answer_barrier(event.seq), "answer a barrier")
        elif event.kind == "limit":
            self.leases.recall_limit(event.subject)
        elif event.kind == "counter":
            self.leases.retry_all()

    async def _answer_barrier(self, seq: int) -> None:
        with contextlib.suppress(StoreUnavailable):  # whoever asked names us as stale
            await self.barrier.answer(seq)

    def _recall_money(self, wallet_id: int) -> None:
        """Ask for what gateways have leased of a wallet, here and elsewhere."""
        counter = (-wallet_id, 0)  # its window is the one that never ends
        self.leases.recall(counter)
        if self.barrier.has_other_nodes:
            self._publish_recall(counter)

    def _publish_recall(self, counter: Counter) -> None:
        self.tasks.start(self._recall_elsewhere(counter), "recall")

    async def _recall_elsewhere(self, counter: Counter) -> None:
        async def publish(tx: Tx, now_ms: int) -> int:
            return await feed.append(tx, "recall", *counter, self.options.node_uuid, now_ms)

        with contextlib.suppress(StoreUnavailable):  # whoever is short will be told so
            await self.writer.do("recall", publish)

    def _life_closed(self, life: Life) -> None:
        self.leases.retry_all()

    def _providers_changed(self, snapshot: Snapshot) -> None:
        self.peers.tell_workers(Reload(snapshot))

    async def _settle(self, wanted: Settle, _: Actor) -> dict[str, list[str]]:
        return {"stale": await self.barrier.settle(wanted.timeout_ms)}

    async def _clean_usage(self, wanted: CleanUsage, actor: Actor) -> dict[str, int]:
        await self.roller.catch_up()  # what is not summed up yet may not go
        return await clean_usage(self.db, self.writer, self.clock.now_ms(), wanted, actor)

    async def _inspect(self, wanted: Inspect, _: Actor) -> dict[str, Any]:
        own = figures.of(self)
        return {**own, "keeper": await figures.of_keeper(self)} if wanted.keeper else own
