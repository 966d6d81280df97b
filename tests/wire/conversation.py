"""A vocabulary to test a client's connection with, so that a test reads as a conversation.

The client says bytes and sees bytes; the application answers, at once or when the test says so;
time passes when the test says so. There is no socket, no loop and no sleep: `Wire` keeps asyncio's
promises about the order of calls (nothing is read while paused, nothing comes after the end).
"""

import asyncio
from collections import deque
from typing import Any, cast

from tallygate.core.errors import Refusal
from tallygate.wire.front import Connection, Front, Handler
from tallygate.wire.head import RequestHead
from tallygate.wire.server import ClientConnection
from tests.fakes.socket_options import SocketOptions

READ_BYTES = 256 << 10


class Wire(asyncio.Transport):
    """Our end of a connection and the network behind it."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._incoming: deque[bytes] = deque()
        self._high = 64 << 10
        self._is_told_to_pause = False
        self._is_lost = False
        self.socket = SocketOptions()
        self.sent = bytearray()  # what has reached the other side
        self.unsent = bytearray()  # what waits here because the other side does not read
        self.is_reading = True
        self.is_stuck = False
        self.is_closing_down = False
        self.is_aborted = False
        self.is_eof_sent = False

    # --- what the protocol calls ---

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        known = {"peername": ("192.0.2.1", 1234), "socket": self.socket}
        return known.get(name, default)

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high or 0

    def write(self, data: bytes) -> None:  # type: ignore[override]  # bytes are enough here
        assert not self.is_closing_down, "nothing is written to a closed transport"
        assert not self.is_eof_sent, "nothing is written after the end"
        if not self.is_stuck:
            self.sent += data
            return
        self.unsent += data
        if len(self.unsent) > self._high and not self._is_told_to_pause:
            self._is_told_to_pause = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.is_eof_sent = True

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def close(self) -> None:
        self.is_closing_down = True

    def abort(self) -> None:
        self.is_closing_down = self.is_aborted = True
        self.unsent.clear()

    # --- what the network does ---

    def carry(self, data: bytes) -> None:
        """Bytes from the other side; they wait while nobody reads."""
        self._incoming.extend(
            data[start : start + READ_BYTES] for start in range(0, len(data), READ_BYTES)
        )
        self.settle()

    def settle(self) -> None:
        """Whatever asyncio would do on its next turns."""
        while self._incoming and self.is_reading and not self.is_closing_down:
            self._protocol.data_received(self._incoming.popleft())
        if self.is_closing_down and not self.unsent and not self._is_lost:
            self.lose(None)

    def end(self) -> None:
        """The other side has sent all it will."""
        if not self.is_closing_down and not self._protocol.eof_received():
            self.close()
        self.settle()

    def lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = self.is_closing_down = True
            self._protocol.connection_lost(error)

    def flow(self) -> None:
        """The other side reads again."""
        self.is_stuck = False
        self.sent += self.unsent
        self.unsent.clear()
        if self._is_told_to_pause:
            self._is_told_to_pause = False
            self._protocol.resume_writing()
        self.settle()


class Hearing:
    """A handler that notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def body_received(self, data: bytes) -> None:
        self.heard.append(data)

    def body_ended(self) -> None:
        self.heard.append("end")

    def client_gone(self) -> None:
        self.heard.append("gone")

    def client_slow(self) -> None:
        self.heard.append("slow")

    def client_ready(self) -> None:
        self.heard.append("ready")


class Desk:
    """An application that answers `[target body]`, at once or when it is told to."""

    def __init__(self, *, at_once: bool, gathers: int, streams: bool) -> None:
        self.at_once = at_once
        self.gathers = gathers
        self.streams = streams
        self.asked: list[str] = []
        self.begun: list[str] = []
        self.refused: list[str] = []
        self.handler = Hearing()

    def begin(self, connection: Connection, head: RequestHead, length: int) -> int | None:
        self.begun.append(f"{head.target.decode()} {length}")
        if not self.streams:
            return self.gathers
        self.attend(connection)
        return None

    def respond(self, connection: Connection, head: RequestHead, body: bytes) -> None:
        self.asked.append(f"{head.method.decode()} {head.target.decode()} {body.decode()}".strip())
        if self.at_once:
            answer(connection, b"[%b]" % head.target)
        else:
            self.attend(connection)

    def refuse(self, connection: Connection, head: RequestHead | None, no: Refusal) -> None:
        self.refused.append(no.message)
        answer(connection, b"[%d]" % no.status)

    def attend(self, connection: Connection) -> None:
        self.handler = Hearing()
        connection.handler = cast(Handler, self.handler)


def answer(connection: Connection, data: bytes) -> None:
    """As the gateway does: the answer says whether it is the connection's last."""
    connection.write(data + (b"close" if connection.will_close() else b""))
    connection.finish()


class Conversation:
    """A client and the application, and the connection under test between them."""

    def __init__(
        self, *, at_once: bool = True, gathers: int = 1_000, streams: bool = False, **bounds: int
    ) -> None:
        self.application = Desk(at_once=at_once, gathers=gathers, streams=streams)
        self.front = Front(self.application)
        for name, value in bounds.items():
            assert hasattr(self.front, name), name
            setattr(self.front, name, value)
        self.connection, self.wire = self.another_client()
        self._seen = 0

    def another_client(self) -> tuple[ClientConnection, Wire]:
        connection = ClientConnection(self.front)
        wire = Wire(connection)
        connection.connection_made(wire)
        wire.settle()
        return connection, wire

    # --- the client ---

    def client_says(self, *pieces: bytes) -> None:
        """Each piece comes in a read of its own."""
        for piece in pieces:
            self.wire.carry(piece)

    def client_sends_no_more(self) -> None:
        self.wire.end()

    def client_vanishes(self) -> None:
        self.wire.lose(ConnectionResetError())

    def client_stops_reading(self) -> None:
        self.wire.is_stuck = True

    def client_reads_on(self) -> None:
        self.wire.flow()

    def client_sees(self) -> bytes:
        """What has come since the client looked last."""
        start, self._seen = self._seen, len(self.wire.sent)
        return bytes(self.wire.sent[start:])

    @property
    def is_over(self) -> bool:
        return self.wire.is_closing_down

    # --- the application, and time ---

    @property
    def asked(self) -> list[str]:
        return self.application.asked

    @property
    def heard(self) -> list[object]:
        """What the handler of the request at hand was told."""
        return self.application.handler.heard

    def application_writes(self, data: bytes) -> None:
        self.connection.write(data)

    def application_finishes(self) -> None:
        self.connection.finish()
        self.wire.settle()

    def application_answers(self, data: bytes = b"[late]") -> None:
        answer(self.connection, data)
        self.wire.settle()

    def time_passes(self, ms: int) -> None:
        self.front.sweep(self.front.now_ms + ms)
        self.wire.settle()
