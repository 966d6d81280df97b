"""From the first byte of an answer to the journal entry, and the last byte after it.

What the upstream sends goes on as it comes; from the terminal event on it waits until the entry is
in the journal, so that no client holds a complete answer that is not on the books. A client that
hangs up changes nothing but that: the upstream is read on, within bounds, for its usage.
"""

import enum
from typing import TYPE_CHECKING

from tallygate.core.entry import Outcome
from tallygate.core.errors import Refusal
from tallygate.core.meters import Meter
from tallygate.gateway.admit import limit_fields
from tallygate.gateway.answers import refusal_answer, status_line
from tallygate.gateway.claims import ANSWER_BYTES_MAX
from tallygate.gateway.entries import entry_of
from tallygate.gateway.framing import chunk, ends_with_connection, framing_field, must_chunk
from tallygate.gateway.metering import meter_of_answer
from tallygate.gateway.verdicts import (
    is_given_back,
    is_withheld,
    refusal_of_loss,
    refusal_of_withheld,
)
from tallygate.wire.answer import AnswerHead
from tallygate.wire.chunked import LAST_CHUNK
from tallygate.wire.upstream import Loss

if TYPE_CHECKING:
    from tallygate.gateway.exchange import MeteredExchange


class Phase(enum.IntEnum):
    """Only ever goes on."""

    RELAYING = 0
    DRAINING = 1  # the client is gone, the usage is still wanted
    RECORDING = 2  # the entry waits for the journal, and the last bytes for the entry
    FINISHING = 3  # on record; the upstream has not closed its framing yet
    DONE = 4


# Looking a member up by its class costs more than all that is compared with it (Python 3.11).
_RELAYING, _DRAINING, _RECORDING, _FINISHING, _DONE = Phase
_OK, _CLIENT_GONE, _CUT = Outcome.OK, Outcome.CLIENT_GONE, Outcome.CUT
_UPSTREAM_ERROR, _UNREACHABLE = Outcome.UPSTREAM_ERROR, Outcome.UNREACHABLE


class Relay:
    """One answer on its way to the client."""

    __slots__ = (
        "_content_type",
        "_drained_bytes",
        "_exchange",
        "_first_byte_ms",
        "_is_answer_over",
        "_is_broken",
        "_is_chunked",
        "_kept",
        "_meter",
        "_phase",
        "_sent_bytes",
        "_status",
        "_tail",
        "deadline_ms",
    )

    def __init__(self, exchange: "MeteredExchange") -> None:
        self._exchange = exchange
        self._phase = _RELAYING
        self._status = 0  # no answer began
        self._content_type = b""
        self._meter: Meter | None = None
        self._is_chunked = False
        self._is_answer_over = False
        self._is_broken = False
        self._tail = b""
        self._kept: list[bytes] | None = [] if exchange.is_claimed else None
        self._sent_bytes = 0
        self._drained_bytes = 0
        self._first_byte_ms = 0
        self.deadline_ms = 0

    def __repr__(self) -> str:
        return f"<Relay {self._exchange.request_id} {self._phase.name} {self._status}>"

    # --- the answer ---

    def began(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        exchange = self._exchange
        gateway = exchange.gateway
        self._first_byte_ms = gateway.wall_ms()
        self._status = head.status
        self._content_type = head.content_type
        self._is_answer_over = is_complete
        if exchange.is_client_gone:
            self._phase = _DRAINING
        if head.status != 200 and is_withheld(head.status):
            self._withhold(head)
            return
        if head.encoding not in (b"", b"identity"):
            self._kept = None  # repeated without that field it could not be read
        self._keep(payload)
        meter = self._meter = meter_of_answer(exchange, head)
        payload = meter.feed(payload)
        if is_complete:
            meter.finish()
            payload += meter.take_held()
            self._end(self._head_bytes(head, len(payload)) + payload)
            return
        exchange.connection.handler = self
        assert exchange.upstream_connection is not None
        exchange.upstream_connection.asker = self
        gateway.running.discard(exchange)
        gateway.running.add(self)
        self._extend_deadline()
        self._is_chunked = must_chunk(exchange.head, head, keeps_length=not self._strips())
        if not self._is_chunked and head.length >= 0 and self._strips():
            head = head.copy()  # HTTP/1.0, and fewer bytes than announced: the end will tell
            head.length = -1
        first = self._head_bytes(head, -1) + self._framed(payload)
        if meter.is_terminal:
            self._end(first + self._framed(meter.take_held()))
        elif self._phase is _RELAYING:
            self._send(first)

    def answer_began(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        raise AssertionError("an answer begins once")

    def answer_continued(self, payload: bytes, *, is_complete: bool) -> None:
        meter, phase = self._meter, self._phase
        assert meter is not None
        self._keep(payload)
        out = meter.feed(payload)
        if is_complete:
            self._is_answer_over = True
            self._exchange.upstream_connection = None
        if phase is _RELAYING:
            if is_complete:
                meter.finish()
                self._end(self._framed(out + meter.take_held()) + self._last_chunk())
            elif meter.is_terminal:
                self._end(self._framed(out + meter.take_held()))
            else:
                exchange = self._exchange
                deadline_ms = exchange.gateway.swept_ms + self._between_bytes_ms
                latest_ms = exchange.total_deadline_ms
                self.deadline_ms = deadline_ms if deadline_ms < latest_ms else latest_ms
                if out:
                    self._send(self._framed(out))
        elif phase is _DRAINING:
            self._drain(len(payload), is_over=is_complete or meter.is_terminal)
        elif phase in (_RECORDING, _FINISHING):
            self._follow_up(self._framed(out) + (self._last_chunk() if is_complete else b""))

    def answer_lost(self, loss: Loss) -> None:
        self._exchange.upstream_connection = None
        self._is_answer_over = True
        if self._phase in (_RELAYING, _DRAINING):
            meter = self._meter
            assert meter is not None
            meter.finish()
            self._is_broken = True
            self._exchange.upstream.breaker.failed(self._exchange.gateway.now_ms())
            outcome = _CUT if self._phase is _RELAYING else _CLIENT_GONE
            self._end(self._framed(meter.take_held()), outcome)
        elif self._phase in (_RECORDING, _FINISHING):
            self._follow_up(self._last_chunk())  # all that matters has come

    def never_began(self, loss: Loss) -> None:
        """No upstream answered."""
        self._is_answer_over = True
        refusal = refusal_of_loss(loss)
        self._end_refused(refusal, refusal.status, _UNREACHABLE)

    def given_up(self) -> None:
        """The client had left, and no more is waited for: the provider has read the request."""
        self._phase = _DRAINING
        self._is_answer_over = True
        self._end(b"", _CLIENT_GONE)

    def _withhold(self, head: AnswerHead) -> None:
        """An answer that is about the operator's own account: its status goes on, its text not."""
        exchange = self._exchange
        if not self._is_answer_over and exchange.upstream_connection is not None:
            exchange.upstream_connection.abandon()
        exchange.upstream_connection = None
        self._is_answer_over = True
        refusal, status = refusal_of_withheld(head.status)
        self._end_refused(refusal, status, _UPSTREAM_ERROR)

    def _end_refused(self, refusal: Refusal, status: int, outcome: Outcome) -> None:
        exchange = self._exchange
        self._status = status
        self._end(
            refusal_answer(
                exchange.plan.shape,
                refusal,
                request_id=exchange.request_id,
                status=status,
                fields=limit_fields(exchange.taken, exchange.gateway.wall_ms()),
                will_close=exchange.connection.will_close(),
                is_head=exchange.head.method == b"HEAD",
            ),
            outcome,
        )

    # --- bytes for the client ---

    def _keep(self, payload: bytes) -> None:
        """Keep a copy for a repeated call with the same Idempotency-Key; streams are not kept."""
        if self._kept is None:
            return
        request = self._exchange.request
        self._kept.append(payload)
        is_stream = request is not None and request.is_stream
        if is_stream or sum(map(len, self._kept)) > ANSWER_BYTES_MAX:
            self._kept = None

    def _head_bytes(self, head: AnswerHead, length: int) -> bytes:
        """The head of the answer; `length` -1 when the body is still coming."""
        exchange = self._exchange
        will_close = exchange.connection.will_close()
        if length >= 0 and not head.has_no_body and exchange.head.method != b"HEAD":
            framing = b"content-length: %d\r\n" % length
        else:
            framing = framing_field(head, is_chunked=self._is_chunked)
            if ends_with_connection(exchange.head, head, is_chunked=self._is_chunked):
                will_close = self._is_broken = True  # the end of the connection ends the body
        return b"%b%bx-request-id: %b\r\n%b%b%b\r\n" % (
            status_line(head.status),
            head.kept,
            exchange.request_id.encode(),
            limit_fields(exchange.taken, exchange.admitted_ms),
            b"connection: close\r\n" if will_close else b"",
            framing,
        )

    def _strips(self) -> bool:
        """Whether the client may get fewer bytes than the upstream announces."""
        request = self._exchange.request
        return request is not None and request.is_stream and not request.wants_usage_chunk

    def _framed(self, data: bytes) -> bytes:
        if not data or not self._is_chunked:
            return data
        return chunk(data)

    def _last_chunk(self) -> bytes:
        return LAST_CHUNK if self._is_chunked else b""

    def _send(self, data: bytes) -> None:
        self._sent_bytes += len(data)
        self._exchange.connection.write(data)

    def _follow_up(self, data: bytes) -> None:
        """Bytes after the terminal event: in order, behind the ones that wait for the journal."""
        if self._phase is _RECORDING:
            self._tail += data
        else:
            self._exchange.connection.write(data)
            if self._is_answer_over:
                self._finish()

    # --- the end ---

    def _drain(self, received: int, *, is_over: bool) -> None:
        exchange = self._exchange
        self._drained_bytes += received
        if is_over:
            assert self._meter is not None
            self._meter.finish()
            self._end(b"", _CLIENT_GONE)
        elif self._drained_bytes > exchange.gateway.client_gone_drain_bytes_max:
            self._stop_draining()

    def _stop_draining(self) -> None:
        exchange = self._exchange
        assert self._meter is not None
        if exchange.upstream_connection is not None:
            exchange.upstream_connection.abandon()
            exchange.upstream_connection = None
        self._is_answer_over = True
        self._meter.finish()
        self._end(b"", _CLIENT_GONE)

    def _end(self, tail: bytes, outcome: Outcome | None = None) -> None:
        """The request is over as far as the books go."""
        exchange = self._exchange
        gateway = exchange.gateway
        if outcome is None:
            if self._phase is _DRAINING:
                outcome = _CLIENT_GONE
            else:
                outcome = _OK if self._status < 400 else _UPSTREAM_ERROR
        self._phase = _RECORDING
        self._tail = tail
        exchange.connection.handler = self
        gateway.recorder.record(
            self,
            entry_of(
                exchange,
                status=self._status,
                outcome=outcome,
                meter=self._meter,
                first_byte_ms=self._first_byte_ms,
                ended_ms=gateway.wall_ms(),
                bytes_out=self._sent_bytes + len(tail),
            ),
        )

    def journaled(self) -> None:
        self._phase = _FINISHING
        exchange = self._exchange
        tail, self._tail = self._tail, b""
        if tail:
            exchange.connection.write(tail)
        if self._is_answer_over:
            self._finish()

    def journal_failed(self) -> None:
        """Not on the books: the client must not take the answer for complete."""
        exchange = self._exchange
        self._phase = _DONE
        exchange.gateway.running.discard(exchange)
        exchange.gateway.running.discard(self)
        if exchange.upstream_connection is not None:
            exchange.upstream_connection.abandon()
        if exchange.is_claimed:
            self._kept = None
            self._fulfil()
        if not exchange.is_client_gone:
            exchange.connection.abort()

    def _finish(self) -> None:
        self._phase = _DONE
        exchange = self._exchange
        running = exchange.gateway.running
        running.discard(exchange)
        running.discard(self)
        if exchange.is_claimed:
            self._fulfil()
        if exchange.is_client_gone:
            return
        if self._is_broken:
            exchange.connection.break_off()
        else:
            exchange.connection.finish()

    def _fulfil(self) -> None:
        exchange = self._exchange
        claims = exchange.gateway.claims
        if is_given_back(self._status):
            claims.release(exchange)
        else:
            is_whole = (
                self._kept is not None and not self._is_broken and not exchange.is_client_gone
            )
            answer = b"".join(self._kept or ()) if is_whole else None
            claims.fulfil(exchange, self._status, self._content_type.decode("latin-1"), answer)

    # --- what may happen meanwhile ---

    @property
    def _between_bytes_ms(self) -> int:
        return self._exchange.upstream.provider.deadlines.between_bytes_ms

    def _extend_deadline(self) -> None:
        exchange = self._exchange
        now_ms = exchange.gateway.swept_ms
        self.deadline_ms = min(exchange.total_deadline_ms, now_ms + self._between_bytes_ms)
        if self._phase is _DRAINING:
            self.deadline_ms = min(self.deadline_ms, now_ms + exchange.gateway.client_gone_drain_ms)

    def deadline_passed(self) -> None:
        exchange = self._exchange
        if self._phase is _DRAINING:
            self._stop_draining()
            return
        if self._is_answer_over:
            return  # whole; it only waits for the journal
        connection, exchange.upstream_connection = exchange.upstream_connection, None
        if connection is not None:
            connection.abandon()
        self.answer_lost(Loss.TIMED_OUT)

    def client_gone(self) -> None:
        exchange = self._exchange
        exchange.is_client_gone = True
        if self._phase is _RELAYING:
            self._phase = _DRAINING
            self._extend_deadline()
            if exchange.upstream_connection is not None:
                exchange.upstream_connection.resume()
        elif self._phase is _FINISHING:
            if exchange.upstream_connection is not None:
                exchange.upstream_connection.abandon()
                exchange.upstream_connection = None
            self._finish()

    def client_slow(self) -> None:
        if self._exchange.upstream_connection is not None:
            self._exchange.upstream_connection.pause()
            if self._phase is _RELAYING:  # its silence is ours from here on
                self.deadline_ms = self._exchange.total_deadline_ms

    def client_ready(self) -> None:
        if self._exchange.upstream_connection is not None:
            self._exchange.upstream_connection.resume()
            self._extend_deadline()

    def upstream_slow(self) -> None: ...

    def upstream_ready(self) -> None: ...

    def body_received(self, data: bytes) -> None:
        raise AssertionError("metered requests are gathered")

    def body_ended(self) -> None:
        raise AssertionError("metered requests are gathered")
