"""A clerk in the test's own loop, a store that can be taken away, and workers that play gateway."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tallygate.clerk.clerk import Clerk
from tallygate.clerk.options import Options
from tallygate.clerk.service import Desk
from tallygate.core.commands import Arguments, CreateKey, LimitSpec
from tallygate.core.entry import Use
from tallygate.core.errors import StoreUnavailable
from tallygate.core.leases import Holding
from tallygate.core.limits import Limit
from tallygate.core.ports import (
    Actor,
    Answer,
    Ask,
    Change,
    Changes,
    FromClerk,
    Hello,
    PriceBook,
    Priced,
    Recall,
    Sync,
    Synced,
    Tick,
    Welcome,
)
from tallygate.journal.frames import Identity
from tallygate.journal.slab import Slab, machine_boot
from tallygate.journal.writer import Journal
from tallygate.store.database import Database, Tx
from tallygate.wire.caller import Caller
from tallygate.wire.channel import Channel
from tests.journal.samples import entry

ACTOR = Actor("test", "127.0.0.1", "req-1")
MASTER_KEY = bytes(range(32))
WAIT_S = 120.0  # nothing waits that long unless something is broken


class FlakyDatabase(Database):
    """A store that the test can take away; `fail_commits` makes the end of writes unknown.

    Never of two in a row: to the clerk, which looks whether the first was chance, it would be away.
    """

    is_away = False
    fail_commits = 0
    _has_just_failed = False

    @asynccontextmanager
    async def writing(self, *, deadline_s: float | None = None) -> AsyncIterator[Tx]:
        if self.is_away:
            raise StoreUnavailable("the store was taken away")
        async with super().writing(deadline_s=deadline_s) as tx:
            yield tx
        if self.fail_commits and not self._has_just_failed:
            self.fail_commits -= 1
            self._has_just_failed = True
            raise StoreUnavailable("the connection was lost after the commit")
        self._has_just_failed = False

    @asynccontextmanager
    async def reading(self, *, deadline_s: float | None = None) -> AsyncIterator[Tx]:
        if self.is_away:
            raise StoreUnavailable("the store was taken away")
        async with super().reading(deadline_s=deadline_s) as tx:
            yield tx


def make_options(data: Path, url: str, **changes: Any) -> Options:
    options = Options(
        data=str(data),
        database_url=url,
        node_uuid="node-1",
        node_name="one",
        master_key=MASTER_KEY,
        control_socket="/run/control.sock",
        usage_keep_days=0,  # the entries of samples are of 1970, and would go
    )
    return msgspec.structs.replace(options, **changes)


async def until(condition: Callable[[], object]) -> None:
    """The clerk does this by itself, after something that no message tells of."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


class Node:
    """A clerk and its socket; it can be stopped and started again over the same data."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.data = Path(options.data)
        self.socket = self.data / "c.sock"
        self.failures: list[tuple[str, BaseException]] = []
        self.workers: list[Worker] = []

    async def start(self) -> "Node":
        self.data.mkdir(parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        self.db = FlakyDatabase(self.options.database_url)
        self.clerk = Clerk(
            self.options,
            on_failure=lambda name, error: self.failures.append((name, error)),
            db=self.db,
        )
        await self.clerk.start()
        loop = asyncio.get_running_loop()
        desk = Desk(self.clerk)
        self.server = await loop.create_unix_server(desk.connection, str(self.socket))
        self.caller = Caller(self.socket)
        return self

    async def stop(self) -> None:
        self.caller.close()
        self.server.close()
        await self.clerk.close()
        assert self.failures == []

    async def command(self, arguments: Arguments, key: str | None = None, **options: Any) -> Any:
        return await self.caller.command(arguments, ACTOR, key, **options)

    async def make_limit(self, amount: int) -> tuple[int, Limit]:
        """A key with one limit; its id and the limit."""
        spec = LimitSpec(span="total", amount=amount)
        view = await self.command(CreateKey(daily_limit=None, limits=[spec]))
        limit = msgspec.convert(view["limits"][0], Limit)
        return view["id"], limit

    async def worker(self, slot: int, boot: int = 1) -> "Worker":
        worker = Worker(self, slot, boot)
        self.workers.append(worker)
        await worker.connect()
        return worker

    async def until_closed(self) -> None:
        """Wait until the life of every worker that died has been closed."""
        dead = [(worker.slot, worker.boot) for worker in self.workers if worker.is_dead]
        settler = self.clerk.settler
        await until(
            lambda: all(
                key in settler.ended or (key in settler.lives and settler.lives[key].is_closed)
                for key in dead
            )
        )


class Worker:
    """As much of a gateway's worker as the clerk can see: leases, journal, slab."""

    def __init__(self, node: Node, slot: int, boot: int) -> None:
        self.node = node
        self.slot = slot
        self.boot = boot
        self.holdings: dict[tuple[int, int], Holding] = {}
        self.records: dict[int, int] = {}
        self.changes: list[Change] = []
        self.ticks: list[Tick] = []
        self.messages: list[Any] = []
        self.recalls = 0
        self.admitted = 0
        self.is_dead = False
        self.is_slow = False  # it takes in no prices
        self.last_book = 0
        self.key_id = 1
        self._welcomed = asyncio.Event()
        self._heard = asyncio.Event()
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Synced]] = {}
        self._refill = asyncio.Lock()
        self.journal: Journal | None = None

    async def connect(self) -> None:
        self._welcomed.clear()
        loop = asyncio.get_running_loop()
        _, self.channel = await loop.create_unix_connection(
            lambda: Channel(FromClerk, self._message, on_closed=self._closed),
            str(self.node.socket),
        )
        self.channel.send(Hello(self.slot, self.boot, 1))
        async with asyncio.timeout(WAIT_S):
            await self._welcomed.wait()
        if self.journal is None:
            self._open_journal()

    def _open_journal(self) -> None:
        folder = self.node.options.journals / str(self.slot) / str(self.boot)
        identity = Identity(self.welcome.store, self.welcome.node, self.slot, self.boot)
        self.journal = Journal(folder, identity, segment_bytes=1 << 17)
        self.slab = Slab(folder / "slab", machine_boot())

    def _message(self, message: Any) -> None:
        self.messages.append(message)
        match message:
            case Welcome():
                self.welcome = message
                self._welcomed.set()
            case Synced():
                waiter = self._answers.get(message.id)
                if waiter is not None and not waiter.done():
                    waiter.set_result(message)
            case Recall():
                self.recalls += 1
                self._give_back(message.counters)
            case Changes():
                self.changes += message.changes
            case PriceBook():
                self.last_book = message.number
                if not self.is_slow:
                    self.catch_up()
            case Tick():
                self.ticks.append(message)
        self._heard.set()

    def catch_up(self) -> None:
        """Charge by the last book that came."""
        self.channel.send(Priced(self.last_book))

    def _closed(self, _: Exception | None) -> None:
        for waiter in self._answers.values():
            waiter.cancel()

    async def hear(self, kind: type, count: int = 1) -> Any:
        """Wait for the clerk's messages of a kind; the last one of them."""
        async with asyncio.timeout(WAIT_S):
            while len(found := [one for one in self.messages if isinstance(one, kind)]) < count:
                self._heard.clear()
                await self._heard.wait()
        return found[-1]

    async def hear_change(self, kind: str, subject: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while not any((one.kind, one.subject) == (kind, subject) for one in self.changes):
                self._heard.clear()
                await self._heard.wait()

    def _ask(
        self, counter: tuple[int, int], need: int, is_closing: bool = False, least: int = 0
    ) -> Ask:
        held = self.holdings.get(counter)
        if held is None:
            return Ask(*counter, 0, need, 0, 0, least=least)
        return Ask(*counter, held.lease_id, need, held.granted, held.returned, is_closing, least)

    def _give_back(self, counters: list[tuple[int, int]]) -> None:
        asks = []
        for counter in counters:
            if counter in self.holdings:
                self.holdings[counter].give_back()
            asks.append(self._ask(counter, 0))
        self.channel.send(Sync(next(self._ids), asks))

    async def sync(
        self, counter: tuple[int, int], need: int, is_closing: bool = False, least: int = 0
    ) -> Synced:
        number = next(self._ids)
        waiter = asyncio.get_running_loop().create_future()
        self._answers[number] = waiter
        self.channel.send(Sync(number, [self._ask(counter, need, is_closing, least)]))
        async with asyncio.timeout(WAIT_S):
            synced = await waiter
        for answer in synced.answers:
            self._learn(counter, answer)
        return synced

    def _learn(self, counter: tuple[int, int], answer: Answer) -> None:
        held = self.holdings.get(counter)
        if not answer.lease_id:
            return
        if held is None or held.lease_id != answer.lease_id:
            held = self.holdings[counter] = Holding(answer.lease_id, answer.generation)
            self.records[answer.lease_id] = self.slab.open(answer.lease_id)
        if answer.granted >= held.granted:  # answers may overtake each other: totals only grow
            held.learn_granted(answer.granted)

    async def admit(self, limit: Limit, window_s: int = 0) -> bool:
        """One request against one limit of requests; False is a 429."""
        counter = (limit.id, window_s)
        while not self._take(counter):
            async with self._refill:
                if self._take(counter):
                    return True
                synced = await self.sync(counter, 1)
                if not synced.is_store_available:
                    raise StoreUnavailable("503")
                if synced.answers[0].is_short:
                    return self._take(counter)
        return True

    def _take(self, counter: tuple[int, int]) -> bool:
        held = self.holdings.get(counter)
        if held is None or held.available < 1:
            return False
        held.reserve(1)
        self.slab.counts[self.records[held.lease_id]] += 1
        self.admitted += 1
        return True

    def finish(self, limit: Limit, request_id: str, spent: int = 1, window_s: int = 0) -> None:
        """The request ended: settle the lease, and on the books with it."""
        held = self.holdings[limit.id, window_s]
        held.settle(1, spent)
        use = Use(held.lease_id, limit.id, window_s, held.generation, 1, spent)
        ended = msgspec.structs.replace(entry(request_id, [use]), key_id=self.key_id)
        assert self.journal is not None
        self.journal.append(msgspec.msgpack.encode(ended))
        self.journal.write()
        self.journal.prepare()

    async def close_leases(self) -> None:
        for counter in list(self.holdings):
            self.holdings[counter].give_back()
            await self.sync(counter, 0, is_closing=True)

    def die(self) -> None:
        """As kill -9 leaves it: connection and lock gone, journal and slab as they are."""
        self.is_dead = True
        self.channel.close()
        assert self.journal is not None
        self.journal._lock.release()
