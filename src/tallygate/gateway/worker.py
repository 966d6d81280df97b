"""A gateway worker's process: builds its parts, serves its listener, drains, ends.

Ready means: the clerk has answered, so keys can be looked up and units leased. Only then may the
supervisor let clients in.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import Protocol

import structlog
import uvloop

from tallygate.core.ports import FromClerk, Hello, Leave, Welcome
from tallygate.gateway.clerk_link import ClerkLink
from tallygate.gateway.listener import Listener
from tallygate.gateway.options import Options
from tallygate.gateway.parts import Parts
from tallygate.journal.writer import JournalFailed
from tallygate.tasks import Tasks

SWEEP_S = 0.25
GARBAGE_THRESHOLD = 20_000

log = structlog.get_logger()


class Handshake(Protocol):
    """The supervisor's side of a role's start and end."""

    @property
    def go_fd(self) -> int: ...

    def ready(self) -> None: ...


def run(options: Options, listener: socket.socket, handshake: Handshake) -> None:
    """Serve until told to stop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options, listener, handshake))


async def _serve(options: Options, listening: socket.socket, handshake: Handshake) -> None:
    loop = asyncio.get_running_loop()
    tasks = Tasks(_task_failed)
    stop = asyncio.Event()
    worker = Worker(options, loop, tasks, stop.set)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the supervisor says when to stop
    go = asyncio.Event()
    loop.add_reader(handshake.go_fd, _go_readable, loop, handshake.go_fd, go, stop)
    tasks.start(_open(worker, listening, handshake, go), "open the worker")
    await stop.wait()
    await worker.drain()
    await tasks.close()
    if worker.failure is not None:
        raise worker.failure


async def _open(
    worker: "Worker", listening: socket.socket, handshake: Handshake, go: asyncio.Event
) -> None:
    worker.link.open()
    await worker.is_welcome.wait()
    handshake.ready()
    await go.wait()
    await worker.open(listening)


def _go_readable(
    loop: asyncio.AbstractEventLoop, fd: int, go: asyncio.Event, stop: asyncio.Event
) -> None:
    """A byte: begin to accept. The end: the supervisor is gone, so go as well."""
    if os.read(fd, 1):
        go.set()
    else:
        loop.remove_reader(fd)
        stop.set()


def _task_failed(name: str, error: BaseException) -> None:
    log.error("task failed", task=name, error=repr(error))


class Worker:
    """One life of one gateway worker."""

    def __init__(
        self,
        options: Options,
        loop: asyncio.AbstractEventLoop,
        tasks: Tasks,
        leave: Callable[[], None],
    ) -> None:
        self._options = options
        self._leave = leave
        self._loop = loop
        self._tasks = tasks
        self.is_welcome = asyncio.Event()
        self.failure: OSError | None = None  # what kept it from beginning
        hello = Hello(options.slot, options.boot, os.getpid())
        self.link = ClerkLink(loop, tasks, options.clerk_socket, hello, self._from_clerk)
        self._parts: Parts | None = None  # once the clerk has said which store this is
        self._listener: Listener | None = None

    def _from_clerk(self, message: FromClerk) -> None:
        if isinstance(message, Leave):
            log.warning("the clerk says that this life is over: draining", boot=self._options.boot)
            self._leave()
        elif self._parts is not None:
            self._parts.from_clerk(message)
        elif self.failure is None:
            assert isinstance(message, Welcome), "a clerk's first word is Welcome"
            self._begin(message)

    def _begin(self, welcome: Welcome) -> None:
        """A worker that cannot have a journal ends, and says why."""
        try:
            self._parts = Parts(self._options, self._loop, self._tasks, self.link, welcome)
        except (JournalFailed, OSError) as error:
            folder = f"{self._options.data}/journal"
            self.failure = OSError(f"{folder} cannot be written: {error.__cause__ or error}")
            self._leave()
            return
        self._sweep()
        self.is_welcome.set()

    def _sweep(self) -> None:
        if self._parts is not None:
            self._loop.call_later(SWEEP_S, self._sweep)
            self._parts.sweep()

    async def open(self, listening: socket.socket) -> None:
        assert self._parts is not None
        # What is there now stays for life, and requests leave no cycles behind: look for them less.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD)
        self._listener = Listener(self._loop, listening, self._parts.front)
        await self._listener.open()

    async def drain(self) -> None:
        """Accept what is queued, answer what runs, give units back, close the journal."""
        parts = self._parts
        if parts is None:
            return
        if self._listener is not None:
            await self._listener.close()
        parts.front.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.drain_timeout_s):
                await parts.is_idle()
        parts.close()
        await asyncio.sleep(0)  # lets the last Sync leave
        self.link.close()
        self._parts = None
