"""The clerk as a process of the node: its socket, its connections, its end."""

import asyncio
import gc
import os
import signal
import socket
from typing import Any, Protocol

import structlog

from tallygate.clerk.clerk import Clerk
from tallygate.clerk.options import Options
from tallygate.clerk.peers import Peer
from tallygate.core.claims import Claim, Fulfil
from tallygate.core.deliveries import Deliver
from tallygate.core.errors import Code, Refusal, StoreUnavailable
from tallygate.core.ports import (
    Command,
    CredentialUse,
    FetchModels,
    FromWorker,
    Gauges,
    Hello,
    LookUp,
    Priced,
    Refreshed,
    Result,
    Sync,
    Welcome,
)
from tallygate.core.shares import Share, Shared
from tallygate.store import leases, routes
from tallygate.wire.channel import Channel

LAST_SETTLING_S = 3.0
LAST_TRACES_S = 1.0

log = structlog.get_logger("tallygate.clerk")


class Handshake(Protocol):
    """What the supervisor and this process say to each other."""

    go_fd: int

    def ready(self) -> None: ...


def run(options: Options, listener: socket.socket, handshake: Handshake) -> None:
    """Serve until told to end. Raises StoreUnavailable or StoreRefused if it can not begin."""
    try:
        import uvloop
    except ImportError:  # Windows has none
        asyncio.run(serve(options, listener, handshake))
    else:
        uvloop.run(serve(options, listener, handshake))


async def serve(options: Options, listener: socket.socket, handshake: Handshake) -> None:
    loop = asyncio.get_running_loop()
    ending: asyncio.Future[str] = loop.create_future()

    def end(why: str) -> None:
        if not ending.done():
            ending.set_result(why)

    def failed(name: str, error: BaseException) -> None:
        log.error("a part of the clerk died", part=name, exc_info=error)
        end("failed")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, "told")
    os.set_blocking(handshake.go_fd, False)
    loop.add_reader(handshake.go_fd, _watch_supervisor, loop, handshake.go_fd, end)
    clerk = Clerk(options, on_failure=failed)
    try:
        await clerk.start()
        desk = Desk(clerk)
        server = await loop.create_unix_server(desk.connection, sock=listener)
        gc.collect()
        gc.freeze()  # what is there now stays: to look through it would hold up everybody's leases
        handshake.ready()
        why = await ending
        if why != "failed":
            await _drain(clerk, why, options.drain_timeout_s)
        server.close()
    finally:
        loop.remove_reader(handshake.go_fd)
        await clerk.close()
    if why == "failed":
        raise RuntimeError("a part of the clerk died")


def _watch_supervisor(loop: asyncio.AbstractEventLoop, go_fd: int, end: Any) -> None:
    try:
        if not os.read(go_fd, 64):
            loop.remove_reader(go_fd)
            end("orphaned")
    except BlockingIOError:
        return


async def _drain(clerk: Clerk, why: str, timeout_s: float) -> None:
    """Settle what is written; of an orphaned node, also what its workers still write."""
    if why == "orphaned":
        try:
            async with asyncio.timeout(timeout_s):
                await clerk.peers.no_workers()
        except TimeoutError:
            log.warning("workers are still there")
    try:
        async with asyncio.timeout(LAST_SETTLING_S):
            await clerk.recovery.scan()
            await clerk.settler.barrier()
    except (TimeoutError, StoreUnavailable):
        log.warning("not all is settled; the next start goes on with it")
    await clerk.traces.flush(LAST_TRACES_S)


class Desk:
    """Takes in connections and hands every message to the part it is for."""

    def __init__(self, clerk: Clerk) -> None:
        self._clerk = clerk

    def connection(self) -> Channel:
        peer = Peer()

        def closed(error: Exception | None) -> None:
            if error is not None:
                log.warning("a connection broke", peer=repr(peer), reason=str(error))
            self._closed(peer)

        peer.channel = Channel(
            FromWorker,
            lambda message: self._message(peer, message),
            lambda: self._clerk.peers.add(peer),
            closed,
        )
        return peer.channel

    def _closed(self, peer: Peer) -> None:
        clerk = self._clerk
        clerk.peers.discard(peer)
        if peer.is_worker:
            clerk.leases.forget(peer)
            clerk.recovery.look_soon()

    def _message(self, peer: Peer, message: Any) -> None:
        clerk = self._clerk
        match message:
            case Sync() if peer.is_worker:
                clerk.leases.sync(peer, message)
            case Deliver() if peer.is_worker:
                clerk.billing.deliver(peer, message)
            case LookUp():
                clerk.lookups.look_up(peer, message)
            case Priced() if peer.is_worker:
                clerk.book.heard(peer, message.number)
            case Gauges():
                peer.gauges = message
            case CredentialUse():
                clerk.tasks.start(clerk.keepers.heard(message), "credentials")
            case Fulfil():
                clerk.claims.fulfil(peer, message)
            case Claim() if peer.is_worker:
                clerk.tasks.start(clerk.claims.claim(peer, message), "claim")
            case Share():
                clerk.tasks.start(self._share(peer, message), "share")
            case FetchModels():
                clerk.tasks.start(self._fetch_models(peer, message), "models")
            case Hello():
                self._hello(peer, message)
            case Command():
                clerk.tasks.start(self._command(peer, message), "command")
            case _:
                log.error("a message out of place", peer=repr(peer), kind=type(message).__name__)
                if peer.channel is not None:
                    peer.channel.close()

    def _hello(self, peer: Peer, hello: Hello) -> None:
        clerk = self._clerk
        peer.slot, peer.boot, peer.pid = hello.slot, hello.boot, hello.pid
        peer.send(
            Welcome(
                clerk.options.node_uuid,
                clerk.store_uuid,
                clerk.clock.offset_ms,
                clerk.feed.cursor,
                clerk.is_store_available,
                clerk.providers.snapshot,
            )
        )
        clerk.book.tell(peer)
        # Its journal is made after its first Welcome: who has one has been here before.
        if (clerk.options.journals / str(hello.slot) / str(hello.boot)).exists():
            clerk.feed.catch_up(peer)
        clerk.tasks.start(self._learn_held(peer), "introduction")
        clerk.recovery.look_soon()  # its journal will appear

    async def _learn_held(self, peer: Peer) -> None:
        """Enter its life, and learn from the store what it holds; a Sync does so too, later."""
        clerk = self._clerk
        try:
            life = await clerk.writer.do(
                "introduction",
                lambda tx, now_ms: clerk.enter(tx, now_ms, peer),
                is_repeatable=True,
            )
            async with clerk.db.reading() as tx:
                held = await leases.held(tx, life.id)
        except StoreUnavailable:
            return
        peer.boot_id = life.id
        if life.ended_ms is not None:
            peer.dismiss()
        if peer.is_open:
            clerk.leases.learn_held(peer, [(row.limit_id, row.window_s) for row in held])

    async def _share(self, peer: Peer, wanted: Share) -> None:
        try:
            limit = await self._clerk.writer.do(
                "share",
                lambda tx, now_ms: routes.share_of(tx, wanted.limit_id, wanted.key_id, now_ms),
                is_repeatable=True,
            )
        except StoreUnavailable:
            limit = None
        peer.send(Shared(wanted.id, limit))

    async def _fetch_models(self, peer: Peer, message: FetchModels) -> None:
        await self._clerk.providers.refresh_lists()
        peer.send(Refreshed(message.id))

    async def _command(self, peer: Peer, command: Command) -> None:
        try:
            value = await self._clerk.command(
                command.name, command.arguments, command.actor, command.idempotency_key
            )
            result = Result(command.id, "", "", value)
        except Refusal as refusal:
            result = Result(command.id, refusal.code.value, refusal.message, b"", refusal.param)
        except StoreUnavailable as error:
            result = Result(command.id, Code.STORE_UNAVAILABLE.value, str(error), b"")
        except Exception as error:
            log.error("a command failed", command=command.name, exc_info=error)
            result = Result(command.id, Code.INTERNAL.value, "something went wrong here", b"")
        peer.send(result)
