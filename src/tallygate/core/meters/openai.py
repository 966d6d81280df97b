"""Meters the streams of OpenAI and of all who speak like it."""

from typing import ClassVar, Final

from tallygate.core.meters.report import read_answer
from tallygate.core.meters.sse import data_of
from tallygate.core.meters.stream import StreamMeter, Verdict

_EMPTY_LIST: Final = frozenset((b"[]", b"[ ]"))


class ChunkStream(StreamMeter):
    """Chat completions and legacy completions: chunks, then `data: [DONE]`.

    The usage comes in a chunk of its own, with empty choices, which is kept from clients that
    did not ask for it; or on a chunk that has choices (DeepSeek), which passes. Once usage is
    asked for, all other chunks say `"usage":null`.
    """

    __slots__ = ("_strips_usage_chunk",)

    UNIT: ClassVar[bytes] = b'"choices"'
    TRIMMINGS: ClassVar[int] = 400
    LINES: ClassVar[int] = 2

    def __init__(self, input_tokens_estimate: int, *, strips_usage_chunk: bool) -> None:
        super().__init__(input_tokens_estimate)
        self._strips_usage_chunk = strips_usage_chunk

    def feed(self, data: bytes) -> bytes:
        """Take what has come; return what may go to the client now."""
        if self._is_flowing and data[-2:] == b"\n\n":
            # One event of one line, and not [DONE]. If null usage ends it, there is no other.
            if (
                data.find(b"\n") == len(data) - 2
                and data[6:7] == b"{"
                and (data[-15:-2] == b'"usage":null}' or data.find(b'"usage"') < 0)
                and data.find(b'"error"') < 0
            ):
                self._units += 1
                self._bytes += len(data)
                return data
            if not self._is_telling(data):
                self._count(data)
                return data
        return self._feed_closely(data)

    def _is_telling(self, events: bytes) -> bool:
        usages = events.count(b'"usage"')
        if usages:
            usages -= events.count(b'"usage":null')
        if usages and usages != events.count(b'"usage": null'):
            return True
        return events.find(b"[DONE]") >= 0 or events.find(b'"error"') >= 0

    def _read(self, event: bytes) -> Verdict:
        data = data_of(event)
        if data.strip() == b"[DONE]":
            return Verdict.TERMINAL
        answer = read_answer(data)
        if answer is None:
            return Verdict.PASS
        self._learn(answer)
        is_empty = bytes(answer.choices) in _EMPTY_LIST
        if not is_empty and not answer.is_error:
            if not self._units:  # the first event has a role and hardly any text
                self._trimmings = min(self.TRIMMINGS, len(event))
            self._count(event)
        if self._strips_usage_chunk and is_empty and answer.usage and not answer.is_error:
            return Verdict.STRIP
        return Verdict.PASS


class ResponsesStream(StreamMeter):
    """The responses API: named events; the last one holds the whole answer and its usage."""

    __slots__ = ()

    UNIT: ClassVar[bytes] = b'"delta"'
    TRIMMINGS: ClassVar[int] = 220

    _TERMINAL: ClassVar[frozenset[str]] = frozenset(
        f"response.{end}" for end in ("completed", "failed", "incomplete", "cancelled")
    )

    def feed(self, data: bytes) -> bytes:
        """Take what has come; return what may go to the client now."""
        if self._is_flowing and data[-2:] == b"\n\n":
            at = data.find(b"\n")
            if data[at - 6 : at] == b".delta" and data.find(b"\n", at + 1) == len(data) - 2:
                # One event, of one name line and one data line, and it is a piece of text.
                self._units += 1
                self._bytes += len(data)
                return data
            if not self._is_telling(data):
                self._count(data)
                return data
        return self._feed_closely(data)

    def _is_telling(self, events: bytes) -> bool:
        # Only events that carry the whole response have a member of this name; those that are
        # done repeat text, which must not be taken into the estimate once more.
        return (
            events.find(b'"response"') >= 0
            or events.find(b'"error"') >= 0
            or events.find(b'.done"') >= 0
        )

    def _is_terminal_head(self, head: bytes | bytearray) -> bool:
        start = bytes(head[:512])
        return any(name.encode() in start for name in self._TERMINAL)

    def _read(self, event: bytes) -> Verdict:
        answer = read_answer(data_of(event))
        if answer is None:
            return Verdict.PASS
        self._learn(answer)
        inner = read_answer(answer.response)
        if inner is not None:
            self._learn(inner)
        self._count(event)
        return Verdict.TERMINAL if answer.type in self._TERMINAL else Verdict.PASS
