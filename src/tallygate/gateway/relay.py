"""From the first byte of an answer to the journal entry, and the last byte after it.

What the upstream sends goes on as it comes; from the terminal event on it waits until the entry is
in the journal, so that no client holds a complete answer that is not on the books. A client that
hangs up changes nothing but that: the upstream is read on for its usage (draining.py).
"""

import enum
from typing import TYPE_CHECKING

import msgspec

from tallygate.core.entry import Outcome
from tallygate.core.meters import Meter
from tallygate.gateway.draining import drain, drain_until_ms, stop_draining
from tallygate.gateway.entries import entry_of
from tallygate.gateway.framing import chunk, first_head, must_chunk, whole_head
from tallygate.gateway.gathered import Gathered
from tallygate.gateway.kept_answer import KeptAnswer
from tallygate.gateway.metering import meter_of_answer
from tallygate.gateway.verdicts import is_given_back
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
_UPSTREAM_ERROR = Outcome.UPSTREAM_ERROR


class Relay(Gathered):
    """One answer on its way to the client."""

    __slots__ = (
        "_is_chunked",
        "_is_cut",
        "_kept",
        "_phase",
        "_sent_bytes",
        "_tail",
        "deadline_ms",
        "drained_bytes",
        "exchange",
        "first_byte_ms",
        "is_answer_over",
        "meter",
        "status",
    )

    def __init__(self, exchange: "MeteredExchange") -> None:
        self.exchange = exchange
        self.status = 0  # no answer began
        self.meter: Meter | None = None
        self.is_answer_over = False
        self.first_byte_ms = 0
        self.deadline_ms = 0
        self.drained_bytes = 0
        self._phase = _RELAYING
        self._is_chunked = False
        self._is_cut = False
        self._tail = b""
        self._kept = KeptAnswer(exchange) if exchange.is_claimed else None
        self._sent_bytes = 0

    def __repr__(self) -> str:
        return f"<Relay {self.exchange.request_id} {self._phase.name} {self.status}>"

    # --- the answer ---

    def began(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        exchange = self.exchange
        self.first_byte_ms = exchange.gateway.wall_ms()
        self.status = head.status
        self.is_answer_over = is_complete
        if exchange.is_client_gone:
            self._phase = _DRAINING
        if self._kept is not None:
            self._kept.began(head.content_type, head.encoding)
            self._kept.add(payload)
        meter = self.meter = meter_of_answer(exchange, head)
        payload = meter.feed(payload)
        if is_complete:
            meter.finish()
            payload += meter.take_held()
            answer = whole_head(exchange, head, len(payload), meter) + payload
            self.end(answer, ended_ms=self.first_byte_ms)
        else:
            self._follow(head, meter, payload)

    def _follow(self, head: AnswerHead, meter: Meter, payload: bytes) -> None:
        """The answer goes on: be told of the rest."""
        exchange = self.exchange
        exchange.connection.handler = self
        assert exchange.upstream_connection is not None
        exchange.upstream_connection.asker = self
        exchange.gateway.running.discard(exchange)
        exchange.gateway.running.add(self)
        self._extend_deadline()
        request = exchange.request
        # The client may get fewer bytes than the upstream announces.
        strips = request is not None and request.is_stream and not request.wants_usage_chunk
        self._is_chunked = must_chunk(exchange.head, head, keeps_length=not strips)
        if not self._is_chunked and head.length >= 0 and strips:
            head = msgspec.structs.replace(head, length=-1)  # HTTP/1.0: the end will tell
        first = first_head(exchange, head, is_chunked=self._is_chunked) + self._framed(payload)
        if meter.is_terminal:
            self.end(first + self._framed(meter.take_held()))
        elif self._phase is _RELAYING:
            self._send(first)

    def answer_began(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        raise AssertionError("an answer begins once")

    def answer_continued(self, payload: bytes, *, is_complete: bool) -> None:
        meter, phase, exchange = self.meter, self._phase, self.exchange
        assert meter is not None
        if self._kept is not None:
            self._kept.add(payload)
        out = meter.feed(payload)
        if is_complete:
            self.is_answer_over = True
            exchange.upstream_connection = None
        if phase is _RELAYING:
            if is_complete:
                meter.finish()
                self.end(self._framed(out + meter.take_held()) + self._last_chunk())
            elif meter.is_terminal:
                self.end(self._framed(out + meter.take_held()))
            else:
                deadline_ms = exchange.gateway.swept_ms + exchange.deadlines.between_bytes_ms
                latest_ms = exchange.total_deadline_ms
                self.deadline_ms = deadline_ms if deadline_ms < latest_ms else latest_ms
                if out:
                    self._send(self._framed(out))
        elif phase is _DRAINING:
            drain(self, len(payload), is_over=is_complete or meter.is_terminal)
        elif phase in (_RECORDING, _FINISHING):
            self._follow_up(self._framed(out) + (self._last_chunk() if is_complete else b""))

    def answer_lost(self, loss: Loss) -> None:
        exchange = self.exchange
        exchange.upstream_connection = None
        self.is_answer_over = True
        if self._phase in (_RELAYING, _DRAINING):
            meter = self.meter
            assert meter is not None
            meter.finish()
            self._is_cut = True
            exchange.upstream.breaker.failed(exchange.gateway.now_ms())
            outcome = _CUT if self._phase is _RELAYING else _CLIENT_GONE
            self.end(self._framed(meter.take_held()), outcome)
        elif self._phase in (_RECORDING, _FINISHING):
            self._follow_up(self._last_chunk())  # all that matters has come

    # --- bytes for the client ---

    def _framed(self, data: bytes) -> bytes:
        if not data or not self._is_chunked:
            return data
        return chunk(data)

    def _last_chunk(self) -> bytes:
        return LAST_CHUNK if self._is_chunked else b""

    def _send(self, data: bytes) -> None:
        self._sent_bytes += len(data)
        self.exchange.connection.write(data)

    def _follow_up(self, data: bytes) -> None:
        """Bytes after the terminal event: in order, behind the ones that wait for the journal."""
        if self._phase is _RECORDING:
            self._tail += data
        else:
            self.exchange.connection.write(data)
            if self.is_answer_over:
                self._finish()

    # --- the end ---

    def end(self, tail: bytes, outcome: Outcome | None = None, *, ended_ms: int = 0) -> None:
        """The request is over as far as the books go; no `outcome`: the answer came whole."""
        exchange = self.exchange
        gateway = exchange.gateway
        if outcome is None:
            breaker = exchange.upstream.breaker
            if breaker.failures and not is_given_back(self.status):
                breaker.succeeded()  # not at its beginning: it might have been cut like others
            if self._phase is _DRAINING:
                outcome = _CLIENT_GONE
            else:
                outcome = _OK if self.status < 400 else _UPSTREAM_ERROR
        self._phase = _RECORDING
        self._tail = tail
        exchange.connection.handler = self
        gateway.recorder.record(
            self,
            entry_of(
                exchange,
                status=self.status,
                outcome=outcome,
                meter=self.meter,
                first_byte_ms=self.first_byte_ms,
                ended_ms=ended_ms or gateway.wall_ms(),
                bytes_out=self._sent_bytes + len(tail),
            ),
        )

    def journaled(self) -> None:
        self._phase = _FINISHING
        tail, self._tail = self._tail, b""
        if tail:
            self.exchange.connection.write(tail)
        if self.is_answer_over:
            self._finish()

    def journal_failed(self) -> None:
        """Not on the books: the client must not take the answer for complete."""
        exchange = self.exchange
        self._phase = _DONE
        exchange.gateway.running.discard(exchange)
        exchange.gateway.running.discard(self)
        if exchange.upstream_connection is not None:
            exchange.upstream_connection.abandon()
        if self._kept is not None:
            self._kept.fulfil(self.status, is_whole=False)
        if not exchange.is_client_gone:
            exchange.connection.abort()

    def _finish(self) -> None:
        self._phase = _DONE
        exchange = self.exchange
        running = exchange.gateway.running
        running.discard(exchange)
        running.discard(self)
        if self._kept is not None:
            is_whole = not self._is_cut and not exchange.is_client_gone
            self._kept.fulfil(self.status, is_whole=is_whole)
        if exchange.is_client_gone:
            return
        if self._is_cut:
            exchange.connection.break_off()
        else:
            exchange.connection.finish()

    # --- what may happen meanwhile ---

    def _extend_deadline(self) -> None:
        exchange = self.exchange
        wait_ms = exchange.deadlines.between_bytes_ms
        deadline_ms = min(exchange.total_deadline_ms, exchange.gateway.swept_ms + wait_ms)
        if self._phase is _DRAINING:
            deadline_ms = min(deadline_ms, drain_until_ms(self))
        self.deadline_ms = deadline_ms

    def deadline_passed(self) -> None:
        if self._phase is _DRAINING:
            stop_draining(self)
        elif not self.is_answer_over:  # else it is whole, and only waits for the journal
            self.exchange.abandon_upstream()
            self.answer_lost(Loss.TIMED_OUT)

    def client_gone(self) -> None:
        exchange = self.exchange
        exchange.is_client_gone = True
        if self._phase is _RELAYING:
            self._phase = _DRAINING
            self._extend_deadline()
            if exchange.upstream_connection is not None:
                exchange.upstream_connection.resume()
        elif self._phase is _FINISHING:
            exchange.abandon_upstream()
            self._finish()

    def client_slow(self) -> None:
        if self.exchange.upstream_connection is not None:
            self.exchange.upstream_connection.pause()
            if self._phase is _RELAYING:  # its silence is ours from here on
                self.deadline_ms = self.exchange.total_deadline_ms

    def client_ready(self) -> None:
        if self.exchange.upstream_connection is not None:
            self.exchange.upstream_connection.resume()
            self._extend_deadline()
