"""A client's connection: bytes in, whole requests or bodies in pieces out; answers back in order.

A request that arrives whole in one read goes to the application in one call; anything
else is gathered or streamed, as the application says at its head. One request is answered at a
time: what a client pipelines waits in the buffer, and reading pauses when that is full.
"""

import asyncio
from typing import cast

from tallygate.core.errors import Code, Refusal
from tallygate.wire import parting
from tallygate.wire.body import RequestBody
from tallygate.wire.body_in_pieces import begin_body, read_body, refuse_rest, release
from tallygate.wire.front import NEVER, Front, Handler
from tallygate.wire.head import HEAD_END, RequestHead
from tallygate.wire.head_start import CR, what_is_wrong, without_empty_lines
from tallygate.wire.patience import hasten, is_past_words, set_deadline
from tallygate.wire.same_head import SameHead
from tallygate.wire.tunnel import open_tunnel

WRITE_BUFFER_HIGH = 256 << 10
PIPELINED_BYTES_MAX = 64 << 10
_LATE = Refusal(Code.REQUEST_TIMEOUT, "The request did not arrive in time.")


class ClientConnection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_heads",
        "_is_reading_requests",
        "body",
        "buffer",
        "deadline_ms",
        "ends_answer",
        "front",
        "handler",
        "has_head_begun",
        "has_sent_all",
        "head",
        "is_answered",
        "is_body_complete",
        "is_lingering",
        "is_reading_paused",
        "is_slow",
        "is_unused",
        "lingered_bytes",
        "must_close",
        "peer",
        "transport",
    )

    def __init__(self, front: Front) -> None:
        self.front = front
        self._heads = SameHead(front.heads)
        self.buffer = b""
        self.forget_request()
        self.must_close = False
        self.is_unused = True
        self.has_sent_all = False
        self.ends_answer = False  # nothing but its own end does
        self.is_lingering = False
        self.lingered_bytes = 0
        self.is_reading_paused = False
        self._is_reading_requests = False
        self.is_slow = False
        set_deadline(self)
        self.peer = ""
        self.transport: asyncio.Transport | None = None

    def __repr__(self) -> str:
        return f"<ClientConnection {self.peer} head={self.head} handler={self.handler}>"

    def forget_request(self) -> None:
        self.head: RequestHead | None = None
        self.has_head_begun = False
        self.handler: Handler | None = None
        self.body: RequestBody | None = None  # of a request that did not come whole
        self.is_body_complete = True
        self.is_answered = False

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        front = self.front
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
        self.front.connections.discard(self)
        release(self)
        self.transport = None
        handler, self.handler = self.handler, None
        if handler is not None:
            handler.client_gone()

    def eof_received(self) -> bool:
        """A client that has sent all it will may still be reading: answer, then close.

        It may as well be gone, which only a write shows: nothing is awaited for it for long.
        """
        self.must_close = True
        self.has_sent_all = True
        if self.handler is None or not self.is_body_complete:
            return False
        set_deadline(self)
        return True

    def pause_writing(self) -> None:
        self.is_slow = True
        self.deadline_ms = self.front.now_ms + self.front.write_timeout_ms
        if self.handler is not None:
            self.handler.client_slow()

    def resume_writing(self) -> None:
        self.is_slow = False
        set_deadline(self)
        if self.handler is not None:
            self.handler.client_ready()
        elif self.head is None:
            self._go_on()

    def data_received(self, data: bytes) -> None:
        if self.is_lingering:
            parting.linger_on(self, len(data))
            return
        if self.head is None and not self.is_slow:
            self.buffer = self.buffer + data if self.buffer else data
            self._read_requests()
        elif self.is_body_complete:
            self.buffer += data
            if len(self.buffer) > PIPELINED_BYTES_MAX:
                self.pause_reading()
        elif self.body is not None:
            read_body(self, self.body, data)

    # --- heads ---

    def _read_requests(self) -> None:
        """Begin requests while there are whole heads; an answer given at once frees the next."""
        if self._is_reading_requests:
            return
        self._is_reading_requests = True
        # A client that does not read its answers gets no more of them.
        while self.buffer and not (self.head or self.is_slow or self.is_lingering):
            data, self.buffer = self.buffer, b""
            if not self._read_head(data):
                break
        self._is_reading_requests = False

    def _read_head(self, data: bytes) -> bool:
        """Begin one request; False when its head is not complete."""
        if data[0] == CR:
            data = without_empty_lines(data)
        end = data.find(HEAD_END)
        front = self.front
        if end <= 0 or end > front.head_bytes_max:
            return self._wait_for_head(data, end)
        end += 4
        try:
            head, length = self._heads.read(data, end)
        except Refusal as refusal:
            self._refuse_head(refusal)
            return True
        self.head = head
        self.is_unused = False
        if not head.keep_alive:
            self.must_close = True
        if head.is_chunked:
            begin_body(self, head, -1, data[end:])
        elif len(data) - end >= length:
            self.buffer = data[end + length :]
            self.deadline_ms = NEVER
            front.application.respond(self, head, data[end : end + length] if length else b"")
        else:
            begin_body(self, head, length, data[end:])
        return True

    def _wait_for_head(self, data: bytes, end: int) -> bool:
        """No whole head yet."""
        front = self.front
        is_too_large = len(data) > front.head_bytes_max or end > 0
        refusal = what_is_wrong(data, is_too_large=is_too_large)
        if refusal is not None:
            self._refuse_head(refusal)
            return True
        if data and not self.has_head_begun:
            self.has_head_begun = True  # a byte now and then buys no more time
            self.deadline_ms = front.now_ms + front.head_timeout_ms
        self.buffer = data
        return False

    def _refuse_head(self, refusal: Refusal) -> None:
        """Where its request ends nobody can say: what still comes is read, and dropped."""
        self.must_close = True
        self.is_body_complete = False
        self.front.application.refuse(self, None, refusal)

    # --- what the application calls ---

    def write(self, data: bytes) -> None:
        self.is_answered = True
        if self.transport is not None:
            self.transport.write(data)
            if self.has_sent_all:
                set_deadline(self)

    def will_close(self) -> bool:
        return self.must_close or self.front.is_draining or not self.is_body_complete

    def finish(self) -> None:
        has_read_all = self.is_body_complete and not self.buffer
        must_close = self.will_close()
        if self.body is not None:
            release(self)
        self.forget_request()
        if self.transport is None:
            return
        if must_close:
            parting.close(self, self.transport, has_read_all=has_read_all)
            return
        set_deadline(self)
        self._go_on()

    def _go_on(self) -> None:
        if self.is_reading_paused:
            self.resume_reading()
        if self.buffer:
            self._read_requests()

    def end_with_answer(self) -> None:
        self.must_close = self.ends_answer = True
        if self.transport is not None:
            parting.end_by_reset(self.transport, is_wanted=True)

    def break_off(self) -> None:
        self.must_close = True
        if self.ends_answer:
            parting.break_off(self)
        else:
            self.finish()  # what is missing shows

    def abort(self) -> None:
        release(self)
        self.forget_request()
        if self.transport is not None:
            parting.drop(self, self.transport)

    def pause_body(self) -> None:
        if not self.is_body_complete:
            self.pause_reading()
            if not self.is_slow:
                self.deadline_ms = NEVER  # the upstream is slow, not the client

    def resume_body(self) -> None:
        if self.is_reading_paused:
            self.resume_reading()
            if not self.is_body_complete:
                set_deadline(self)

    # --- what the front calls ---

    def room_returned(self) -> None:
        if self.is_reading_paused:
            self.resume_reading()

    open_tunnel = open_tunnel
    close_if_idle = hasten

    def deadline_passed(self) -> None:
        self.deadline_ms = NEVER
        if self.transport is None:
            return
        if is_past_words(self):
            parting.drop(self, self.transport)
        elif self.head is None or not self.is_body_complete:
            self.buffer = b""
            refuse_rest(self, _LATE)

    # --- reading ---

    def pause_reading(self) -> None:
        if not self.is_reading_paused and self.transport is not None:
            self.is_reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.is_reading_paused = False
        if self.transport is not None:
            self.transport.resume_reading()
