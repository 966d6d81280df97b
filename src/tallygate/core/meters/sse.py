"""The framing of server-sent events: where one ends, and what it carries.

Lines end in LF, CRLF or CR, and a blank line ends an event. A CR at the end of what has come
so far may be half a CRLF: it is judged when the next byte is there.
https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import re
from typing import Final

_END: Final = re.compile(rb"\n\n|\n\r\n|\r\r|\n\r(?=[^\n])")
_LOOSE: Final = re.compile(rb"(?:(?::[^\r\n]*)?(?:\r\n|\n|\r(?=[^\n])))*")
_LOOSE_FIRST: Final = (b":", b"\n", b"\r")
OVERLAP: Final = 3  # an end that is not complete has at most so many bytes


def event_end(buffer: bytes | bytearray, start: int) -> int:
    """The end of the first event that ends after `start`; 0 if none does."""
    at = buffer.find(b"\n\n", start)
    if buffer.find(b"\r", start, at if at >= 0 else len(buffer)) < 0:
        return at + 2 if at >= 0 else 0
    match = _END.search(buffer, start)
    return match.end() if match else 0


def last_event_end(buffer: bytes | bytearray, start: int) -> int:
    """The end of the last event that ends after `start`; 0 if none does."""
    if buffer.find(b"\r", start) < 0:
        at = buffer.rfind(b"\n\n", start)
        return at + 2 if at >= 0 else 0
    end = 0
    for match in _END.finditer(buffer, start):
        end = match.end()
    return end


def loose_end(buffer: bytes | bytearray, start: int, end: int) -> int:
    """Where the comments and blank lines from `start` on end: they are part of no event."""
    if buffer[start : start + 1] not in _LOOSE_FIRST:
        return start
    match = _LOOSE.match(buffer, start, end)
    assert match is not None
    return match.end()


def data_of(event: bytes) -> bytes:
    """The event's data lines, joined; a leading blank is left, JSON does not mind it."""
    if event.startswith(b"data:"):
        at = event.find(b"\n")
        if at == len(event) - 2 and event.endswith(b"\n"):  # one line, the usual case
            return event[5:at]
    return b"\n".join([line[5:] for line in event.splitlines() if line.startswith(b"data:")])
