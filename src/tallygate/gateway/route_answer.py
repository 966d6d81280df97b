"""A private service's answer on its way to the client, and its end on the books.

What comes goes on as it comes; only the last piece waits until the entry is in the journal, so that
no client holds a complete answer that is not recorded. Who leaves ends the request at the backend.
"""

from typing import TYPE_CHECKING

from tallygate.core.entry import Entry, Outcome
from tallygate.core.errors import Code, Refusal
from tallygate.gateway import websocket
from tallygate.gateway.admit import limit_fields, settle
from tallygate.gateway.answers import refusal_answer, status_line
from tallygate.gateway.backends import Backend
from tallygate.gateway.framing import chunk, ends_with_connection, framing_field, must_chunk
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.lease import Taken
from tallygate.gateway.plan import Plan
from tallygate.gateway.route_body import StreamedBody
from tallygate.wire.answer import AnswerHead
from tallygate.wire.chunked import LAST_CHUNK
from tallygate.wire.front import NEVER, Connection
from tallygate.wire.head import RequestHead
from tallygate.wire.upstream import Loss

if TYPE_CHECKING:
    from tallygate.gateway.application import Gateway

_REFUSALS = {
    Loss.TIMED_OUT: Refusal(Code.UPSTREAM_TIMEOUT, "The service did not answer in time."),
    Loss.MALFORMED: Refusal(Code.UPSTREAM_MISBEHAVED, "The service's answer is malformed."),
    Loss.REFUSED_ADDRESS: Refusal(
        Code.UPSTREAM_UNREACHABLE, "The service is at an address that no route may lead to."
    ),
}
_UNREACHABLE = Refusal(Code.UPSTREAM_UNREACHABLE, "The service could not be reached.")


class RoutedAnswer(StreamedBody):
    """Base of an exchange: its answer."""

    __slots__ = (
        "_first_byte_ms",
        "_is_answer_over",
        "_is_chunked",
        "_is_cut",
        "_is_recorded",
        "_status",
        "_tail",
        "address",
        "admitted_ms",
        "backend",
        "bytes_out",
        "deadline_ms",
        "head",
        "is_client_gone",
        "known",
        "latest_ms",
        "plan",
        "request_id",
        "taken",
    )

    def __init__(
        self, gateway: "Gateway", connection: Connection, head: RequestHead, plan: Plan
    ) -> None:
        super().__init__(gateway, connection)
        assert plan.backend is not None, "a route has a backend"
        self.head = head
        self.plan = plan
        self.backend: Backend = plan.backend
        self.request_id = gateway.next_request_id()
        self.known: KnownKey | None = None
        self.address = ""
        self.taken: list[Taken] = []
        self.admitted_ms = 0
        self.deadline_ms = 0
        self.latest_ms = NEVER
        self.bytes_out = 0
        self.is_client_gone = False
        self._status = 0  # no answer began
        self._first_byte_ms = 0
        self._is_answer_over = False
        self._is_chunked = False
        self._is_cut = False
        self._is_recorded = False  # its entry is written, or waits to be
        self._tail = b""

    # --- the answer ---

    def answer_began(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        if head.status == 101:
            self._began_tunnel(head, payload)
            return
        breaker = self.backend.breaker
        if breaker.failures:
            breaker.succeeded()
        self._status = head.status
        self._first_byte_ms = self.gateway.wall_ms()
        request = self.head
        self._is_chunked = must_chunk(request, head, keeps_length=True)
        if ends_with_connection(request, head, is_chunked=self._is_chunked):
            self.connection.end_with_answer()
        data = b"%b%b%bx-request-id: %b\r\n%b%b\r\n" % (
            status_line(head.status),
            self.backend.answer_lines(head),
            limit_fields(self.taken, self.admitted_ms) if self.taken else b"",
            self.request_id.encode(),
            b"connection: close\r\n" if self.connection.will_close() else b"",
            framing_field(head, is_chunked=self._is_chunked),
        )
        if is_complete:
            self._complete(data + self._framed(payload) + self._last_chunk())
        else:
            self._send(data + self._framed(payload))

    def answer_continued(self, payload: bytes, *, is_complete: bool) -> None:
        if is_complete:
            self._complete(self._framed(payload) + self._last_chunk())
        else:
            self._send(self._framed(payload))

    def answer_lost(self, loss: Loss) -> None:
        self.upstream_connection = None
        if not self._status:
            self._never_began(loss)
            return
        if self._is_tunnel:
            self._complete(b"")
            return
        self._is_cut = self._is_answer_over = True
        self._record(b"", Outcome.CUT)

    def _never_began(self, loss: Loss) -> None:
        """Nobody answers: this goes on the books too, for the backend may have done its work."""
        self.backend.breaker.failed(self.gateway.now_ms())
        refusal = _REFUSALS.get(loss, _UNREACHABLE)
        self._is_answer_over = True
        self._status = refusal.status
        self._record(self._refusal(refusal), Outcome.UNREACHABLE)

    def _began_tunnel(self, head: AnswerHead, payload: bytes) -> None:
        if not websocket.is_accepted(self.head, head):
            if self.upstream_connection is not None:
                self.upstream_connection.abandon()
            self.answer_lost(Loss.MALFORMED)
            return
        self._status = 101
        self._first_byte_ms = self.gateway.wall_ms()
        self._is_tunnel = True
        self._is_body_ended = False
        self._send(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
            b"%bx-request-id: %b\r\n\r\n%b"
            % (self.backend.answer_lines(head), self.request_id.encode(), payload)
        )
        early = self.connection.open_tunnel()
        if early:
            self.body_received(early)

    # --- bytes for the client ---

    def _framed(self, data: bytes) -> bytes:
        return chunk(data) if data and self._is_chunked else data

    def _last_chunk(self) -> bytes:
        return LAST_CHUNK if self._is_chunked else b""

    def _send(self, data: bytes) -> None:
        self.bytes_out += len(data)
        self.connection.write(data)
        if not self.connection.is_slow:  # else the client's own deadline counts
            self._wait(self.backend.route.deadlines.between_bytes_ms)

    def _wait(self, wait_ms: int) -> None:
        deadline_ms = self.gateway.swept_ms + wait_ms
        self.deadline_ms = deadline_ms if deadline_ms < self.latest_ms else self.latest_ms

    def request_moved(self) -> None:
        deadlines = self.backend.route.deadlines
        self._wait(deadlines.between_bytes_ms if self._status else deadlines.first_byte_ms)

    # --- the end ---

    def _complete(self, tail: bytes) -> None:
        self.upstream_connection = None  # it is in the pool again, and may be another's
        self._is_answer_over = True
        self._record(tail, Outcome.OK if self._status < 400 else Outcome.UPSTREAM_ERROR)

    def _record(self, tail: bytes, outcome: Outcome) -> None:
        self._is_recorded = True
        self._tail = tail
        self.bytes_out += len(tail)
        self.deadline_ms = NEVER
        self.gateway.recorder.record(self, self._entry(outcome))

    def _entry(self, outcome: Outcome) -> Entry:
        gateway, known, status = self.gateway, self.known, self._status
        assert known is not None, "only who was identified is let through"
        key = known.key
        ended_ms = gateway.wall_ms()
        duration_ms = ended_ms - self.admitted_ms
        # A backend's own no counts, or who guesses there would guess for nothing.
        is_counted = status < 500 and outcome is not Outcome.UNREACHABLE
        route = self.backend.route
        gateway.counters.ended(outcome, status, duration_ms, {}, route.host + route.path)
        first_byte_ms = self._first_byte_ms
        return Entry(
            self.request_id,
            key.tenant_id,
            key.id,
            key.user_id,
            self.admitted_ms,
            duration_ms,
            first_byte_ms - self.admitted_ms if first_byte_ms else duration_ms,
            self.plan.route,
            "",
            "",
            status,
            outcome,
            "",
            is_counted,
            {},
            settle(self.taken, is_counted=is_counted, tokens=0) if self.taken else [],
            self.address,
            self.plan.agent,
            self.bytes_in,
            self.bytes_out,
            [],
            None,
            None,
            self.plan.traceparent,
        )

    def journaled(self) -> None:
        tail, self._tail = self._tail, b""
        self.gateway.running.discard(self)
        if self.is_client_gone:
            return
        if tail:
            self.connection.write(tail)
        if self._is_cut:
            self.connection.break_off()
        else:
            self.connection.finish()

    def journal_failed(self) -> None:
        """Not on the books: the client must not take the answer for complete."""
        self.gateway.running.discard(self)
        if not self.is_client_gone:
            self.connection.abort()

    def _refusal(
        self, refusal: Refusal, *, retry_after_s: int | None = None, fields: bytes = b""
    ) -> bytes:
        return refusal_answer(
            self.plan.shape,
            refusal,
            request_id=self.request_id,
            retry_after_s=retry_after_s,
            fields=fields,
            will_close=self.connection.will_close(),
            is_head=self.head.method == b"HEAD",
        )

    # --- what may happen meanwhile ---

    def client_slow(self) -> None:
        if self.upstream_connection is not None:
            self.upstream_connection.pause()
            self.deadline_ms = self.latest_ms  # the backend's silence is ours from here on

    def client_ready(self) -> None:
        if self.upstream_connection is not None:
            self.upstream_connection.resume()
            self.request_moved()
        if self._is_tunnel:
            self.connection.deadline_ms = NEVER
