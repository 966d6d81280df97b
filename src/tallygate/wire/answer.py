"""Heads of answers from upstreams, read once for each distinct head.

An upstream's heads are alike but for a few lines (a date, an id, a length). Those are cut out, and
what is left is looked up by its bytes; only a head never seen before is read line by line. Which
fields vary is learned: one that keeps bringing new heads joins the ones that are cut out.
"""

import re
from collections.abc import Callable

import msgspec

TEMPLATES_MAX = 512
TEMPLATE_BYTES_MAX = 4096
VARYING_NAMES_MAX = 24
VALUES_TO_VARY = 8  # a field with more values than this varies
NAMES_NOTED_MAX = 512
NAME_BYTES_MAX = 64

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?\Z")
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*"
_ALLOWED = bytes((9, 10, 13, *range(32, 127), *range(128, 256)))
_KEEP_ALIVE_TIMEOUT = re.compile(rb"timeout=([0-9]{1,6})")


class BadAnswer(Exception):
    """What the upstream sent is not a well-formed answer."""


# Ours to say, or only between us and the upstream: its limits are the operator's, for one.
_DROPPED = frozenset(
    (b"proxy-authenticate", b"proxy-connection", b"te", b"trailer", b"x-request-id")
)
_DROPPED_PREFIXES = (b"x-ratelimit-", b"anthropic-ratelimit-", b"x-tallygate-", b"x-accel-")


class AnswerHead(msgspec.Struct, eq=False, gc=False):
    """What the head of an answer says; `kept` are the lines for the client, each with its end.

    A struct, because each answer has a copy of the head that it is like, and a struct copies fast.
    """

    status: int
    has_no_body: bool  # by its status alone; an answer to HEAD has none either
    keep_alive: bool
    is_last: bool = False  # on its connection, it says
    length: int = -1  # not named
    is_chunked: bool = False
    content_type: bytes = b""
    encoding: bytes = b""
    upgrade: bytes = b""
    idle_s: int = 0  # how long the upstream says it keeps an idle connection; 0: not said
    kept: bytes = b""

    def __repr__(self) -> str:
        return f"<AnswerHead {self.status}>"


class AnswerHeads:
    """The heads met so far, and which of their fields vary; dropped whole when full."""

    __slots__ = ("_pattern", "_templates", "_values", "_varying")

    def __init__(self) -> None:
        self._templates: dict[bytes, AnswerHead] = {}
        self._values: dict[bytes, set[int]] = {}  # by their hashes
        self._varying: set[bytes] = set()
        for name in (b"date", b"x-request-id"):
            self._varying |= {name, name.title()}
        self._pattern = self._compile()

    def read(self, raw: bytes) -> AnswerHead:
        """The head, with its closing empty line; BadAnswer says what is wrong with it."""
        parts = self._pattern.split(raw)
        rest = b"".join(parts[::3])
        template = self._templates.get(rest)
        if template is None:
            template = self._learn(raw, rest)
        head = msgspec.structs.replace(template)
        for length in parts[1::3]:
            if length is not None:
                _take_length(head, length, b"")
        for line in parts[2::3]:
            if line is not None:
                head.kept += line + b"\r\n"
        if head.is_chunked and head.length >= 0:
            raise BadAnswer("both Content-Length and Transfer-Encoding")
        return head

    def _learn(self, raw: bytes, rest: bytes) -> AnswerHead:
        _check_characters(raw)
        lines = rest[:-4].split(b"\r\n")
        match = _STATUS_LINE.match(lines[0])
        if match is None:
            raise BadAnswer("the status line is malformed")
        status = int(match[2])
        has_no_body = status < 200 or status in (204, 304)
        head = AnswerHead(status, has_no_body, keep_alive=match[1] == b"1")
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or not _NAME.match(name):
                raise BadAnswer("a header field is malformed")
            self._note(name, value)
            _apply(head, name.lower(), value.strip(b" \t"), line)
        if len(rest) <= TEMPLATE_BYTES_MAX:
            if len(self._templates) >= TEMPLATES_MAX:
                self._templates.clear()
                self._values.clear()
            self._templates[rest] = head
        return head

    def _note(self, name: bytes, value: bytes) -> None:
        if name.lower() in _TAKE:
            return  # it means something to us, whatever its value
        if len(self._varying) >= VARYING_NAMES_MAX or len(name) > NAME_BYTES_MAX:
            return
        if len(self._values) >= NAMES_NOTED_MAX:
            self._values.clear()
        values = self._values.setdefault(name, set())
        values.add(hash(value))
        if len(values) > VALUES_TO_VARY:
            self._varying.add(name)
            self._pattern = self._compile()
            self._templates.clear()
            self._values.clear()

    def _compile(self) -> re.Pattern[bytes]:
        """Cuts out varying lines; the first group is a length, the second a line to keep."""
        kept = {name for name in self._varying if _is_kept(name.lower())}
        length = rb"[Cc]ontent-[Ll]ength:[ \t]*([0-9]+)[ \t]*"
        line_kept = b"((?:" + _any_of(kept) + b"):" + _VALUE + b")"
        line_dropped = b"(?:" + _any_of(self._varying - kept) + b"):" + _VALUE
        alternatives = b"|".join((length, line_kept, line_dropped))
        return re.compile(rb"\r\n(?:" + alternatives + rb")(?=\r\n)")


def _any_of(names: set[bytes]) -> bytes:
    return b"|".join(re.escape(name) for name in sorted(names))


def _check_characters(raw: bytes) -> None:
    ends = raw.count(b"\r\n")
    if raw.translate(None, _ALLOWED) or raw.count(b"\n") != ends or raw.count(b"\r") != ends:
        raise BadAnswer("the head holds control characters")


def _is_kept(name: bytes) -> bool:
    return name not in _TAKE and name not in _DROPPED and not name.startswith(_DROPPED_PREFIXES)


def _apply(head: AnswerHead, name: bytes, value: bytes, line: bytes) -> None:
    take = _TAKE.get(name)
    if take is not None:
        take(head, value, line)
    elif _is_kept(name):
        head.kept += line + b"\r\n"


def _take_length(head: AnswerHead, value: bytes, line: bytes) -> None:
    if not value.isdigit() or len(value) > 15 or head.length not in (-1, int(value)):
        raise BadAnswer("Content-Length is malformed")
    head.length = int(value)


def _take_coding(head: AnswerHead, value: bytes, line: bytes) -> None:
    if value.lower() != b"chunked" or head.is_chunked:
        raise BadAnswer("an unknown transfer coding")
    head.is_chunked = True


def _take_connection(head: AnswerHead, value: bytes, line: bytes) -> None:
    tokens = {token.strip() for token in value.lower().split(b",")}
    head.is_last = head.is_last or b"close" in tokens
    head.keep_alive = not head.is_last and (head.keep_alive or b"keep-alive" in tokens)


def _take_keep_alive(head: AnswerHead, value: bytes, line: bytes) -> None:
    timeout = _KEEP_ALIVE_TIMEOUT.search(value)
    head.idle_s = int(timeout[1]) if timeout else 0


def _take_type(head: AnswerHead, value: bytes, line: bytes) -> None:
    head.content_type = value
    head.kept += line + b"\r\n"


def _take_encoding(head: AnswerHead, value: bytes, line: bytes) -> None:
    head.encoding = value.lower()
    head.kept += line + b"\r\n"


def _take_upgrade(head: AnswerHead, value: bytes, line: bytes) -> None:
    head.upgrade = value.lower()


_TAKE: dict[bytes, Callable[[AnswerHead, bytes, bytes], None]] = {
    b"connection": _take_connection,
    b"content-encoding": _take_encoding,
    b"content-length": _take_length,
    b"content-type": _take_type,
    b"keep-alive": _take_keep_alive,
    b"transfer-encoding": _take_coding,
    b"upgrade": _take_upgrade,
}

_heads = AnswerHeads()
parse_answer_head = _heads.read
