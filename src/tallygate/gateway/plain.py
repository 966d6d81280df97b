"""A request that is relayed as it is: to the control plane, streamed both ways, not metered.

The control plane's socket outlives its process, so a request for a restarting one waits in the
socket's queue; one that reads nothing but is cut off unanswered is asked once more.
"""

from typing import TYPE_CHECKING, ClassVar

from tallygate.core.errors import Code, Refusal
from tallygate.gateway.answers import refusal_answer, status_line
from tallygate.gateway.framing import chunk, ends_with_connection, framing_field, must_chunk
from tallygate.gateway.plan import Plan
from tallygate.wire.answer import AnswerHead
from tallygate.wire.chunked import LAST_CHUNK
from tallygate.wire.front import NEVER, Connection
from tallygate.wire.head import RequestHead
from tallygate.wire.pool import Waiting
from tallygate.wire.upstream import Loss, UpstreamConnection

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway

CONNECT_MS = 5_000
ANSWER_MS = 120_000
_REPEATABLE = frozenset((b"GET", b"HEAD", b"OPTIONS"))


class PlainExchange:
    """One relayed request and its answer."""

    NO_ANSWER: ClassVar = Refusal(
        Code.OVERLOADED, "This part of the gateway is restarting; try again."
    )

    __slots__ = (
        "_connection",
        "_data",
        "_early",
        "_gateway",
        "_has_answer",
        "_head",
        "_is_body_chunked",
        "_is_body_ended",
        "_is_chunked",
        "_is_cut",
        "_plan",
        "_pool",
        "_repeats_left",
        "_request_id",
        "_upstream",
        "_waiting",
        "deadline_ms",
    )

    def __init__(
        self, gateway: "Gateway", connection: Connection, head: RequestHead, plan: Plan
    ) -> None:
        self._gateway = gateway
        self._connection = connection
        self._head = head
        self._plan = plan
        self._pool = gateway.control
        self._request_id = gateway.next_request_id()
        self._data = b""
        self._early: list[bytes] = []  # body that came before there was a connection
        self._is_body_chunked = False
        self._is_body_ended = True
        self._is_chunked = False
        self._is_cut = False
        self._has_answer = False
        self._repeats_left = 1 if head.method in _REPEATABLE else 0
        self._upstream: UpstreamConnection | None = None
        self._waiting: Waiting | None = None
        self.deadline_ms = 0

    def __repr__(self) -> str:
        return f"<PlainExchange {self._request_id} {self._plan.route}>"

    def start(self, body: bytes) -> None:
        """A whole request has come."""
        self._connection.handler = self
        framing = (
            b"content-length: %d\r\n\r\n" % len(body) if body or self._has_length() else b"\r\n"
        )
        self._data = self._request_head() + framing + body
        self._ask()

    def start_streaming(self, length: int) -> None:
        """The body is still to come, `length` -1: chunked."""
        self._connection.handler = self
        self._is_body_ended = False
        self._repeats_left = 0
        self._is_body_chunked = length < 0
        framing = (
            b"transfer-encoding: chunked\r\n\r\n"
            if self._is_body_chunked
            else b"content-length: %d\r\n\r\n" % length
        )
        self._data = self._request_head() + framing
        self._ask()

    def _has_length(self) -> bool:
        return self._head.has_length

    def _request_head(self) -> bytes:
        head = self._head
        address = self._gateway.address_of(self._connection, self._plan)
        is_tls = self._gateway.came_by_tls(self._connection, head)
        return b"%b %b HTTP/1.1\r\nhost: %b\r\n%bx-forwarded-for: %b\r\n%bx-request-id: %b\r\n" % (
            head.method,
            head.target,
            head.value(b"host"),
            head.lines_to_forward(frozenset((b"x-request-id",))),
            address.encode(),
            b"x-forwarded-proto: https\r\n" if is_tls else b"",
            self._request_id.encode(),
        )

    def _ask(self) -> None:
        gateway = self._gateway
        gateway.running.add(self)
        self.deadline_ms = gateway.now_ms() + CONNECT_MS
        self._waiting = self._pool.ask(
            self, self._data, self._connected, is_head_request=self._head.method == b"HEAD"
        )

    def _connected(self, connection: UpstreamConnection) -> None:
        self._waiting = None
        self._upstream = connection
        connection.is_request_complete = self._is_body_ended
        self.deadline_ms = self._gateway.now_ms() + ANSWER_MS
        if self._early:
            self._gateway.schedule(self._send_early)

    def _send_early(self) -> None:
        """After the head, which is sent when `_connected` has returned."""
        early, self._early = self._early, []
        if self._upstream is not None:
            self._upstream.send_more(b"".join(early))
            self._upstream.is_request_complete = self._is_body_ended
            self._connection.resume_body()

    # --- the request's body ---

    def body_received(self, data: bytes) -> None:
        if self._is_body_chunked:
            data = chunk(data)
        self._send_body(data)

    def body_ended(self) -> None:
        self._is_body_ended = True
        if self._is_body_chunked:
            self._send_body(LAST_CHUNK)
        elif self._upstream is not None and not self._early:
            self._upstream.is_request_complete = True

    def _send_body(self, data: bytes) -> None:
        if self._upstream is None or self._early:
            self._early.append(data)
            self._connection.pause_body()
        else:
            self._upstream.send_more(data)
            self._upstream.is_request_complete = self._is_body_ended
            self._extend_deadline()

    def upstream_slow(self) -> None:
        self._connection.pause_body()

    def upstream_ready(self) -> None:
        self._connection.resume_body()
        self._extend_deadline()

    def _extend_deadline(self) -> None:
        """The request is getting on, so its answer may well take as long as it may from here."""
        if not self._has_answer:
            self.deadline_ms = self._gateway.swept_ms + ANSWER_MS

    # --- the answer ---

    def answer_began(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        self._has_answer = True
        if is_complete:
            self._upstream = None  # it is in the pool again, and may be another's
        self.deadline_ms = NEVER  # the control plane keeps its own time from here on
        self._is_chunked = must_chunk(self._head, head)
        if ends_with_connection(self._head, head, is_chunked=self._is_chunked):
            self._connection.end_with_answer()
        data = b"%b%bx-request-id: %b\r\n%b%b\r\n" % (
            status_line(head.status),
            head.kept,
            self._request_id.encode(),
            b"connection: close\r\n" if self._connection.will_close() else b"",
            framing_field(head, is_chunked=self._is_chunked),
        )
        self._connection.write(data + self._framed(payload, is_complete=is_complete))
        if is_complete:
            self._finish()

    def answer_continued(self, payload: bytes, *, is_complete: bool) -> None:
        if is_complete:
            self._upstream = None
        self._connection.write(self._framed(payload, is_complete=is_complete))
        if is_complete:
            self._finish()

    def _framed(self, payload: bytes, *, is_complete: bool) -> bytes:
        if not self._is_chunked:
            return payload
        return (chunk(payload) if payload else b"") + (LAST_CHUNK if is_complete else b"")

    def answer_lost(self, loss: Loss) -> None:
        self._upstream = None
        if self._has_answer:
            self._is_cut = True
            self._finish()
        elif self._repeats_left and loss is Loss.CLOSED:
            self._repeats_left -= 1
            self._ask()
        else:
            self._refuse()

    def _refuse(self) -> None:
        self._say_no(self.NO_ANSWER)

    def _say_no(self, refusal: Refusal) -> None:
        self._connection.write(
            refusal_answer(
                self._plan.shape,
                refusal,
                request_id=self._request_id,
                retry_after_s=1 if refusal.status == 503 else None,
                will_close=self._connection.will_close(),
                is_head=self._head.method == b"HEAD",
            )
        )
        self._finish()

    def _finish(self) -> None:
        self._gateway.running.discard(self)
        self._upstream = None
        if self._is_cut:
            self._connection.break_off()
        else:
            self._connection.finish()

    # --- what may happen meanwhile ---

    def deadline_passed(self) -> None:
        self._let_go()
        self._refuse()

    def client_gone(self) -> None:
        self._gateway.running.discard(self)
        self._let_go()

    def _let_go(self) -> None:
        if self._waiting is not None:
            self._pool.cancel(self._waiting)
            self._waiting = None
        if self._upstream is not None:
            self._upstream.abandon()
            self._upstream = None

    def client_slow(self) -> None:
        if self._upstream is not None:
            self._upstream.pause()

    def client_ready(self) -> None:
        if self._upstream is not None:
            self._upstream.resume()
