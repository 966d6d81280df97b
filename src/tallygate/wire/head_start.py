"""What has come of a request before its head is whole: to be waited for, or wrong already."""

from tallygate.core.errors import Code, Refusal

CR = 13


def without_empty_lines(data: bytes) -> bytes:
    """Empty lines before a request are ignored (RFC 9112, 2.2)."""
    start = 0
    while data[start : start + 2] == b"\r\n":
        start += 2
    return data[start:]


def what_is_wrong(data: bytes, *, is_too_large: bool) -> Refusal | None:
    """A bare LF at the end of the first line is refused at once: no head of ours would follow."""
    line_end = data.find(b"\n")
    if line_end == 0 or (line_end > 0 and data[line_end - 1] != CR):
        return Refusal(Code.BAD_REQUEST, "Lines end in CRLF.")
    if is_too_large:
        return Refusal(Code.TOO_LARGE, "The request's head is too large.")
    return None
