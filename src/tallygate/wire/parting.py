"""How a connection ends, so that its client reads all that was written, and is not deceived.

An answer without a length, to a client that knows no chunks, ends where the connection ends. Until
it is whole the connection stands ready to end by a reset, so that one that is cut, even by the end
of this process, cannot be taken for whole (RFC 9112, 8: closing is all that such a client sees).
"""

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from tallygate.wire.body_in_pieces import release

if TYPE_CHECKING:
    from tallygate.wire.server import ClientConnection

LINGER_MS = 2_000
LINGER_BYTES_MAX = 1 << 20


def close(
    connection: "ClientConnection", transport: asyncio.Transport, *, has_read_all: bool
) -> None:
    """The last answer is written, and whole."""
    if connection.ends_answer:
        end_by_reset(transport, is_wanted=False)
    if has_read_all:
        _close_when_sent(connection, transport)
    else:
        _linger(connection, transport)


def break_off(connection: "ClientConnection") -> None:
    """What was written of an answer goes out, as far as the client reads it; then it is reset."""
    release(connection)
    connection.forget_request()
    if connection.transport is not None:
        _close_when_sent(connection, connection.transport)


def _close_when_sent(connection: "ClientConnection", transport: asyncio.Transport) -> None:
    connection.deadline_ms = connection.front.now_ms + connection.front.write_timeout_ms
    transport.close()


def drop(connection: "ClientConnection", transport: asyncio.Transport) -> None:
    """End at once, whatever is still to be sent."""
    is_all_sent = connection.is_lingering and not transport.get_write_buffer_size()
    if connection.ends_answer and not is_all_sent:
        end_by_reset(transport, is_wanted=True)
    transport.abort()


def end_by_reset(transport: asyncio.Transport, *, is_wanted: bool) -> None:
    """Whether the connection, when its last reference goes, is reset rather than closed."""
    client = transport.get_extra_info("socket")
    if client is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", is_wanted, 0))


def _linger(connection: "ClientConnection", transport: asyncio.Transport) -> None:
    """Closing with unread bytes would reset the connection and take the answer with it."""
    connection.is_lingering = True
    connection.buffer = b""
    connection.deadline_ms = connection.front.now_ms + LINGER_MS
    if connection.is_reading_paused:
        connection.resume_reading()
    if transport.can_write_eof():
        transport.write_eof()


def linger_on(connection: "ClientConnection", received: int) -> None:
    """What still comes is dropped, within bounds."""
    connection.lingered_bytes += received
    if connection.lingered_bytes > LINGER_BYTES_MAX and connection.transport is not None:
        drop(connection, connection.transport)
