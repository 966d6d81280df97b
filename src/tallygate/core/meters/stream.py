"""Meters a stream of server-sent events, passing bytes on as early as they may go.

Almost every read is whole events of text: subclasses let it pass after a scan or two. All else
comes to `_feed_closely`, which takes it event by event. The phases:

FLOWING    nothing, or the beginning of one event, is held
OVERSIZED  the event that is passing is too long to be held; its tail is kept
HOLDING    the terminal event was seen: all is held, waiting for the journal
PASSING    what was held was taken; the rest passes unseen
"""

import enum
from typing import ClassVar, Final

from tallygate.core.meters.report import Answer, Report, last_report, usage_from
from tallygate.core.meters.sse import OVERLAP, event_end, last_event_end, loose_end
from tallygate.core.usage import Source, Usage

PARTIAL_LENGTH_MAX: Final = 64 * 1024
TERMINAL_LENGTH_MAX: Final = 8 * 1024 * 1024
TAIL_LENGTH: Final = 64 * 1024
LOOKS: Final = 8  # events looked at for the model's name


class Phase(enum.Enum):
    """What a feed does; see the top of the file."""

    FLOWING = enum.auto()
    OVERSIZED = enum.auto()
    HOLDING = enum.auto()
    PASSING = enum.auto()


class Verdict(enum.Enum):
    """What becomes of an event."""

    PASS = enum.auto()
    STRIP = enum.auto()
    TERMINAL = enum.auto()


class StreamMeter:
    """The state that the streams of all dialects share, and the way through it.

    Without a report, the output is estimated as the larger of two counts: the events that
    carry text (most providers send one for each token), and a quarter of the bytes beyond
    an event's own trimmings. On streams of one token an event this is a few per cent off;
    where events carry sentences, up to a third. Hidden reasoning is not seen.
    """

    __slots__ = (
        "_buffer",
        "_bytes",
        "_input_estimate",
        "_is_flowing",
        "_is_oversized_terminal",
        "_looks",
        "_phase",
        "_report",
        "_tail",
        "_trimmings",
        "_units",
        "is_terminal",
        "model",
        "saw_error",
    )

    UNIT: ClassVar[bytes]  # is there once in each event that carries text
    TRIMMINGS: ClassVar[int]  # bytes of such an event, without the text
    LINES: ClassVar[int] = 3  # an event has, with its name, its data and the blank one
    IS_CACHE_APART: ClassVar[bool] = False

    def __init__(self, input_tokens_estimate: int) -> None:
        self.is_terminal = False
        self.saw_error = False
        self.model: str | None = None
        self._input_estimate = input_tokens_estimate
        self._phase = Phase.FLOWING
        self._is_flowing = False  # FLOWING, nothing held, nothing to be looked for
        self._buffer = bytearray()  # FLOWING: a partial event; HOLDING: all that is held
        self._tail = b""
        self._is_oversized_terminal = False
        self._looks = LOOKS
        self._report: Report | None = None
        self._units = 0
        self._bytes = 0
        self._trimmings = self.TRIMMINGS

    def __repr__(self) -> str:
        held = len(self._buffer)
        return f"<{type(self).__name__} {self._phase.name} held={held} units={self._units}>"

    def feed(self, data: bytes) -> bytes:
        """Take what has come; return what may go to the client now."""
        return self._feed_closely(data)

    def take_held(self) -> bytes:
        """All that is held. From now on, everything passes unseen."""
        held = bytes(self._buffer)
        self._buffer.clear()
        self._phase = Phase.PASSING
        self._is_flowing = False
        return held

    def finish(self) -> None:
        """The body has ended, cleanly or cut: what is partial is all there will be."""
        if self._phase is Phase.OVERSIZED:
            self._read_tail(self._tail)
        elif self._phase is Phase.FLOWING and self._buffer:
            loose = loose_end(self._buffer, 0, len(self._buffer))
            verdict = self._read(bytes(self._buffer[loose:]))
            if verdict is Verdict.STRIP:
                del self._buffer[loose:]
            self.is_terminal = verdict is Verdict.TERMINAL
        if self._phase is not Phase.PASSING:
            self._phase = Phase.HOLDING
        self._is_flowing = False

    def usage(self) -> Usage:
        """What is known by now."""
        if self._report is None and not self._units:
            return Usage({}, Source.MISSING)
        return usage_from(
            self._report or Report(),
            is_cache_apart=self.IS_CACHE_APART,
            input_estimate=self._input_estimate,
            output_estimate=self._estimate_output(),
        )

    # What a dialect knows:

    def _is_telling(self, events: bytes) -> bool:
        """Whether whole events may hold usage, an error or the end, and need a closer look."""
        raise NotImplementedError

    def _read(self, event: bytes) -> Verdict:
        """Learn from one event (its last line end may be missing) and judge it."""
        raise NotImplementedError

    def _is_terminal_head(self, head: bytes | bytearray) -> bool:
        """Whether an event that begins so is the terminal one, which must not go early."""
        return False

    # What they share:

    def _learn(self, answer: Answer) -> None:
        """Take over what an event says that is the same in all dialects."""
        self.model = self.model or answer.model or None
        self.saw_error = self.saw_error or answer.is_error
        if answer.usage is not None and answer.usage.says_anything:
            self._report = answer.usage  # the last one wins, nothing is added
        if self._looks:
            self._looks = 0 if self.model else self._looks - 1

    def _count(self, events: bytes) -> None:
        """Take events into the estimate."""
        units = events.count(self.UNIT)
        if units:
            # Pings and the like are all trimmings.
            others = max(0, events.count(b"\n") // self.LINES - units)
            self._units += units
            self._bytes += len(events) - others * self._trimmings

    def _estimate_output(self) -> int:
        return max(self._units, (self._bytes - self._units * self._trimmings) // 4)

    def _feed_closely(self, data: bytes) -> bytes:
        if self._phase is Phase.PASSING:
            return data
        if self._phase is Phase.OVERSIZED:
            return self._feed_oversized(data)
        buffer = self._buffer
        if self._phase is Phase.HOLDING:
            buffer += data
            return b""
        start = max(0, len(buffer) - OVERLAP)
        passed = b""
        if not buffer and data[-2:] == b"\n\n":
            passed = self._pass_events(data)
            cut = 0
        else:
            buffer += data
            cut = last_event_end(buffer, start)
        if cut:
            whole = bytes(memoryview(buffer)[:cut])
            del buffer[:cut]
            passed = self._pass_events(whole)
        if self._phase is Phase.FLOWING:
            if buffer:
                passed += self._release()
            self._is_flowing = self._phase is Phase.FLOWING and not buffer and not self._looks
        return passed

    def _pass_events(self, events: bytes) -> bytes:
        """Judge whole events one by one; from the terminal one on, hold."""
        if not self._looks and not self._is_telling(events):
            self._count(events)
            return events
        passed: list[bytes] = []
        start = 0
        while start < len(events):
            end = event_end(events, start) or len(events)
            loose = loose_end(events, start, end)
            verdict = self._read(events[loose:end]) if loose < end else Verdict.PASS
            if verdict is Verdict.TERMINAL:
                self._buffer[:0] = events[loose:]
                self._phase = Phase.HOLDING
                self._is_flowing = False
                self.is_terminal = True
            passed.append(events[start : end if verdict is Verdict.PASS else loose])
            if verdict is Verdict.TERMINAL:
                break
            start = end
        return b"".join(passed)

    def _release(self) -> bytes:
        """What of a partial event may go: comments before it (keep-alives), or all of a giant."""
        buffer = self._buffer
        loose = loose_end(buffer, 0, len(buffer))
        released = bytes(buffer[:loose])
        del buffer[:loose]
        if len(buffer) <= PARTIAL_LENGTH_MAX:
            return released
        is_terminal = self._is_terminal_head(buffer)
        if is_terminal and len(buffer) <= TERMINAL_LENGTH_MAX:
            return released
        self._is_oversized_terminal = is_terminal
        self._phase = Phase.OVERSIZED
        self._tail = bytes(buffer[-TAIL_LENGTH:])
        released += buffer
        buffer.clear()
        return released

    def _feed_oversized(self, data: bytes) -> bytes:
        """Pass a giant event on; at its end, look for usage in its tail."""
        window = self._tail + data
        seam = len(self._tail)
        end = event_end(window, max(0, seam - OVERLAP))
        if not end:
            self._tail = window[-TAIL_LENGTH:]
            return data
        self._read_tail(window[:end])
        self._tail = b""
        self._phase = Phase.FLOWING
        if self._is_oversized_terminal:
            self._phase = Phase.HOLDING
            self.is_terminal = True
            self._buffer += data
            return b""
        return data[: end - seam] + self._feed_closely(data[end - seam :])

    def _read_tail(self, tail: bytes) -> None:
        self._count(tail)
        self._report = last_report(tail) or self._report
