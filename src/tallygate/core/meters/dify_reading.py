"""What has been learned of one answer of Dify's, in whatever order it came.

Nodes of a workflow name their models; `message_end` and `workflow_finished` only have totals, in
either order and of the same tokens. What the totals have beyond the nodes belongs to a model that
nobody named.
"""

from typing import Final

import msgspec

from tallygate.core.meters.report import (
    MODEL_LENGTH_MAX,
    DoubtfulReport,
    Report,
    read_answer,
    read_report,
)
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS, Source, Usage

NODES_MAX: Final = 10_000
ID_LENGTH_MAX: Final = 128

Members = dict[str, msgspec.Raw]
Part = tuple[str, dict[str, int]]  # the model, "" if nobody named it, and what it counted

NOTHING: Final = msgspec.Raw()
_members = msgspec.json.Decoder(Members)
_text = msgspec.json.Decoder(str)
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


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
        answer = read_answer(event.get("metadata", NOTHING))
        if answer is not None:
            self.totals(answer.usage)

    def totals(self, report: Report | None) -> None:
        if report is not None and report.says_anything:
            self._report = report

    def node_finished(self, event: Members) -> None:
        """A node that ran a model; what ran within another node has events of its own."""
        data = members_of(event.get("data", NOTHING))
        process = data.get("process_data", NOTHING)
        model = string_of(members_of(process).get("model_name", NOTHING))
        if not model or len(model) > MODEL_LENGTH_MAX or len(self._nodes) >= NODES_MAX:
            return
        for place in (process, data.get("outputs", NOTHING)):  # older servers put it in outputs
            answer = read_answer(place)
            if answer is not None and answer.usage is not None and answer.usage.says_anything:
                used = answer.usage
                node_id = _id(data, "id") or str(len(self._nodes))
                self._nodes[node_id] = (model, used.input or 0, used.output or 0)
                return

    def workflow_finished(self, event: Members) -> None:
        report = read_report(event.get("data", NOTHING))
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


def _counts(tokens_in: int, tokens_out: int) -> dict[str, int]:
    return {INPUT_TOKENS: tokens_in, OUTPUT_TOKENS: tokens_out}


def summed(parts: tuple[Part, ...], source: Source) -> Usage:
    if not parts:
        return Usage({}, source)
    tokens_in = sum(counts[INPUT_TOKENS] for _, counts in parts)
    return Usage(_counts(tokens_in, sum(counts[OUTPUT_TOKENS] for _, counts in parts)), source)


def members_of(raw: bytes | msgspec.Raw) -> Members:
    """The members of an object; none of anything else."""
    try:
        return _members.decode(raw)
    except _UNREADABLE:
        return {}


def string_of(raw: msgspec.Raw) -> str:
    try:
        return _text.decode(raw)
    except _UNREADABLE:
        return ""


def _id(members: Members, name: str) -> str:
    text = string_of(members.get(name, NOTHING))
    return text if len(text) <= ID_LENGTH_MAX and text.isprintable() else ""
