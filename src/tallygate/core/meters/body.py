"""Meters a plain JSON answer: it passes unchanged, and a bounded copy is read at its end."""

from typing import Final

from tallygate.core.meters.report import Report, last_report, read_answer, usage_from
from tallygate.core.request import Dialect
from tallygate.core.usage import Source, Usage

COPY_LENGTH_MAX: Final = 8 * 1024 * 1024
TAIL_LENGTH: Final = 64 * 1024
_TRIMMINGS: Final = 200  # bytes of an answer without its text


# Looked up once: on its class a member costs more than the comparison (Python 3.11).
_EMBEDDINGS, _MESSAGES = Dialect.OPENAI_EMBEDDINGS, Dialect.ANTHROPIC_MESSAGES


class BodyMeter:
    """One JSON answer. Beyond the copy's bound, only the tail is searched for usage.

    Without a report, the output is estimated as a quarter of the bytes, less the trimmings.
    """

    __slots__ = (
        "_dialect",
        "_has_read",
        "_input_estimate",
        "_length",
        "_parts",
        "_report",
        "_tail",
        "is_terminal",
        "model",
        "saw_error",
    )

    def __init__(self, dialect: Dialect, input_tokens_estimate: int) -> None:
        self.is_terminal = False  # the end of a plain answer is its framing's
        self.saw_error = False
        self.model: str | None = None
        self._dialect = dialect
        self._input_estimate = input_tokens_estimate
        self._parts: list[bytes] = []
        self._length = 0
        self._tail: bytearray | None = None  # kept from when the copy is full
        self._report: Report | None = None
        self._has_read = False

    def __repr__(self) -> str:
        return f"<BodyMeter {self._dialect} length={self._length}>"

    def feed(self, data: bytes) -> bytes:
        """Keep a copy; all goes to the client."""
        self._length += len(data)
        self._has_read = False
        if self._tail is not None or self._length > COPY_LENGTH_MAX:
            self._keep_tail(data)
        else:
            self._parts.append(data)
        return data

    def take_held(self) -> bytes:
        """Nothing is ever held."""
        return b""

    def finish(self) -> None:
        """The body has ended."""
        if not self._has_read:
            self._read()

    def usage(self) -> Usage:
        """What is known by now."""
        if not self._has_read:
            self._read()
        report = self._report
        if report is None:
            if self.saw_error or not self._is_object():
                return Usage({}, Source.MISSING)
            report = Report()
        if self._dialect is _EMBEDDINGS and report.output is None:
            report.completion_tokens = 0
        return usage_from(
            report,
            is_cache_apart=self._dialect is _MESSAGES,
            input_estimate=self._input_estimate,
            output_estimate=max(0, self._length - _TRIMMINGS) // 4,
        )

    def _read(self) -> None:
        self._has_read = True
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        answer = read_answer(body) if self._tail is None else None
        if answer is None:
            self._report = last_report(bytes(self._tail or body[-TAIL_LENGTH:]))
            return
        self.model = answer.model or None
        self.saw_error = answer.is_error
        if answer.usage is not None and answer.usage.says_anything:
            self._report = answer.usage

    def _keep_tail(self, data: bytes) -> None:
        if self._tail is None:
            self._tail = bytearray(b"".join(self._parts)[-TAIL_LENGTH:])
            del self._parts[1:]
        self._tail += data
        if len(self._tail) > 2 * TAIL_LENGTH:
            del self._tail[:-TAIL_LENGTH]

    def _is_object(self) -> bool:
        """Whether what came begins as a JSON object does."""
        # Once the tail is kept, of the copy only the first part is.
        return b"".join(self._parts).lstrip()[:1] == b"{"
