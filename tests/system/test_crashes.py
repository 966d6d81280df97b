"""Whatever is killed, and whenever the store goes away: nothing is lost, nothing counted twice."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.upstream import RunningUpstream
from tests.servers.postgresql import Server
from tests.system import books
from tests.system.conftest import MakeNode
from tests.system.harness import Node, until
from tests.system.load import Load

pytestmark = pytest.mark.slow

PATH = "/v1/chat/completions"
ROUNDS = 20
CLIENTS = 8
LIMIT = 20_000
STORE_GONE_S = 10.0


@contextlib.contextmanager
def under_load(load: Load, clients: int) -> Iterator[None]:
    """Clients that ask all the time, in a thread of their own."""
    thread = threading.Thread(target=lambda: asyncio.run(load.steady(clients)))
    thread.start()
    try:
        yield
    finally:
        load.stop()
        thread.join()


def kill_in_turns(node: Node, rounds: int) -> int:
    """Kill every role, one after the other, as soon as it serves again; how many gateways died."""
    for number in range(rounds):
        for post in (f"gateway-{number % 2}", "clerk", "control"):
            killed = node.kill(post)
            node.wait_refilled(post, killed)
            time.sleep(0.3)  # under load, so that it dies at work and not at its start
    return rounds


def check_the_books(
    node: Node, upstream: RunningUpstream, load: Load, gateways_killed: int
) -> None:
    url = node.store_url

    def is_settled() -> bool:
        recorded = asyncio.run(books.recorded(url))
        return asyncio.run(books.counted(url)) == sum(recorded.values()) + asyncio.run(
            books.lost(url)
        )

    until(is_settled, "every journal is settled, also those of the dead")
    recorded = asyncio.run(books.recorded(url))
    assert [one for one in load.outcomes.answered if recorded[one] != 1] == []
    assert [one for one, times in recorded.items() if times != 1] == []
    assert asyncio.run(books.counted(url)) <= LIMIT
    assert upstream.stats.count(PATH) <= LIMIT
    assert asyncio.run(books.lost(url)) <= gateways_killed * CLIENTS


def use_up(node: Node, key: str) -> None:
    """Spend what is left of the limit, so that an over-admission would show."""
    load = Load([node.url], key)
    with under_load(load, 32):
        until(lambda: load.outcomes.count(429) > 100, "the limit is used up")


def test_sqlite_books_are_exact_after_kills_and_a_locked_store(
    make_node: MakeNode, upstream: RunningUpstream
) -> None:
    """Every role dies twenty times under load; meanwhile the store is locked for ten seconds."""
    node = make_node(workers=2)
    key = node.make_key(LIMIT)
    load = Load([node.url], key, model="slow-first-byte-20")
    with under_load(load, CLIENTS):
        until(lambda: load.outcomes.answered, "the first answer")
        killed = kill_in_turns(node, ROUNDS // 2)
        with locked(node.data / "tallygate.db"):
            killed += kill_gateways_for(node, STORE_GONE_S)
        killed += kill_in_turns(node, ROUNDS // 2)
        until(lambda: node.chat(key)[0] in (200, 429), "it serves again")
    use_up(node, key)
    check_the_books(node, upstream, load, killed)


def test_postgresql_books_are_exact_after_kills_and_a_stopped_server(
    make_node: MakeNode, upstream: RunningUpstream
) -> None:
    """The same with a server that stops answering, as one on a hanging disk does."""
    server = Server(uuid.uuid4().hex)
    server.create_database("crashes")
    node = make_node(workers=2, database_url=server.url("crashes"))
    key = node.make_key(LIMIT)
    load = Load([node.url], key, model="slow-first-byte-20")
    with under_load(load, CLIENTS):
        until(lambda: load.outcomes.answered, "the first answer")
        killed = kill_in_turns(node, ROUNDS // 2)
        with frozen(server.folder):
            killed += kill_gateways_for(node, STORE_GONE_S)
        killed += kill_in_turns(node, ROUNDS // 2)
        until(lambda: node.chat(key)[0] in (200, 429), "it serves again")
    use_up(node, key)
    check_the_books(node, upstream, load, killed)


def kill_gateways_for(node: Node, seconds: float) -> int:
    """While the store is gone, only gateways die: a clerk needs the store to begin."""
    deadline = time.monotonic() + seconds
    killed = 0
    while time.monotonic() < deadline:
        node.kill(f"gateway-{killed % 2}")
        killed += 1
        time.sleep(min(2.5, max(0.0, deadline - time.monotonic())))
    return killed


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the file's write lock."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    with contextlib.closing(connection):
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """The server and all its processes stand still; connections open but nobody answers."""
    master = int((folder / "postmaster.pid").read_text().splitlines()[0])
    stopped = [master, *children_of(master)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_request_waits_for_a_role_that_is_restarting(make_node: MakeNode) -> None:
    """A killed role serves again within moments; its clients wait instead of failing."""
    node = make_node(workers=1)
    key = node.make_key(None)
    for post in ("gateway-0", "control", "clerk"):
        node.kill(post)
        assert node.chat(key)[0] == 200
        assert node.requests_of(key) > 0
