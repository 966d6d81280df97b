"""Meters Dify's answers: which event it was, and the tokens of each model that took part.

Errors come inside a stream that began well, and tokens were spent all the same. What an answer's
events say together is worked out in dify_reading.py.
"""

from typing import ClassVar, Final

from tallygate.core.meters.body import BodyMeter
from tallygate.core.meters.dify_reading import (
    NOTHING,
    Members,
    Part,
    Reading,
    Said,
    members_of,
    string_of,
    summed,
)
from tallygate.core.meters.report import last_report
from tallygate.core.meters.sse import data_of, event_end
from tallygate.core.meters.stream import Phase, StreamMeter, Verdict
from tallygate.core.request import Dialect
from tallygate.core.usage import Source, Usage

NODE_LENGTH_MAX: Final = 8 * 1024 * 1024  # prompts and documents are within a node's event
HELD_LENGTH_MAX: Final = 256 * 1024
_WORKFLOW: Final = Dialect.DIFY_WORKFLOW
_TRIMMINGS: Final = 500  # bytes of a plain answer without its text


class DifyStream(StreamMeter):
    """An answer in streaming mode.

    A chat is over with `message_end`, a workflow with `workflow_finished`, each of them with
    `error`. Where a chat is a workflow too, it is over with the later of the two: from
    `message_end` on everything is held, and the other one is waited for.
    """

    __slots__ = ("_dialect", "_has_workflow", "_is_end_seen", "_read_to", "_reading")

    UNIT: ClassVar[bytes] = b'"answer"'
    TRIMMINGS: ClassVar[int] = 300
    LINES: ClassVar[int] = 2

    def __init__(self, dialect: Dialect, input_tokens_estimate: int) -> None:
        super().__init__(input_tokens_estimate)
        self._dialect = dialect
        self._reading = Reading()
        self._has_workflow = False  # one has begun and not ended
        self._is_end_seen = False
        self._read_to = 0  # in the buffer, while an end is waited for

    def feed(self, data: bytes) -> bytes:
        if self._phase is Phase.HOLDING and not self.is_terminal:
            self._buffer += data
            self._wait_for_the_other_end()
            return b""
        passed = self._feed_closely(data)
        if self.is_terminal and self._phase is Phase.HOLDING:
            self.is_terminal = self._is_over
            if not self.is_terminal:
                self._wait_for_the_other_end()
        return passed

    def finish(self) -> None:
        if self._phase is Phase.HOLDING and not self.is_terminal:
            self._read(bytes(self._buffer[self._read_to :]))
        super().finish()

    def usage(self) -> Usage:
        parts, source = self._judge()
        return summed(parts, source)

    def said(self) -> Said:
        return self._reading.said(self._judge()[0])

    @property
    def _is_over(self) -> bool:
        return self.saw_error or (self._is_end_seen and not self._has_workflow)

    def _judge(self) -> tuple[tuple[Part, ...], Source]:
        if not self._reading.has_usage and not self._units:
            return (), Source.MISSING
        return self._reading.judge(self._input_estimate, self._estimate_output())

    def _wait_for_the_other_end(self) -> None:
        """Read on in what is held; too much of it is let go, with what is known."""
        buffer = self._buffer
        while not self.is_terminal and (end := event_end(buffer, self._read_to)):
            self._read(bytes(buffer[self._read_to : end]))
            self._read_to = end
            self.is_terminal = self._is_over
        self.is_terminal = self.is_terminal or len(buffer) > HELD_LENGTH_MAX

    def _is_telling(self, events: bytes) -> bool:
        return (
            events.find(b'"node_finished"') >= 0
            or events.find(b'"message_end"') >= 0
            or events.find(b'"workflow_') >= 0
            or events.find(b'"error"') >= 0
        )

    def _is_terminal_head(self, head: bytes | bytearray) -> bool:
        start = bytes(head[:512])
        return b'"message_end"' in start or b'"workflow_finished"' in start

    def _read(self, event: bytes) -> Verdict:
        members = members_of(data_of(event))
        name = string_of(members.get("event", NOTHING))
        reading = self._reading
        reading.identify(members)
        if self._looks:
            self._looks -= 1
        is_workflow = self._dialect is _WORKFLOW
        match name:
            case "message_end":
                reading.message_ended(members)
                self._is_end_seen = True
                return Verdict.TERMINAL
            case "workflow_started":
                self._has_workflow = not is_workflow
            case "workflow_finished":
                reading.workflow_finished(members)
                self._has_workflow = False
                self._is_end_seen = self._is_end_seen or is_workflow
                return Verdict.TERMINAL if is_workflow else Verdict.PASS
            case "node_finished":
                reading.node_finished(members)
            case "error":
                self.saw_error = True
                return Verdict.TERMINAL
            case "message" | "agent_message" | "text_chunk":
                self._count_text(event, members)
        return Verdict.PASS

    def _count(self, events: bytes) -> None:
        super()._count(events)
        if self._dialect is _WORKFLOW:
            self._units += events.count(b'"text_chunk"')

    def _count_text(self, event: bytes, members: Members) -> None:
        """The first events show how much of one is not text."""
        text = members.get("answer", NOTHING)
        if text:
            self._trimmings = min(self._trimmings, len(event) - len(text) + 2)  # less its quotes
        self._count(event)

    def _release(self) -> bytes:
        """A node's event is worth waiting for: it alone names the model."""
        buffer = self._buffer
        if len(buffer) <= NODE_LENGTH_MAX and b'"node_finished"' in buffer[:512]:
            return b""
        return super()._release()

    def _read_tail(self, tail: bytes) -> None:
        if self._is_oversized_terminal:
            self._is_end_seen = True
            self._reading.totals(last_report(tail))


class DifyBody(BodyMeter):
    """An answer in blocking mode: one object, of a message or of a workflow's run."""

    __slots__ = ("_reading",)

    def __init__(self, dialect: Dialect, input_tokens_estimate: int) -> None:
        super().__init__(dialect, input_tokens_estimate)
        self._reading = Reading()

    def usage(self) -> Usage:
        return summed(*self._judge())

    def said(self) -> Said:
        return self._reading.said(self._judge()[0])

    def _judge(self) -> tuple[tuple[Part, ...], Source]:
        if not self._has_read:
            self._read()
        if not self._reading.has_usage and (self.saw_error or not self._is_object()):
            return (), Source.MISSING
        output_estimate = max(0, self._length - _TRIMMINGS) // 4
        return self._reading.judge(self._input_estimate, output_estimate)

    def _read(self) -> None:
        self._has_read = True
        reading = self._reading = Reading()
        if self._tail is not None:
            reading.totals(last_report(bytes(self._tail)))
            return
        members = members_of(b"".join(self._parts))
        reading.identify(members)
        self.saw_error = "code" in members and "status" in members
        if "data" in members:
            reading.workflow_finished(members)
        else:
            reading.message_ended(members)
