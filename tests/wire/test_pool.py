"""Connections to one origin: used again while they last, never more than a bound, nobody forgotten.

Names and connections are the test's own; only the tasks that make connections are asyncio's.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

import pytest

from tallygate.tasks import Tasks
from tallygate.wire import pool as pools
from tallygate.wire.pool import Origin, Pool, PoolBounds, Waiting
from tallygate.wire.upstream import Loss, UpstreamConnection
from tests.wire.asking import Asking
from tests.wire.conversation import Wire

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
PUBLIC, OTHER, METADATA, PRIVATE = "1.1.1.1", "8.8.8.8", "169.254.169.254", "10.0.0.1"


class Network:
    """The loop as a pool sees it."""

    def __init__(self) -> None:
        self.addresses = [PUBLIC]
        self.look_ups = 0
        self.connected_to: list[str] = []
        self.names: list[str | None] = []
        self.wires: list[Wire] = []
        self.down: set[str] = set()
        self.failures_left = 0
        self.is_up = asyncio.Event()
        self.is_up.set()

    async def getaddrinfo(self, host: str, port: int, *, type: int) -> list[tuple[Any, ...]]:
        self.look_ups += 1
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(0, type, 0, "", (address, port)) for address in self.addresses]

    async def create_connection(
        self,
        make: Callable[[], UpstreamConnection],
        host: str,
        port: int,
        *,
        ssl: ssl.SSLContext | None,
        server_hostname: str | None,
    ) -> tuple[Wire, UpstreamConnection]:
        self.connected_to.append(host)
        self.names.append(server_hostname)
        return await self._connect(make, host)

    async def create_unix_connection(
        self, make: Callable[[], UpstreamConnection], path: str
    ) -> tuple[Wire, UpstreamConnection]:
        self.connected_to.append(path)
        return await self._connect(make, path)

    async def _connect(
        self, make: Callable[[], UpstreamConnection], host: str
    ) -> tuple[Wire, UpstreamConnection]:
        await self.is_up.wait()
        if host in self.down or self.failures_left:
            self.failures_left = max(0, self.failures_left - 1)
            raise ConnectionRefusedError
        connection = make()
        wire = Wire(connection)
        connection.connection_made(wire)
        self.wires.append(wire)
        return wire, connection

    def call_soon(self, call: Callable[..., None], *args: object) -> object:
        return asyncio.get_running_loop().call_soon(call, *args)


class Site:
    """A pool, the network it is on, and those who ask."""

    def __init__(
        self, origin: Origin | None = None, tls: ssl.SSLContext | None = None, **bounds: Any
    ) -> None:
        self.network = Network()
        self.failures: list[str] = []
        self.pool = Pool(
            cast(asyncio.AbstractEventLoop, self.network),
            Tasks(lambda name, error: self.failures.append(f"{name}: {error!r}")),
            origin or Origin("api.example", 443, is_tls=tls is not None),
            PoolBounds(**bounds),
            tls,
        )
        self.waiting: list[Waiting | None] = []

    def asks(self, name: bytes = b"GET") -> Asking:
        asking = Asking()
        self.waiting.append(self.pool.ask(asking, name, lambda connection: None))
        return asking

    async def goes_on(self) -> None:
        """Whatever is under way comes as far as it can."""
        for _ in range(20):
            await asyncio.sleep(0)
        for wire in self.network.wires:
            wire.settle()
        for _ in range(20):
            await asyncio.sleep(0)
        assert self.failures == []

    def answers(self, *numbers: int) -> None:
        for number in numbers:
            self.network.wires[number].carry(ANSWER)

    def time_passes(self, ms: int) -> None:
        self.pool.sweep(self.pool.now_ms + ms)
        for wire in self.network.wires:
            wire.settle()

    def sent(self) -> list[bytes]:
        """What each connection has carried."""
        return [bytes(wire.sent) for wire in self.network.wires]


# --- reuse ---


async def test_a_connection_is_made_once_and_used_again() -> None:
    site = Site()
    first = site.asks(b"one")
    await site.goes_on()
    site.answers(0)
    second = site.asks(b"two")
    site.answers(0)
    assert site.sent() == [b"onetwo"]
    assert first.payload == second.payload == b"hi"
    assert site.waiting[1] is None


async def test_the_connection_used_last_is_used_first() -> None:
    """The others may then grow old and be closed."""
    site = Site()
    for _ in range(2):
        site.asks(b".")
    await site.goes_on()
    site.answers(0, 1)
    site.asks(b"again")
    assert site.sent() == [b".", b".again"]


async def test_who_asks_is_told_of_the_connection_before_anything_is_sent() -> None:
    site = Site()
    sent: list[bytes] = []
    for _ in range(2):
        site.pool.ask(Asking(), b"x", lambda connection: sent.append(b"".join(site.sent())))
        await site.goes_on()
        site.answers(0)
    assert sent == [b"", b"x"]


async def test_an_idle_connection_is_closed_in_time() -> None:
    site = Site(idle_ms=1_000)
    site.asks()
    await site.goes_on()
    site.answers(0)
    site.time_passes(999)
    assert site.pool.open_count == 1
    site.time_passes(1)
    assert site.pool.open_count == 0
    assert site.network.wires[0].is_aborted


async def test_a_connection_that_answers_is_not_closed_for_its_age() -> None:
    site = Site(idle_ms=1_000)
    asking = site.asks()
    await site.goes_on()
    site.time_passes(10_000)
    site.answers(0)
    assert asking.payload == b"hi"


@pytest.mark.parametrize(("hint", "lasts_ms"), [(5, 4_000), (1, 500), (0, 50_000), (900, 50_000)])
async def test_a_connection_is_let_go_before_the_upstream_closes_it(
    hint: int, lasts_ms: int
) -> None:
    """A request that meets the upstream's close on its way would be lost."""
    site = Site(idle_ms=50_000)
    site.asks()
    await site.goes_on()
    site.network.wires[0].carry(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=%d\r\n\r\n" % hint
    )
    site.time_passes(lasts_ms - 1)
    assert site.pool.open_count == 1
    site.time_passes(1)
    assert site.pool.open_count == 0


async def test_a_connection_that_the_upstream_closed_is_not_used_again() -> None:
    site = Site()
    site.asks(b"one")
    await site.goes_on()
    site.answers(0)
    site.network.wires[0].end()
    second = site.asks(b"two")
    await site.goes_on()
    site.answers(1)
    assert site.sent() == [b"one", b"two"]
    assert second.payload == b"hi"
    assert site.pool.open_count == 1


async def test_a_connection_with_a_byte_too_many_is_not_used_again() -> None:
    site = Site()
    site.asks(b"one")
    await site.goes_on()
    site.answers(0)
    site.network.wires[0].carry(ANSWER)
    site.asks(b"two")
    await site.goes_on()
    assert site.sent() == [b"one", b"two"]


# --- bounds ---


async def test_connections_are_bounded_and_who_waits_is_served_in_turn() -> None:
    site = Site(connections_max=2)
    asking = [site.asks(b"%d" % number) for number in range(5)]
    await site.goes_on()
    assert site.sent() == [b"0", b"1"]
    site.answers(1, 0, 1)
    assert site.sent() == [b"03", b"124"]
    site.answers(0, 1)
    assert all(one.payload == b"hi" for one in asking)
    assert site.pool.open_count == 2


async def test_a_lost_connection_makes_room_for_who_waits() -> None:
    site = Site(connections_max=1)
    first, second = site.asks(b"one"), site.asks(b"two")
    await site.goes_on()
    site.network.wires[0].lose(ConnectionResetError())
    await site.goes_on()
    site.answers(1)
    assert first.loss is Loss.CLOSED
    assert second.payload == b"hi"


async def test_waiting_is_bounded() -> None:
    site = Site(connections_max=1)
    site.network.is_up.clear()
    waiting = [site.asks() for _ in range(pools.WAITING_MAX)]
    one_too_many = site.asks()
    assert not one_too_many.is_over  # never from within the call
    await site.goes_on()
    assert one_too_many.loss is Loss.CROWDED
    assert not any(one.is_over for one in waiting)


async def test_who_gave_up_waiting_is_not_asked_for() -> None:
    site = Site(connections_max=1)
    first, second, third = site.asks(b"one"), site.asks(b"two"), site.asks(b"three")
    await site.goes_on()
    waiting = site.waiting[1]
    assert waiting is not None
    site.pool.cancel(waiting)
    site.answers(0, 0)
    assert site.sent() == [b"onethree"]
    assert first.payload == third.payload == b"hi"
    assert not second.is_over


async def test_a_connection_that_nobody_waits_for_any_more_is_kept() -> None:
    site = Site()
    site.network.is_up.clear()
    asking = site.asks(b"one")
    waiting = site.waiting[0]
    assert waiting is not None
    site.pool.cancel(waiting)
    site.network.is_up.set()
    await site.goes_on()
    assert not asking.is_over
    site.asks(b"two")
    assert site.sent() == [b"two"]


# --- connecting ---


async def test_a_connection_that_cannot_be_made_fails_one_who_waits() -> None:
    """The next one may be luckier."""
    site = Site(connections_max=1)
    site.network.failures_left = 1
    first, second = site.asks(), site.asks()
    await site.goes_on()
    site.answers(0)
    assert first.loss is Loss.UNREACHABLE
    assert second.payload == b"hi"


async def test_everyone_who_waits_for_what_is_down_hears_so() -> None:
    site = Site(connections_max=2)
    site.network.down.add(PUBLIC)
    asking = [site.asks() for _ in range(7)]
    for _ in range(7):
        await site.goes_on()
    assert [one.loss for one in asking] == [Loss.UNREACHABLE] * 7
    assert site.pool.open_count == 0


async def test_connecting_has_a_deadline() -> None:
    site = Site(connect_s=0)
    site.network.is_up.clear()
    asking = site.asks()
    await site.goes_on()
    assert asking.loss is Loss.UNREACHABLE


async def test_the_next_address_is_tried() -> None:
    site = Site()
    site.network.addresses = [PUBLIC, OTHER, OTHER]
    site.network.down.add(PUBLIC)
    site.asks(b"x")
    await site.goes_on()
    assert site.network.connected_to == [PUBLIC, OTHER]
    assert site.sent() == [b"x"]


async def test_a_name_nobody_knows_is_unreachable() -> None:
    site = Site()
    site.network.addresses = []
    asking = site.asks()
    await site.goes_on()
    assert asking.loss is Loss.UNREACHABLE


async def test_names_are_looked_up_once_in_a_while() -> None:
    site = Site(dns_cache_ms=1_000)
    for _ in range(3):
        site.asks()
        await site.goes_on()
    assert site.network.look_ups == 1
    site.network.addresses = [OTHER]
    site.time_passes(999)
    site.asks()
    await site.goes_on()
    assert site.network.connected_to == [PUBLIC] * 4
    site.time_passes(1)
    site.asks()
    await site.goes_on()
    assert site.network.look_ups == 2
    assert site.network.connected_to[-1] == OTHER


async def test_a_name_is_looked_up_again_after_a_failure() -> None:
    """The service may have moved."""
    site = Site()
    site.network.down.add(PUBLIC)
    site.asks()
    await site.goes_on()
    site.network.addresses = [OTHER]
    site.asks(b"x")
    await site.goes_on()
    assert site.sent() == [b"x"]


async def test_addresses_are_judged_as_they_were_resolved() -> None:
    """A name of anybody's may lead to the metadata service, or do so the second time only."""
    site = Site(own_listeners=frozenset({("127.0.0.1", 443)}))
    site.network.addresses = [METADATA, "::ffff:169.254.169.254", "127.0.0.1"]
    refused = site.asks()
    await site.goes_on()
    assert refused.loss is Loss.REFUSED_ADDRESS
    assert site.network.connected_to == []
    site.network.addresses = [METADATA, PUBLIC]
    site.time_passes(10**6)
    site.asks(b"x")
    await site.goes_on()
    assert site.network.connected_to == [PUBLIC]


@pytest.mark.parametrize("is_allowed", [True, False])
async def test_private_addresses_are_for_those_who_may(is_allowed: bool) -> None:
    site = Site(Origin("api.example", 80, is_tls=False, is_private_allowed=is_allowed))
    site.network.addresses = [PRIVATE]
    asking = site.asks()
    await site.goes_on()
    assert bool(site.network.connected_to) is is_allowed
    assert (asking.loss is Loss.REFUSED_ADDRESS) is not is_allowed


async def test_certificates_are_checked_against_the_name() -> None:
    site = Site(tls=ssl.create_default_context())
    site.asks()
    await site.goes_on()
    assert site.network.names == ["api.example"]
    assert site.network.connected_to == [PUBLIC]


async def test_a_unix_socket_is_an_origin_too() -> None:
    site = Site(Origin("", 0, is_tls=False, unix_path="/run/x.sock"))
    site.asks(b"x")
    await site.goes_on()
    assert site.network.connected_to == ["/run/x.sock"]
    assert site.network.look_ups == 0
    assert site.sent() == [b"x"]


# --- closing ---


async def test_a_closed_pool_closes_what_is_idle_and_keeps_nothing() -> None:
    site = Site()
    for _ in range(2):
        site.asks()
    await site.goes_on()
    site.answers(0)
    site.pool.close()
    await site.goes_on()
    assert [wire.is_closing_down for wire in site.network.wires] == [True, False]
    site.answers(1)
    await site.goes_on()
    assert site.network.wires[1].is_closing_down
    assert site.pool.open_count == 0


async def test_who_waits_when_a_pool_is_closed_is_still_served() -> None:
    site = Site(connections_max=1)
    asking = [site.asks(), site.asks()]
    await site.goes_on()
    site.pool.close()
    site.answers(0)
    await site.goes_on()
    for number in range(len(site.network.wires)):
        site.answers(number)
    assert [one.payload for one in asking] == [b"hi", b"hi"]
    await site.goes_on()
    assert site.pool.open_count == 0
