"""How long a client is waited for, by what is awaited of it at the moment."""

from typing import TYPE_CHECKING

from tallygate.wire.front import NEVER

if TYPE_CHECKING:
    from tallygate.wire.server import ClientConnection

FIRST_REQUEST_GRACE_MS = 1_000


def set_deadline(connection: "ClientConnection") -> None:
    """By what is awaited of the client now."""
    front = connection.front
    if connection.is_slow or connection.is_lingering:
        return  # that it reads, whatever it sends meanwhile
    if connection.has_sent_all:
        wait_ms = front.half_closed_timeout_ms
    elif connection.head is not None:
        wait_ms = NEVER if connection.is_body_complete else front.body_timeout_ms
    else:
        wait_ms = front.head_timeout_ms if connection.buffer else front.idle_timeout_ms
    connection.deadline_ms = front.now_ms + wait_ms


def hasten(connection: "ClientConnection") -> None:
    """Close an idle connection at the next sweep: a request that is on its way is still answered.

    A connection on which nothing was asked yet was made in order to ask: it gets a second.
    """
    if connection.head is None and not connection.buffer and connection.transport is not None:
        wait_ms = FIRST_REQUEST_GRACE_MS if connection.is_unused else 0
        connection.deadline_ms = min(connection.deadline_ms, connection.front.now_ms + wait_ms)


def is_past_words(connection: "ClientConnection") -> bool:
    """Whether a client that is late is to be told nothing: it does not read, or asked nothing."""
    is_silent = connection.head is None and not connection.buffer
    is_reading = not (connection.is_slow or connection.is_lingering or connection.has_sent_all)
    return is_silent or not is_reading
