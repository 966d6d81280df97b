"""What a real socket, under the event loop of the workers, shows of an answer's end."""

import asyncio

import uvloop

from tallygate.wire.front import Connection, Front
from tallygate.wire.server import ClientConnection
from tests.wire.conversation import Desk


class LaterDesk(Desk):
    """Gives the connection that asks it something to whoever waits for that."""

    def __init__(self) -> None:
        super().__init__(at_once=False, gathers=0, streams=False)
        self.asking: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()

    def attend(self, connection: Connection) -> None:
        super().attend(connection)
        self.asking.set_result(connection)


async def read_answer(*, is_cut: bool) -> bytes:
    """What an HTTP/1.0 client gets of an answer that only the connection's end can end."""
    desk = LaterDesk()
    front = Front(desk)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ClientConnection(front), "127.0.0.1", 0)
    async with server, asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(b"GET /a HTTP/1.0\r\nHost: a\r\n\r\n")
        connection = await desk.asking
        connection.end_with_answer()
        connection.write(b"half of it")
        got = await reader.readexactly(len(b"half of it"))
        if is_cut:
            connection.break_off()
        else:
            connection.finish()
        try:
            return got + await reader.read()
        finally:
            writer.transport.abort()


def run(*, is_cut: bool) -> bytes:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(read_answer(is_cut=is_cut))


def test_a_cut_answer_ends_in_an_error() -> None:
    """Nothing else tells half an answer from a whole one."""
    try:
        run(is_cut=True)
    except ConnectionResetError:
        return
    raise AssertionError("the end looked orderly")


def test_a_whole_answer_ends_in_order() -> None:
    assert run(is_cut=False) == b"half of it"
