"""A request's body that does not come in one read with its head: gathered, or streamed on.

What is gathered counts against a bound that all connections of the worker share; who finds no room
is not read from until others' bodies have gone.
"""

from typing import TYPE_CHECKING

from tallygate.core.errors import Code, Refusal
from tallygate.wire.body import RequestBody
from tallygate.wire.chunked import BadChunk
from tallygate.wire.head import RequestHead
from tallygate.wire.patience import set_deadline

if TYPE_CHECKING:
    from tallygate.wire.server import ClientConnection

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def begin_body(
    connection: "ClientConnection", head: RequestHead, length: int, first: bytes
) -> None:
    """The application says at the head what is to be done with the body, or refuses it."""
    front = connection.front
    connection.buffer = b""
    connection.is_body_complete = False
    body = connection.body = RequestBody(length)
    connection.deadline_ms = front.now_ms + front.body_timeout_ms
    try:
        body.gather_max = front.application.begin(connection, head, length)
    except Refusal as refusal:
        refuse_rest(connection, refusal)
        return
    if body.is_too_large:
        refuse_rest(connection, _too_large(body))
        return
    if head.expects_continue and not first and connection.transport is not None:
        connection.transport.write(CONTINUE)
    if first:
        read_body(connection, body, first)


def read_body(connection: "ClientConnection", body: RequestBody, data: bytes) -> None:
    set_deadline(connection)
    try:
        payload = body.feed(data)
    except BadChunk as error:
        refuse_rest(connection, Refusal(Code.BAD_REQUEST, f"The body is malformed: {error}."))
        return
    if body.is_complete:
        connection.is_body_complete = True
        connection.buffer = body.surplus
        set_deadline(connection)
    if body.gather_max is None:
        _stream(connection, payload)
    else:
        _gather(connection, body, payload)


def _stream(connection: "ClientConnection", payload: bytes) -> None:
    handler = connection.handler
    if handler is not None and payload:
        handler.body_received(payload)
    if handler is not None and connection.is_body_complete and connection.handler is handler:
        handler.body_ended()


def _gather(connection: "ClientConnection", body: RequestBody, payload: bytes) -> None:
    front = connection.front
    if body.is_too_large:
        refuse_rest(connection, _too_large(body))
        return
    body.gather(payload)
    front.buffered(len(payload))
    if body.is_complete:
        assert connection.head is not None
        front.application.respond(connection, connection.head, body.take())
    elif front.buffered_bytes > front.buffered_bytes_max:
        front.starved.append(connection)
        connection.pause_reading()


def release(connection: "ClientConnection") -> None:
    """What was gathered is not needed any more."""
    body = connection.body
    if body is not None and body.accounted:
        connection.front.buffered(-body.accounted)
        body.accounted = 0
        body.take()


def refuse_rest(connection: "ClientConnection", refusal: Refusal) -> None:
    """Refuse a request whose body is not all here; the connection ends with it."""
    connection.must_close = True
    release(connection)
    handler, connection.handler = connection.handler, None
    if handler is not None:
        handler.client_gone()
    if not connection.is_answered:
        connection.front.application.refuse(connection, connection.head, refusal)
    else:
        connection.abort()


def _too_large(body: RequestBody) -> Refusal:
    return Refusal(Code.TOO_LARGE, f"The body is too large: send at most {body.gather_max} bytes.")
