"""Heads of answers from upstreams: split into lines once, each line judged once.

Most lines of an upstream's heads repeat from answer to answer (a date and an id do not), so a line
is validated and classified the first time and remembered by its bytes.
"""

import enum
import re

LINES_REMEMBERED_MAX = 4096
LINE_REMEMBERED_BYTES_MAX = 512
LINES_OF_A_NAME_MAX = 32  # a field that takes more values than this (a date, an id) is not kept

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?\Z")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_ALLOWED = bytes((9, 10, 13, *range(32, 127), *range(128, 256)))
_KEEP_ALIVE_TIMEOUT = re.compile(rb"timeout=([0-9]{1,6})")


class BadAnswer(Exception):
    """What the upstream sent is not a well-formed answer."""


class Meaning(enum.IntEnum):
    """What a line of an answer's head means to us; KEEP goes on to the client as it is."""

    KEEP = 0
    DROP = 1
    LENGTH = 2
    CODING = 3
    CONNECTION = 4
    KEEP_ALIVE = 5
    TYPE = 6
    ENCODING = 7
    UPGRADE = 8
    RETRY_AFTER = 9
    COOKIE = 10


_MEANINGS = {
    b"content-length": Meaning.LENGTH,
    b"transfer-encoding": Meaning.CODING,
    b"connection": Meaning.CONNECTION,
    b"keep-alive": Meaning.KEEP_ALIVE,
    b"content-type": Meaning.TYPE,
    b"content-encoding": Meaning.ENCODING,
    b"upgrade": Meaning.UPGRADE,
    b"retry-after": Meaning.RETRY_AFTER,
    b"set-cookie": Meaning.COOKIE,
    b"proxy-authenticate": Meaning.DROP,
    b"proxy-connection": Meaning.DROP,
    b"te": Meaning.DROP,
    b"trailer": Meaning.DROP,
    # Ours to say: the upstream's limits are the operator's, its request id is not the client's.
    b"x-request-id": Meaning.DROP,
    b"x-should-retry": Meaning.KEEP,
}
_DROPPED_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-", b"x-tallygate-", b"x-accel-")

_lines: dict[bytes, tuple[Meaning, bytes]] = {}
_lines_of_name: dict[bytes, int] = {}


class AnswerHead:
    """What the head of an answer says; `kept` are the lines for the client, each with its end."""

    __slots__ = (
        "content_type",
        "encoding",
        "idle_s",
        "is_chunked",
        "keep_alive",
        "kept",
        "length",
        "retry_after",
        "status",
        "upgrade",
    )

    def __init__(self, status: int, *, keep_alive: bool) -> None:
        self.status = status
        self.keep_alive = keep_alive
        self.length = -1  # not named
        self.is_chunked = False
        self.content_type = b""
        self.encoding = b""
        self.retry_after = b""
        self.upgrade = b""
        self.idle_s = 0  # how long the upstream says it keeps an idle connection; 0: not said
        self.kept = b""

    def __repr__(self) -> str:
        return f"<AnswerHead {self.status}>"

    @property
    def has_no_body(self) -> bool:
        """By its status alone; an answer to HEAD has none either."""
        return self.status < 200 or self.status in (204, 304)


def parse_answer_head(raw: bytes) -> AnswerHead:
    """Parse a head with its closing empty line; BadAnswer says what is wrong with it."""
    lines = raw[:-4].split(b"\r\n")
    match = _STATUS_LINE.match(lines[0])
    if match is None:
        raise BadAnswer("the status line is malformed")
    ends = len(lines) + 1
    if raw.translate(None, _ALLOWED) or raw.count(b"\n") != ends or raw.count(b"\r") != ends:
        raise BadAnswer("the head holds control characters")
    head = AnswerHead(int(match[2]), keep_alive=match[1] == b"1")
    kept = []
    for line in lines[1:]:
        known = _lines.get(line)
        if known is None:
            known = _judge(line)
        if known[0] is Meaning.KEEP:
            kept.append(line)
        elif known[0] is not Meaning.DROP:
            _apply(head, known[0], known[1], line, kept)
    kept.append(b"")
    head.kept = b"\r\n".join(kept)
    if head.is_chunked and head.length >= 0:
        raise BadAnswer("both Content-Length and Transfer-Encoding")
    return head


def _judge(line: bytes) -> tuple[Meaning, bytes]:
    name, colon, value = line.partition(b":")
    name = name.lower()
    lines_seen = _lines_of_name.get(name, 0)
    if not colon or (not lines_seen and not _NAME.match(name)):
        raise BadAnswer("a header field is malformed")
    meaning = _MEANINGS.get(name, Meaning.KEEP)
    if meaning is Meaning.KEEP and name.startswith(_DROPPED_PREFIXES):
        meaning = Meaning.DROP
    judged = (meaning, value.strip(b" \t"))
    if lines_seen < LINES_OF_A_NAME_MAX and len(line) <= LINE_REMEMBERED_BYTES_MAX:
        if len(_lines) >= LINES_REMEMBERED_MAX:
            _lines.clear()
            _lines_of_name.clear()
        _lines[line] = judged
        _lines_of_name[name] = lines_seen + 1
    return judged


def _apply(
    head: AnswerHead, meaning: Meaning, value: bytes, line: bytes, kept: list[bytes]
) -> None:
    if meaning is Meaning.LENGTH:
        if not value.isdigit() or len(value) > 15 or head.length not in (-1, int(value)):
            raise BadAnswer("Content-Length is malformed")
        head.length = int(value)
    elif meaning is Meaning.TYPE:
        head.content_type = value
        kept.append(line)
    elif meaning is Meaning.CODING:
        if value.lower() != b"chunked" or head.is_chunked:
            raise BadAnswer("an unknown transfer coding")
        head.is_chunked = True
    elif meaning is Meaning.CONNECTION:
        tokens = value.lower()
        head.keep_alive = b"close" not in tokens and (head.keep_alive or b"keep-alive" in tokens)
    elif meaning is Meaning.KEEP_ALIVE:
        timeout = _KEEP_ALIVE_TIMEOUT.search(value)
        head.idle_s = int(timeout[1]) if timeout else 0
    elif meaning is Meaning.ENCODING:
        head.encoding = value.lower()
        kept.append(line)
    elif meaning is Meaning.RETRY_AFTER:
        head.retry_after = value
        kept.append(line)
    elif meaning is Meaning.UPGRADE:
        head.upgrade = value.lower()
    else:
        kept.append(line)  # a cookie: whoever relays decides
