"""A client's connection that speaks HTTP no longer: its bytes pass as they come, without an end."""

from typing import TYPE_CHECKING

from tallygate.wire.body import RequestBody
from tallygate.wire.front import NEVER

if TYPE_CHECKING:
    from tallygate.wire.server import ClientConnection

ENDLESS = 1 << 62  # more bytes than any connection carries


def open_tunnel(connection: "ClientConnection") -> bytes:
    """What the client has sent already; all further bytes go to its handler as a body's pieces.

    How long it may be silent is the handler's to say from here on: see `deadline_ms`.
    """
    early, connection.buffer = connection.buffer, b""
    body = connection.body = RequestBody(ENDLESS)
    body.gather_max = None
    connection.is_body_complete = False
    connection.deadline_ms = NEVER
    if connection.is_reading_paused:
        connection.resume_reading()
    return early
