"""A client's connection: bytes in, whole requests or bodies in pieces out; answers back in order.

A request that arrives whole in one read goes to the application in one call; anything
else is gathered or streamed, as the application says at its head. One request is answered at a
time: what a client pipelines waits in the buffer, and reading pauses when that is full.
"""

import asyncio
from typing import cast

from tallygate.core.errors import Code, Refusal
from tallygate.wire.body import RequestBody
from tallygate.wire.chunked import BadChunk
from tallygate.wire.front import NEVER, Front, Handler
from tallygate.wire.head import HEAD_END, RequestHead

CR = 13
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
WRITE_BUFFER_HIGH = 256 << 10
PIPELINED_BYTES_MAX = 64 << 10
LINGER_MS = 2_000
LINGER_BYTES_MAX = 1 << 20
FIRST_REQUEST_GRACE_MS = 1_000


class ClientConnection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_body",
        "_buffer",
        "_front",
        "_has_head_begun",
        "_has_sent_all",
        "_is_answered",
        "_is_body_complete",
        "_is_lingering",
        "_is_reading_paused",
        "_is_reading_requests",
        "_is_unused",
        "_lingered_bytes",
        "_must_close",
        "deadline_ms",
        "handler",
        "head",
        "is_slow",
        "peer",
        "transport",
    )

    def __init__(self, front: Front) -> None:
        self._front = front
        self._buffer = b""
        self._forget_request()
        self._must_close = False
        self._is_unused = True
        self._has_sent_all = False
        self._is_lingering = False
        self._lingered_bytes = 0
        self._is_reading_paused = False
        self._is_reading_requests = False
        self.is_slow = False
        self._set_deadline()
        self.peer = ""
        self.transport: asyncio.Transport | None = None

    def __repr__(self) -> str:
        return f"<ClientConnection {self.peer} head={self.head} handler={self.handler}>"

    def _forget_request(self) -> None:
        self.head: RequestHead | None = None
        self._has_head_begun = False
        self.handler: Handler | None = None
        self._body: RequestBody | None = None  # of a request that did not come whole
        self._is_body_complete = True
        self._is_answered = False

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        front = self._front
        if len(front.connections) >= front.connections_max:
            transport.abort()
            return
        self.transport = transport
        transport.set_write_buffer_limits(WRITE_BUFFER_HIGH)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        front.connections.add(self)
        front.accepted += 1
        self.deadline_ms = front.now_ms + front.head_timeout_ms

    def connection_lost(self, exc: Exception | None) -> None:
        self._front.connections.discard(self)
        self._release_gathered()
        self.transport = None
        handler, self.handler = self.handler, None
        if handler is not None:
            handler.client_gone()

    def eof_received(self) -> bool:
        """A client that has sent all it will may still be reading: answer, then close.

        It may as well be gone, which shows only when something is written to it: so nothing is
        awaited on its behalf for longer than a while.
        """
        self._must_close = True
        self._has_sent_all = True
        if self.handler is None or not self._is_body_complete:
            return False
        self._set_deadline()
        return True

    def pause_writing(self) -> None:
        self.is_slow = True
        self.deadline_ms = self._front.now_ms + self._front.write_timeout_ms
        if self.handler is not None:
            self.handler.client_slow()

    def resume_writing(self) -> None:
        self.is_slow = False
        self._set_deadline()
        if self.handler is not None:
            self.handler.client_ready()
        elif self.head is None:
            self._go_on()

    def data_received(self, data: bytes) -> None:
        if self._is_lingering:
            self._linger(len(data))
            return
        if self.head is None and not self.is_slow:
            self._buffer = self._buffer + data if self._buffer else data
            self._read_requests()
        elif self._is_body_complete:
            self._buffer += data
            if len(self._buffer) > PIPELINED_BYTES_MAX:
                self._pause_reading()
        elif self._body is not None:
            self._read_body(self._body, data)

    # --- heads ---

    def _read_requests(self) -> None:
        """Begin requests while there are whole heads; an answer given at once frees the next."""
        if self._is_reading_requests:
            return
        self._is_reading_requests = True
        while self._may_begin():
            data, self._buffer = self._buffer, b""
            if not self._read_head(data):
                break
        self._is_reading_requests = False

    def _may_begin(self) -> bool:
        """A client that does not read its answers gets no more of them."""
        return bool(self._buffer) and not (self.head or self.is_slow or self._is_lingering)

    def _read_head(self, data: bytes) -> bool:
        """Begin one request; False when its head is not complete."""
        if data[0] == CR:
            data = _without_empty_lines(data)
        end = data.find(HEAD_END)
        front = self._front
        if end <= 0 or end > front.head_bytes_max:
            return self._wait_for_head(data, end)
        end += 4
        try:
            head, length = front.heads.read(data[:end])
        except Refusal as refusal:
            self._refuse_head(refusal)
            return True
        self.head = head
        self._is_unused = False
        if not head.keep_alive:
            self._must_close = True
        if head.is_chunked:
            self._begin_body(head, -1, data[end:])
        elif len(data) - end >= length:
            self._buffer = data[end + length :]
            self.deadline_ms = NEVER
            front.application.respond(self, head, data[end : end + length] if length else b"")
        else:
            self._begin_body(head, length, data[end:])
        return True

    def _wait_for_head(self, data: bytes, end: int) -> bool:
        """No whole head yet."""
        front = self._front
        line_end = data.find(b"\n")
        if line_end == 0 or (line_end > 0 and data[line_end - 1] != CR):
            refusal = Refusal(Code.BAD_REQUEST, "Lines end in CRLF.")
        elif len(data) > front.head_bytes_max or end > 0:
            refusal = Refusal(Code.TOO_LARGE, "The request's head is too large.")
        else:
            if data and not self._has_head_begun:  # a byte now and then buys no more time
                self._has_head_begun = True
                self.deadline_ms = front.now_ms + front.head_timeout_ms
            self._buffer = data
            return False
        self._refuse_head(refusal)
        return True

    def _refuse_head(self, refusal: Refusal) -> None:
        """Where its request ends nobody can say: what still comes is read, and dropped."""
        self._must_close = True
        self._is_body_complete = False
        self._front.application.refuse(self, None, refusal)

    # --- bodies ---

    def _begin_body(self, head: RequestHead, length: int, first: bytes) -> None:
        front = self._front
        self._buffer = b""
        self._is_body_complete = False
        body = self._body = RequestBody(length)
        self.deadline_ms = front.now_ms + front.body_timeout_ms
        try:
            body.gather_max = front.application.begin(self, head, length)
        except Refusal as refusal:
            self._refuse_rest(refusal)
            return
        if body.is_too_large:
            self._refuse_rest(_too_large(body))
            return
        if head.expects_continue and not first:
            self.write_informational(CONTINUE)
        if first:
            self._read_body(body, first)

    def _read_body(self, body: RequestBody, data: bytes) -> None:
        self._set_deadline()
        try:
            payload = body.feed(data)
        except BadChunk as error:
            self._refuse_rest(Refusal(Code.BAD_REQUEST, f"The body is malformed: {error}."))
            return
        if body.is_complete:
            self._is_body_complete = True
            self._buffer = body.surplus
            self._set_deadline()
        if body.gather_max is None:
            self._stream(payload)
        else:
            self._gather(body, payload)

    def _stream(self, payload: bytes) -> None:
        handler = self.handler
        if handler is not None and payload:
            handler.body_received(payload)
        if handler is not None and self._is_body_complete and self.handler is handler:
            handler.body_ended()

    def _gather(self, body: RequestBody, payload: bytes) -> None:
        front = self._front
        if body.is_too_large:
            self._refuse_rest(_too_large(body))
            return
        body.gather(payload)
        front.buffered(len(payload))
        if body.is_complete:
            assert self.head is not None
            front.application.respond(self, self.head, body.take())
        elif front.buffered_bytes > front.buffered_bytes_max:
            front.starved.append(self)
            self._pause_reading()

    def _release_gathered(self) -> None:
        body = self._body
        if body is not None and body.accounted:
            self._front.buffered(-body.accounted)
            body.accounted = 0
            body.take()

    def _refuse_rest(self, refusal: Refusal) -> None:
        """Refuse a request whose body is not all here; the connection ends with it."""
        self._must_close = True
        self._release_gathered()
        handler, self.handler = self.handler, None
        if handler is not None:
            handler.client_gone()
        if not self._is_answered:
            self._front.application.refuse(self, self.head, refusal)
        else:
            self.abort()

    # --- what the application calls ---

    def write_informational(self, data: bytes) -> None:
        """Something before the answer proper."""
        if self.transport is not None:
            self.transport.write(data)

    def write(self, data: bytes) -> None:
        self._is_answered = True
        if self.transport is not None:
            self.transport.write(data)
            if self._has_sent_all:
                self._set_deadline()

    def will_close(self) -> bool:
        return self._must_close or self._front.is_draining or not self._is_body_complete

    def finish(self) -> None:
        transport = self.transport
        is_body_complete = self._is_body_complete
        must_close = self.will_close()
        if self._body is not None:
            self._release_gathered()
        self._forget_request()
        if transport is None:
            return
        if not must_close:
            self._set_deadline()
            self._go_on()
        elif is_body_complete and not self._buffer:
            self.deadline_ms = self._front.now_ms + self._front.write_timeout_ms
            transport.close()
        else:
            self._start_lingering()

    def _go_on(self) -> None:
        if self._is_reading_paused:
            self._resume_reading()
        if self._buffer:
            self._read_requests()

    def end_with_answer(self) -> None:
        self._must_close = True

    def break_off(self) -> None:
        self._must_close = True
        self.finish()

    def abort(self) -> None:
        self._release_gathered()
        self._forget_request()
        if self.transport is not None:
            self.transport.abort()

    def pause_body(self) -> None:
        if not self._is_body_complete:
            self._pause_reading()
            if not self.is_slow:
                self.deadline_ms = NEVER  # the upstream is slow, not the client

    def resume_body(self) -> None:
        if self._is_reading_paused:
            self._resume_reading()
            if not self._is_body_complete:
                self._set_deadline()

    # --- what the front calls ---

    def room_returned(self) -> None:
        if self._is_reading_paused:
            self._resume_reading()

    def close_if_idle(self) -> None:
        """Close at the next sweep, so that a request that is on its way is still answered.

        A connection on which nothing was asked yet was made in order to ask: it gets a second.
        """
        if self.head is None and not self._buffer and self.transport is not None:
            wait_ms = FIRST_REQUEST_GRACE_MS if self._is_unused else 0
            self.deadline_ms = min(self.deadline_ms, self._front.now_ms + wait_ms)

    def deadline_passed(self) -> None:
        transport = self.transport
        self.deadline_ms = NEVER
        if transport is None:
            return
        is_silent = self.head is None and not self._buffer
        if self._is_lingering or self.is_slow or is_silent or self._has_sent_all:
            transport.abort()
        elif self.head is None or not self._is_body_complete:
            self._buffer = b""
            self._refuse_rest(Refusal(Code.REQUEST_TIMEOUT, "The request did not arrive in time."))

    def _set_deadline(self) -> None:
        """By what is awaited of the client now."""
        front = self._front
        if self.is_slow or self._is_lingering:  # that it reads, whatever it sends meanwhile
            return
        if self._has_sent_all:
            wait_ms = front.half_closed_timeout_ms
        elif self.head is not None:
            wait_ms = NEVER if self._is_body_complete else front.body_timeout_ms
        else:
            wait_ms = front.head_timeout_ms if self._buffer else front.idle_timeout_ms
        self.deadline_ms = front.now_ms + wait_ms

    # --- reading ---

    def _pause_reading(self) -> None:
        if not self._is_reading_paused and self.transport is not None:
            self._is_reading_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        self._is_reading_paused = False
        if self.transport is not None:
            self.transport.resume_reading()

    def _start_lingering(self) -> None:
        """Closing with unread bytes would reset the connection and take the answer with it."""
        assert self.transport is not None
        self._is_lingering = True
        self._buffer = b""
        self.deadline_ms = self._front.now_ms + LINGER_MS
        if self._is_reading_paused:
            self._resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _linger(self, received: int) -> None:
        self._lingered_bytes += received
        if self._lingered_bytes > LINGER_BYTES_MAX and self.transport is not None:
            self.transport.abort()


def _without_empty_lines(data: bytes) -> bytes:
    """Empty lines before a request are ignored (RFC 9112, 2.2)."""
    start = 0
    while data[start : start + 2] == b"\r\n":
        start += 2
    return data[start:]


def _too_large(body: RequestBody) -> Refusal:
    return Refusal(Code.TOO_LARGE, f"The body is too large: send at most {body.gather_max} bytes.")
