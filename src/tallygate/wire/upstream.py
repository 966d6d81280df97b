"""A connection to an upstream: one request at a time out, its answer in.

The connection knows framing and nothing else; whoever asked (`Asker`) is told of the head, of each
piece of payload, and of the end or the loss. A connection is used again only when its answer ended
cleanly by its own framing, with not one byte beyond it.
"""

import asyncio
import enum
from collections.abc import Callable
from typing import Protocol, cast

from tallygate.wire.answer import AnswerHead, BadAnswer, parse_answer_head
from tallygate.wire.chunked import BadChunk, ChunkedReader
from tallygate.wire.head import HEAD_END

HEAD_BYTES_MAX = 65_536
WRITE_BUFFER_HIGH = 256 << 10
INFORMATIONAL_MAX = 8
_ANSWER = b"HTTP/1."


class Loss(enum.Enum):
    """Why there is no (complete) answer; the value is for the operator's log."""

    UNREACHABLE = "no connection could be made"
    REFUSED_ADDRESS = "its address must not be connected to"
    CLOSED = "it closed the connection"
    MALFORMED = "its answer is malformed"
    TIMED_OUT = "it did not answer in time"
    CROWDED = "too many requests wait for a connection to it"


class Asker(Protocol):
    """Whoever waits for an answer."""

    def answer_began(self, head: AnswerHead, payload: bytes, *, is_complete: bool) -> None:
        """The head, with as much payload as came along with it."""

    def answer_continued(self, payload: bytes, *, is_complete: bool) -> None: ...

    def answer_lost(self, loss: Loss) -> None:
        """No (further) byte of the answer will come."""

    def upstream_slow(self) -> None:
        """The upstream does not keep up with the request body: stop sending."""

    def upstream_ready(self) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """One connection; `asker` is None while it is idle."""

    __slots__ = (
        "_buffer",
        "_chunks",
        "_head",
        "_informational",
        "_is_head_request",
        "_is_paused",
        "_missing",
        "_on_free",
        "_on_lost",
        "asker",
        "idle_until_ms",
        "is_request_complete",
        "is_reused",
        "is_upgrade_wanted",
        "is_usable",
        "transport",
    )

    def __init__(
        self,
        on_free: Callable[["UpstreamConnection", int], None],
        on_lost: Callable[["UpstreamConnection"], None],
    ) -> None:
        self._on_free = on_free
        self._on_lost = on_lost
        self.transport: asyncio.Transport | None = None
        self.asker: Asker | None = None
        self.is_usable = True
        self.is_reused = False
        self.is_request_complete = True  # whoever streams a request body says otherwise
        self.idle_until_ms = 0
        self._is_paused = False
        self._is_head_request = False
        self._reset()

    def __repr__(self) -> str:
        state = "idle" if self.asker is None else f"answering {self._head}"
        return f"<UpstreamConnection {state}>"

    def _reset(self) -> None:
        self._buffer = b""
        self._head: AnswerHead | None = None
        self._chunks: ChunkedReader | None = None
        self._missing = 0
        self._informational = 0
        self.is_upgrade_wanted = False  # whoever asks for a tunnel says otherwise

    def send(self, asker: Asker, data: bytes, *, is_head_request: bool) -> None:
        """Send the (first part of the) request."""
        assert self.asker is None and self.transport is not None, "one request at a time"
        self.asker = asker
        self._is_head_request = is_head_request
        self.transport.write(data)

    def send_more(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def abandon(self) -> None:
        """The asker wants no more of this answer: the connection ends with it."""
        self.asker = None
        self.is_usable = False
        if self.transport is not None:
            self.transport.abort()

    def hang_up(self) -> None:
        """As `abandon`, but what was sent goes out."""
        self.asker = None
        self.is_usable = False
        if self.transport is not None:
            self.transport.close()

    def pause(self) -> None:
        """Read no more of the answer for now; a free connection has none, and is not paused."""
        if self.asker is not None and not self._is_paused and self.transport is not None:
            self._is_paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        if self._is_paused and self.transport is not None:
            self._is_paused = False
            self.transport.resume_reading()

    # --- what asyncio calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        self.transport = transport
        transport.set_write_buffer_limits(WRITE_BUFFER_HIGH)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.is_usable = False
        self._on_lost(self)
        asker = self.asker
        if asker is None:
            return
        if exc is None and self._is_delimited_by_close():
            self.asker = None
            asker.answer_continued(b"", is_complete=True)
        else:
            self._lose(Loss.CLOSED)

    def pause_writing(self) -> None:
        if self.asker is not None:
            self.asker.upstream_slow()

    def resume_writing(self) -> None:
        if self.asker is not None:
            self.asker.upstream_ready()

    def data_received(self, data: bytes) -> None:
        if self.asker is None:
            self.abandon()  # nobody asked: whatever this is, it is not an answer
        elif self._head is None:
            self._read_head(self._buffer + data if self._buffer else data)
        else:
            payload, is_complete = self._read_payload(self._head, data)
            if is_complete:
                self._end(payload, None)
            elif payload:
                asker = self.asker
                if asker is not None:
                    asker.answer_continued(payload, is_complete=False)

    # --- reading ---

    def _is_delimited_by_close(self) -> bool:
        head = self._head
        return head is not None and head.length < 0 and not head.is_chunked

    def _read_head(self, data: bytes) -> None:
        end = data.find(HEAD_END)
        if end < 0:
            self._buffer = data
            if len(data) > HEAD_BYTES_MAX or not _may_be_a_head(data):
                self._lose(Loss.MALFORMED)
            return
        try:
            head = parse_answer_head(data[: end + 4])
        except BadAnswer:
            self._lose(Loss.MALFORMED)
            return
        rest = data[end + 4 :]
        if head.status < 200:
            self._skip_informational(head, rest)
            return
        self._head = head
        self._buffer = b""
        if self._is_head_request or head.has_no_body:
            head.is_chunked = False
            self._missing = 0
            if rest:
                self.is_usable = False
            self._end(b"", head)
            return
        if head.length == len(rest):
            self._end(rest, head)
            return
        if head.is_chunked:
            self._chunks = ChunkedReader()
        self._missing = head.length
        payload, is_complete = self._read_payload(head, rest) if rest else (b"", False)
        if is_complete:
            self._end(payload, head)
        elif self.asker is not None:
            self.asker.answer_began(head, payload, is_complete=False)

    def _skip_informational(self, head: AnswerHead, rest: bytes) -> None:
        if head.status == 101 and self.is_upgrade_wanted and self.asker is not None:
            self._head, self._buffer = head, b""
            self.is_usable = False  # for anything else
            head.length, head.is_chunked = -1, False  # it ends with the connection
            self.asker.answer_began(head, rest, is_complete=False)
            return
        self._informational += 1
        if head.status == 101 or self._informational > INFORMATIONAL_MAX:
            self._lose(Loss.MALFORMED)
        elif rest:
            self._buffer = b""
            self._read_head(rest)
        else:
            self._buffer = b""

    def _read_payload(self, head: AnswerHead, data: bytes) -> tuple[bytes, bool]:
        if self._chunks is not None:
            try:
                payload = self._chunks.feed(data)
            except BadChunk:
                self._lose(Loss.MALFORMED)
                return b"", False
            if self._chunks.surplus:
                self.is_usable = False
            return payload, self._chunks.is_done
        if head.length < 0:
            return data, False
        missing = self._missing - len(data)
        if missing < 0:
            self.is_usable = False
            data, missing = data[:missing], 0
        self._missing = missing
        return data, not missing

    # --- ends ---

    def _end(self, payload: bytes, head: AnswerHead | None) -> None:
        """The answer is complete; free the connection first, the asker may want it again."""
        asker, self.asker = self.asker, None
        whole = self._head
        assert asker is not None and whole is not None
        if not whole.keep_alive or not self.is_request_complete:
            self.is_usable = False
        if self._is_paused:
            self.resume()
        self._reset()
        if self.is_usable:
            self.is_reused = True
            self._on_free(self, whole.idle_s)
        elif self.transport is not None:
            self.transport.close()
        if head is not None:
            asker.answer_began(head, payload, is_complete=True)
        else:
            asker.answer_continued(payload, is_complete=True)

    def _lose(self, loss: Loss) -> None:
        asker, self.asker = self.asker, None
        self.is_usable = False
        if self.transport is not None:
            self.transport.abort()
        if asker is not None:
            asker.answer_lost(loss)


def _may_be_a_head(data: bytes) -> bool:
    """Whether a head may still come of it: who speaks something else is not waited for."""
    line_end = data.find(b"\n")
    is_crlf = line_end < 0 or data[:line_end].endswith(b"\r")
    return is_crlf and data[: len(_ANSWER)] == _ANSWER[: len(data)]
