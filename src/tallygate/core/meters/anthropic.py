"""Meters Anthropic's message streams.

`message_start` brings the input's counts, each `message_delta` the counts so far: what it says
replaces what was said before, and what it leaves out stands. `message_stop` ends the stream.
"""

from typing import ClassVar, Final

import msgspec

from tallygate.core.meters.report import DoubtfulReport, Report, read_answer
from tallygate.core.meters.sse import data_of
from tallygate.core.meters.stream import StreamMeter, Verdict

_TEXT: Final = b"event: content_block_delta\n"
_MERGED: Final = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)


class MessagesStream(StreamMeter):
    """The messages API as a stream."""

    __slots__ = ("_output_least",)

    UNIT: ClassVar[bytes] = b'"delta"'
    TRIMMINGS: ClassVar[int] = 130
    IS_CACHE_APART: ClassVar[bool] = True

    def __init__(self, input_tokens_estimate: int) -> None:
        super().__init__(input_tokens_estimate)
        self._output_least = 0  # what message_start says: the first token or two

    def feed(self, data: bytes) -> bytes:
        """Take what has come; return what may go to the client now."""
        if self._is_flowing and data[-2:] == b"\n\n":
            if data.startswith(_TEXT) and data.find(b"\n", len(_TEXT)) == len(data) - 2:
                # One event, of one name line and one data line, and it is a piece of text.
                self._units += 1
                self._bytes += len(data)
                return data
            if not self._is_telling(data):
                self._count(data)
                return data
        return self._feed_closely(data)

    def _is_telling(self, events: bytes) -> bool:
        return (
            events.find(b"message_stop") >= 0
            or events.find(b'"usage"') >= 0
            or events.find(b'"error"') >= 0
        )

    def _read(self, event: bytes) -> Verdict:
        answer = read_answer(data_of(event))
        if answer is None:
            return Verdict.PASS
        report, answer.usage = answer.usage, None
        self._learn(answer)
        if answer.type == "message_start":
            start = read_answer(answer.message)
            if start is not None:
                self._start(start.usage)
                start.usage = None
                self._learn(start)
        elif report is not None:
            self._merge(report)
        elif answer.type == "content_block_delta":
            self._count(event)
        return Verdict.TERMINAL if answer.type == "message_stop" else Verdict.PASS

    def _start(self, report: Report | None) -> None:
        if report is not None:
            self._output_least = report.output_tokens or 0
            report.output_tokens = None  # not what it will be in the end
            self._merge(report)

    def _merge(self, report: Report) -> None:
        """Put the new counts over those that are known."""
        known = self._report or Report()
        merged = {name: getattr(known, name) for name in _MERGED}
        merged |= {n: v for n in _MERGED if (v := getattr(report, n)) is not None}
        is_doubtful = isinstance(report, DoubtfulReport) or isinstance(known, DoubtfulReport)
        self._report = msgspec.convert(merged, DoubtfulReport if is_doubtful else Report)

    def _estimate_output(self) -> int:
        return max(super()._estimate_output(), self._output_least)
