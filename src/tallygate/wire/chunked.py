"""The chunked transfer coding, read strictly: a state machine over bytes in any split.

Sizes are hexadecimal digits and nothing else, lines end in CRLF and nothing else, extensions are
bounded and ignored, trailers are bounded and dropped (they could pass for headers).
"""

import enum
import re

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\Z")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\Z")
SIZE_LINE_MAX = 256
TRAILERS_MAX = 8192
LAST_CHUNK = b"0\r\n\r\n"


class BadChunk(Exception):
    """The body is not well-formed chunked coding."""


class _State(enum.Enum):
    SIZE = "a size line"
    DATA = "data"
    DATA_END = "the line end after data"
    TRAILERS = "trailers"
    DONE = "nothing more"


# A member is looked up once here: on its class that costs more than the comparison (Python 3.11).
_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = _State


class ChunkedReader:
    """Takes raw bytes, gives the payload; `surplus` is what came after the end of the body."""

    __slots__ = ("_missing", "_partial", "_state", "_trailers_bytes", "surplus")

    def __init__(self) -> None:
        self._state = _SIZE
        self._missing = 0
        self._partial = b""
        self._trailers_bytes = 0
        self.surplus = b""

    def __repr__(self) -> str:
        return f"<ChunkedReader expects {self._state.value}>"

    @property
    def is_done(self) -> bool:
        return self._state is _DONE

    def feed(self, data: bytes) -> bytes:
        """The payload that `data` completes; BadChunk if the coding is broken."""
        if self._state is _SIZE and not self._partial and data[-2:] == b"\r\n":
            line_end = data.find(b"\r\n")
            size = _SIZES.get(data[:line_end])
            if size is not None and size and len(data) == line_end + size + 4:
                return data[line_end + 2 : -2]  # exactly one whole chunk: how streams mostly come
        return self._feed_any(data)

    def _feed_any(self, data: bytes) -> bytes:
        if self._partial:
            data, self._partial = self._partial + data, b""
        payload: list[bytes] = []
        position = 0
        while position < len(data):
            if self._state is _DATA:
                piece = data[position : position + self._missing]
                payload.append(piece)
                position += len(piece)
                self._missing -= len(piece)
                if not self._missing:
                    self._state = _DATA_END
                continue
            if self._state is _DONE:
                self.surplus += data[position:]
                break
            line_end = data.find(b"\n", position)
            if line_end < 0:
                self._hold(data[position:])
                break
            self._take_line(data[position : line_end + 1])
            position = line_end + 1
        return payload[0] if len(payload) == 1 else b"".join(payload)

    def _hold(self, partial: bytes) -> None:
        too_long = len(partial) > (0 if self._state is _DATA_END else SIZE_LINE_MAX) + 1
        if too_long and self._state is not _TRAILERS:
            raise BadChunk("a line of the chunked coding has no end")
        if self._trailers_bytes + len(partial) > TRAILERS_MAX:
            raise BadChunk("too many trailers")
        self._partial = partial

    def _take_line(self, line: bytes) -> None:
        if line[-2:] != b"\r\n":
            raise BadChunk("a line of the chunked coding ends in a bare LF")
        line = line[:-2]
        if self._state is _SIZE:
            self._missing = _read_size(line)
            self._state = _DATA if self._missing else _TRAILERS
        elif self._state is _DATA_END:
            if line:
                raise BadChunk("a chunk is longer than it says")
            self._state = _SIZE
        elif line:
            if not _TRAILER.match(line):
                raise BadChunk("a trailer is malformed")
            self._trailers_bytes += len(line) + 2
            if self._trailers_bytes > TRAILERS_MAX:
                raise BadChunk("too many trailers")
        else:
            self._state = _DONE


# Sizes seen lately, by their line: a stream's chunks are much of a length.
_SIZES: dict[bytes, int] = {}
_SIZES_MAX = 4096


def _read_size(line: bytes) -> int:
    size = _SIZES.get(line)
    if size is not None:
        return size
    match = _SIZE_LINE.match(line) if len(line) <= SIZE_LINE_MAX else None
    if match is None:
        raise BadChunk("a chunk size is malformed")
    size = int(match[1], 16)
    if len(_SIZES) >= _SIZES_MAX:
        _SIZES.clear()
    if len(line) <= 8:
        _SIZES[line] = size
    return size
