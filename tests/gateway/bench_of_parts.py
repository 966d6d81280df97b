"""A gateway worker's parts in this process, with a clerk that grants what a test says."""

import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tallygate.core.claims import Claim, Claimed, Fulfil, Fulfilled
from tallygate.core.keys import hash_key
from tallygate.core.leases import chunk
from tallygate.core.limits import Dimension, Limit
from tallygate.core.ports import (
    Answer,
    FetchModels,
    Found,
    FromWorker,
    Gauges,
    Hello,
    Key,
    LookUp,
    Refreshed,
    Sync,
    Synced,
    Welcome,
)
from tallygate.core.provider import Provider, Snapshot
from tallygate.core.windows import Span
from tallygate.gateway.clerk_link import ClerkLink
from tallygate.gateway.options import Options
from tallygate.gateway.parts import Parts
from tallygate.journal.frames import Identity
from tallygate.journal.reader import START, Tail
from tallygate.tasks import Tasks
from tallygate.wire.channel import Channel
from tallygate.wire.server import ClientConnection

STORE = "00000000-0000-0000-0000-00000000store"
_boots = itertools.count(1)


def daily(limit_id: int, amount: int | None, dimension: str = "requests") -> Limit:
    return Limit(limit_id, Dimension(dimension), Span.DAY, "UTC", amount)


def key_with(*limits: Limit, **changes: Any) -> Key:
    values: dict[str, Any] = {
        "id": 1,
        "tenant_id": 1,
        "kind": "roc",
        "is_active": True,
        "expires_ms": None,
        "user_id": "",
        "team_id": "",
        "models": None,
        "addresses": None,
        "scopes": (),
        "limits": tuple(limits),
    }
    return Key(**(values | changes))


@dataclass
class FakeClerk:
    """One worker's clerk: keys by secret, counters in memory, the store's arithmetic."""

    snapshot: Snapshot
    keys: dict[str, Key] = field(default_factory=dict)
    spent: dict[tuple[int, int], int] = field(default_factory=dict)
    granted: dict[tuple[int, int], int] = field(default_factory=dict)
    is_store_available: bool = True
    claims: dict[str, Claimed] = field(default_factory=dict)
    fulfilled: list[Fulfil] = field(default_factory=list)
    syncs: list[Sync] = field(default_factory=list)
    look_ups: int = 0
    channel: Channel | None = None
    _amounts: dict[int, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.amounts_changed()

    def amounts_changed(self) -> None:
        self._amounts = {one.id: one.amount for key in self.keys.values() for one in key.limits}

    def connection(self) -> Channel:
        self.channel = Channel(FromWorker, self._received)
        return self.channel

    def send(self, message: Any) -> None:
        assert self.channel is not None
        self.channel.send(message)

    def _received(self, message: Any) -> None:
        if isinstance(message, Hello):
            self.send(Welcome("node", STORE, 0, 1, self.is_store_available, self.snapshot))
        elif isinstance(message, LookUp):
            self.look_ups += 1
            found = None
            if self.is_store_available:
                hashes = {hash_key(secret.encode()): key for secret, key in self.keys.items()}
                found = hashes.get(message.key_hash)
            self.send(Found(message.id, found, self.is_store_available))
        elif isinstance(message, Sync):
            self.syncs.append(message)
            answers = [self._grant(ask) for ask in message.asks] if self.is_store_available else []
            self.send(Synced(message.id, self.is_store_available, answers))
        elif isinstance(message, FetchModels):
            self.send(Refreshed(message.id))
        elif isinstance(message, Claim):
            new = Claimed(message.id, "new", "", 0, "", None)
            old = self.claims.get(message.idempotency_key)
            if old is not None:
                old.id = message.id
            self.send(old or new)
        elif isinstance(message, Fulfil):
            self.fulfilled.append(message)
            self.send(Fulfilled([message.id]))
        else:
            assert isinstance(message, Gauges)

    def _grant(self, ask: Any) -> Answer:
        counter = (ask.limit_id, ask.window_s)
        granted = self.granted.get(counter, 0)
        amount = self._amounts[ask.limit_id]
        assert amount is not None, "unlimited limits are not leased"
        if ask.need and granted <= ask.granted:
            granted += chunk(ask.need, amount - granted + ask.returned, 1)
        self.granted[counter] = granted
        is_short = granted - ask.granted < ask.need
        return Answer(100 + ask.limit_id, 1, granted, is_short, is_short, granted - ask.returned)


@dataclass
class Bench:
    """What a test holds: where to call, and what came of it."""

    port: int
    clerk: FakeClerk
    parts: Parts
    folder: Path

    def entries(self) -> list[Any]:
        """Everything journaled so far."""
        boot = int(self.folder.name)
        identity = Identity(STORE, "node", 0, boot)
        tail = Tail(self.folder, identity, self.folder / "corrupt")
        return tail.read(START, 100_000, is_dead=False).entries


@contextlib.asynccontextmanager
async def bench_of_parts(
    provider_urls: list[str], keys: dict[str, Key], **options: Any
) -> AsyncIterator[Bench]:
    """A worker's parts on a free port, in front of these OpenAI-compatible upstreams."""
    loop = asyncio.get_running_loop()
    tasks = Tasks(
        lambda name, error: loop.call_exception_handler({"message": name, "exception": error})
    )
    providers = tuple(
        options.pop("providers", None)
        or [
            Provider(f"p{number}", "openai", url, "sk-operator", models=None)
            for number, url in enumerate(provider_urls)
        ]
    )
    apps = tuple(options.pop("apps", ()))
    with tempfile.TemporaryDirectory() as data:
        clerk = FakeClerk(Snapshot(1, providers, apps), keys)
        path = f"{data}/clerk.sock"
        server = await loop.create_unix_server(clerk.connection, path)
        boot = next(_boots)
        values = {"data": data, "node_uuid": "node", "slot": 0, "boot": boot, "port": 0}
        values |= {"clerk_socket": path, "control_socket": f"{data}/control.sock"}
        values |= {"journal_segment_bytes": 1 << 20} | options
        parts: list[Parts] = []
        welcomed = asyncio.Event()

        def from_clerk(message: Any) -> None:
            if parts:
                parts[0].from_clerk(message)
            else:
                parts.append(Parts(Options(**values), loop, tasks, link, message))
                welcomed.set()

        link = ClerkLink(loop, tasks, path, Hello(0, boot, 1), from_clerk)
        link.open()
        await welcomed.wait()
        front = await loop.create_server(lambda: ClientConnection(parts[0].front), "127.0.0.1", 0)
        port = front.sockets[0].getsockname()[1]
        folder = Path(data) / "journal" / "0" / str(boot)
        yield Bench(port, clerk, parts[0], folder)
        front.close()
        parts[0].front.drain()
        parts[0].close()
        link.close()
        await tasks.close()
        server.close()
