"""Meters Dify's answers: which event it was, and the tokens of each model that took part.

Nodes of a workflow name their models; `message_end` and `workflow_finished` only have totals, in
either order and of the same tokens. What the totals have beyond the nodes belongs to a model that
nobody named. Errors come inside a stream that began well, and tokens were spent all the same.
"""

from typing import ClassVar, Final

import msgspec

from tallygate.core.meters.body import BodyMeter
from tallygate.core.meters.report import (
    MODEL_LENGTH_MAX,
    DoubtfulReport,
    Report,
    last_report,
    read_answer,
    read_report,
)
from tallygate.core.meters.sse import data_of, event_end
from tallygate.core.meters.stream import Phase, StreamMeter, Verdict
from tallygate.core.request import Dialect
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS, Source, Usage

NODE_LENGTH_MAX: Final = 8 * 1024 * 1024  # prompts and documents are within a node's event
HELD_LENGTH_MAX: Final = 256 * 1024
NODES_MAX: Final = 10_000
ID_LENGTH_MAX: Final = 128

Members = dict[str, msgspec.Raw]
Part = tuple[str, dict[str, int]]  # the model, "" if nobody named it, and what it counted

_NOTHING: Final = msgspec.Raw()
_members = msgspec.json.Decoder(Members)
_text = msgspec.json.Decoder(str)
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_WORKFLOW: Final = Dialect.DIFY_WORKFLOW
_TRIMMINGS: Final = 500  # bytes of a plain answer without its text


class Said(msgspec.Struct, frozen=True):
    """What an answer says of itself. Ids that did not come are empty."""

    message_id: str
    run_id: str
    conversation_id: str
    parts: tuple[Part, ...]

    @property
    def aliases(self) -> tuple[tuple[str, str], ...]:
        """The names by which any source may speak of this event."""
        named = (("message", self.message_id), ("run", self.run_id))
        return tuple((kind, id_) for kind, id_ in named if id_)


class Reading:
    """What has been learned of one answer so far, in whatever order it came."""

    __slots__ = ("_nodes", "_report", "_total_tokens", "conversation_id", "message_id", "run_id")

    def __init__(self) -> None:
        self.message_id = self.run_id = self.conversation_id = ""
        self._nodes: dict[str, tuple[str, int, int]] = {}
        self._report: Report | None = None  # of message_end; it has input and output
        self._total_tokens: int | None = None  # of workflow_finished

    @property
    def has_usage(self) -> bool:
        return bool(self._nodes) or self._report is not None or self._total_tokens is not None

    def identify(self, event: Members) -> None:
        self.message_id = self.message_id or _id(event, "message_id")
        self.conversation_id = self.conversation_id or _id(event, "conversation_id")
        self.run_id = self.run_id or _id(event, "workflow_run_id")

    def message_ended(self, event: Members) -> None:
        """The totals of a message; in the tail of a giant event they may be all that is left."""
        self.message_id = self.message_id or _id(event, "id")
        answer = read_answer(event.get("metadata", _NOTHING))
        if answer is not None:
            self.totals(answer.usage)

    def totals(self, report: Report | None) -> None:
        if report is not None and report.says_anything:
            self._report = report

    def node_finished(self, event: Members) -> None:
        """A node that ran a model; what ran within another node has events of its own."""
        data = _object(event.get("data", _NOTHING))
        process = data.get("process_data", _NOTHING)
        model = _string(_object(process).get("model_name", _NOTHING))
        if not model or len(model) > MODEL_LENGTH_MAX or len(self._nodes) >= NODES_MAX:
            return
        for place in (process, data.get("outputs", _NOTHING)):  # older servers put it in outputs
            answer = read_answer(place)
            if answer is not None and answer.usage is not None and answer.usage.says_anything:
                used = answer.usage
                node_id = _id(data, "id") or str(len(self._nodes))
                self._nodes[node_id] = (model, used.input or 0, used.output or 0)
                return

    def workflow_finished(self, event: Members) -> None:
        report = read_report(event.get("data", _NOTHING))
        if report is None:
            return
        if report.input is not None and report.output is not None and self._report is None:
            self._report = report
        self._total_tokens = report.total_tokens

    def judge(self, input_estimate: int, output_estimate: int) -> tuple[tuple[Part, ...], Source]:
        """The tokens of each model, and how far they are to be trusted."""
        sums: dict[str, list[int]] = {}
        for model, read, written in self._nodes.values():
            of_model = sums.setdefault(model, [0, 0])
            of_model[0] += read
            of_model[1] += written
        known_in = sum(one[0] for one in sums.values())
        known_out = sum(one[1] for one in sums.values())
        rest_in, rest_out, source = self._rest(known_in, known_out, input_estimate, output_estimate)
        parts = [(model, _counts(*one)) for model, one in sorted(sums.items())]
        if rest_in or rest_out or not parts:
            parts.append(("", _counts(rest_in, rest_out)))
        return tuple(parts), source

    def _rest(
        self, known_in: int, known_out: int, input_estimate: int, output_estimate: int
    ) -> tuple[int, int, Source]:
        """What was used beyond the nodes that named their models."""
        report = self._report
        if report is not None:
            is_whole = report.input is not None and report.output is not None
            is_sound = is_whole and not isinstance(report, DoubtfulReport)
            total_in = input_estimate if report.input is None else report.input
            total_out = output_estimate if report.output is None else report.output
            source = Source.REPORTED if is_sound else Source.ESTIMATED
            return max(0, total_in - known_in), max(0, total_out - known_out), source
        unseen_out = max(0, output_estimate - known_out)
        if self._total_tokens is not None:
            rest = max(0, self._total_tokens - known_in - known_out)
            rest_out = min(rest, unseen_out)
            return rest - rest_out, rest_out, Source.ESTIMATED if rest else Source.REPORTED
        return input_estimate if unseen_out else 0, unseen_out, Source.ESTIMATED

    def said(self, parts: tuple[Part, ...]) -> Said:
        return Said(self.message_id, self.run_id, self.conversation_id, parts)


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
        return _summed(parts, source)

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
        members = _object(data_of(event))
        name = _string(members.get("event", _NOTHING))
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
        text = members.get("answer", _NOTHING)
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
        return _summed(*self._judge())

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
        members = _object(b"".join(self._parts))
        reading.identify(members)
        self.saw_error = "code" in members and "status" in members
        if "data" in members:
            reading.workflow_finished(members)
        else:
            reading.message_ended(members)


def _counts(tokens_in: int, tokens_out: int) -> dict[str, int]:
    return {INPUT_TOKENS: tokens_in, OUTPUT_TOKENS: tokens_out}


def _summed(parts: tuple[Part, ...], source: Source) -> Usage:
    if not parts:
        return Usage({}, source)
    tokens_in = sum(counts[INPUT_TOKENS] for _, counts in parts)
    return Usage(_counts(tokens_in, sum(counts[OUTPUT_TOKENS] for _, counts in parts)), source)


def _object(raw: bytes | msgspec.Raw) -> Members:
    """The members of an object; none of anything else."""
    try:
        return _members.decode(raw)
    except _UNREADABLE:
        return {}


def _string(raw: msgspec.Raw) -> str:
    try:
        return _text.decode(raw)
    except _UNREADABLE:
        return ""


def _id(members: Members, name: str) -> str:
    text = _string(members.get(name, _NOTHING))
    return text if len(text) <= ID_LENGTH_MAX and text.isprintable() else ""
