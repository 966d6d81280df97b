"""Heads of requests: validated by llhttp, then held to stricter rules, parsed once.

llhttp lets through what two servers may read differently (several lengths, absolute targets, folded
lines, dot-segments); whatever is ambiguous is refused here, so that nothing behind us can be asked
anything else than what we decided on. Parsing is a pure function of the bytes, which is why heads
can be remembered by their bytes (`HeadMemory`).
"""

import re
from typing import Any

import httptools

from tallygate.core.errors import Code, Refusal
from tallygate.core.paths import AMBIGUOUS

HEAD_END = b"\r\n\r\n"
MEMORY_ENTRIES_MAX = 1024
MEMORY_BYTES_MAX = 4096
MEMORY_FIELDS_MAX = 64  # a field takes twenty times its shortest line

# Between one hop and the next, never beyond it (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
# Written anew by us: what a client says here is not believed.
REWRITTEN = frozenset((b"content-length", b"expect", b"forwarded", b"host", b"x-real-ip"))
REWRITTEN_PREFIXES = (b"x-forwarded-", b"x-tallygate-")
# Ours: an upstream never sees them.
CREDENTIALS = frozenset(
    (
        b"authorization",
        b"cookie",
        b"idempotency-key",
        b"x-admin-token",
        b"x-api-key",
        b"x-csrf-token",
        b"x-trial-key",
    )
)
_SINGLE = frozenset((b"authorization", b"content-length", b"content-type", b"host", b"expect"))

# A line of the head with its name and value; the lines found must be all that there are.
_FIELD = re.compile(rb"\r\n(([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*))")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])?(?::[0-9]*)?\Z")
_TARGET = re.compile(rb"/[\x21\x22\x24-\x5b\x5d-\x7e]*\Z")  # no space, control, `#`, `\`, non-ASCII
_AMBIGUOUS = re.compile(AMBIGUOUS.encode())
_LENGTH = re.compile(
    rb"\r\n[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee][Nn][Gg][Tt][Hh]:[ \t]*([0-9]+)[ \t]*\r\n"
)
_METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))
_ALLOW = b", ".join(sorted(_METHODS)).decode()
_VERSIONS = frozenset((b"HTTP/1.1", b"HTTP/1.0"))
LENGTH_DIGITS_MAX = 15

_NOTHING: frozenset[bytes] = frozenset()


class RequestHead:
    """What a request's head says. `memo` is the application's own: it lives as long as the head."""

    __slots__ = (
        "expects_continue",
        "fields",
        "has_length",
        "is_chunked",
        "is_http_10",
        "is_websocket",
        "keep_alive",
        "memo",
        "method",
        "named",
        "path",
        "target",
        "values",
    )

    def __init__(self, method: bytes, target: bytes, *, is_http_10: bool) -> None:
        self.method = method
        self.target = target
        self.path = target.partition(b"?")[0]
        self.is_http_10 = is_http_10
        self.keep_alive = not is_http_10
        self.has_length = False
        self.is_chunked = False
        self.expects_continue = False
        self.is_websocket = False
        self.fields: list[tuple[bytes, bytes, bytes]] = []  # lower-case name, value, whole line
        self.values: dict[bytes, bytes] = {}  # the first of each name
        self.named: frozenset[bytes] = _NOTHING  # what Connection fields name, in lower case
        self.memo: Any = None  # whatever the application derives from the head; wire never looks

    def __repr__(self) -> str:
        return f"<RequestHead {self.method.decode()} {len(self.fields)} fields>"

    def value(self, name: bytes) -> bytes:
        """The first value of a field, or nothing."""
        return self.values.get(name, b"")

    def listed(self, name: bytes) -> bytes:
        """All values of a field that is a list, in their order (RFC 9110, 5.3)."""
        if name not in self.values:
            return b""
        return b", ".join([value for one, value, _ in self.fields if one == name])

    def lines_to_forward(self, withheld: frozenset[bytes] = frozenset()) -> bytes:
        """The field lines that may go on to an upstream, each with its line end."""
        named = self.named
        lines = [
            line
            for name, _, line in self.fields
            if name not in HOP_BY_HOP
            and name not in REWRITTEN
            and name not in withheld
            and name not in named
            and not name.startswith(REWRITTEN_PREFIXES)
        ]
        return b"".join(line + b"\r\n" for line in lines)


class _Sink:
    """Notes only that llhttp came to the end of the head."""

    __slots__ = ("is_complete",)

    def __init__(self) -> None:
        self.is_complete = False

    def on_headers_complete(self) -> None:
        self.is_complete = True


def parse_request_head(raw: bytes) -> RequestHead:
    """Parse a head with its closing empty line; Refusal says what is wrong with it."""
    _validate(raw)
    start_line = raw[: raw.index(b"\r\n")]
    start = start_line.split(b" ")
    if len(start) != 3:
        raise _bad("The request line is a method, a target and a version, a space between each.")
    method, target, version = start
    if version not in _VERSIONS:
        raise _bad("Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    if method not in _METHODS:
        raise Refusal(Code.METHOD_NOT_ALLOWED, "This method is not served.", allow=_ALLOW)
    host, target = _origin_form(target)
    head = RequestHead(method, target, is_http_10=version == b"HTTP/1.0")
    if not _TARGET.match(target) or _AMBIGUOUS.search(head.path):
        raise _bad("Send a plain path: no dot-segments, no `//`, no encoded letters or separators.")
    _read_fields(head, raw, len(start_line))
    _check_host(head, host)
    _read_framing(head)
    _read_connection(head)
    return head


def _validate(raw: bytes) -> None:
    sink = _Sink()
    parser = httptools.HttpRequestParser(sink)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # an offer to upgrade is not an error; we decide later whether to follow it
    except httptools.HttpParserError:
        raise _bad("The request is not well-formed HTTP/1.1.") from None
    if not sink.is_complete:
        raise _bad("The request's head is not well-formed HTTP/1.1.")


def _origin_form(target: bytes) -> tuple[bytes | None, bytes]:
    """The host of an absolute target, if it is one, and the path and query."""
    if target[:7].lower() != b"http://" and target[:8].lower() != b"https://":
        return None, target
    host, slash, rest = target.partition(b"://")[2].partition(b"/")
    return host.lower(), slash + rest


def _read_fields(head: RequestHead, raw: bytes, at: int) -> None:
    """All lines after the first one, in a single pass of the pattern."""
    found = _FIELD.findall(raw, at)
    size = at + sum([len(line) + 2 for line, _, _ in found]) + len(HEAD_END)
    if size != len(raw):
        raise _bad("A header field is malformed.")
    head.fields = [(name.lower(), value.strip(b" \t"), line) for line, name, value in found]
    # Backwards, so that of several the first stays.
    head.values = {name: value for name, value, _ in reversed(head.fields)}


def _check_host(head: RequestHead, host: bytes | None) -> None:
    values = head.values
    if len(values) != len(head.fields):
        _check_single([name for name, _, _ in head.fields])
    if b"host" not in values:
        raise _bad("Send exactly one Host field.")
    if not _HOST.match(values[b"host"]):
        raise _bad("The Host field is a name or an address, and perhaps a port.")
    if host is not None and host != values[b"host"].lower():
        raise _bad("The target names another host than the Host field.")


def _check_single(names: list[bytes]) -> None:
    if names.count(b"host") > 1:
        raise _bad("Send exactly one Host field.")
    for name in names:
        if name in _SINGLE and names.count(name) > 1:
            raise _bad(f"Send at most one {name.decode()} field.")


def _read_framing(head: RequestHead) -> None:
    length = head.values.pop(b"content-length", None)  # heads are remembered without it
    if length is not None:
        head.has_length = True
        if not length.isdigit() or len(length) > LENGTH_DIGITS_MAX:
            raise _bad("Content-Length is not a number.")
    if b"transfer-encoding" not in head.values:
        return
    codings = [value for name, value, _ in head.fields if name == b"transfer-encoding"]
    if head.has_length:
        raise _bad("Send either Content-Length or Transfer-Encoding, not both.")
    if len(codings) > 1 or codings[0].lower() != b"chunked" or head.is_http_10:
        raise _bad("The only transfer coding taken is chunked, over HTTP/1.1.")
    head.is_chunked = True


def _read_connection(head: RequestHead) -> None:
    values = head.values
    if b"connection" in values:
        named = head.listed(b"connection").lower()
        head.named = frozenset([one.strip() for one in named.split(b",")])
        if b"close" in head.named:
            head.keep_alive = False
        elif b"keep-alive" in head.named:
            head.keep_alive = True
    expectation = head.value(b"expect").lower()
    if expectation not in (b"", b"100-continue"):
        raise Refusal(Code.BAD_REQUEST, "The only expectation known is 100-continue.")
    head.expects_continue = bool(expectation) and not head.is_http_10
    head.is_websocket = (
        head.method == b"GET"
        and b"upgrade" in head.named
        and head.value(b"upgrade").lower() == b"websocket"
    )


def _bad(message: str) -> Refusal:
    return Refusal(Code.BAD_REQUEST, message)


class HeadMemory:
    """Heads already parsed, by their exact bytes less the digits of Content-Length.

    Clients send the same head again and again; finding it costs a fifth of parsing it. The memory
    is dropped whole when it is full, which costs each live head one parse.
    """

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, RequestHead] = {}

    def read(self, raw: bytes) -> tuple[RequestHead, int, int, int]:
        """The head, its Content-Length, and where the digits of that begin and end (0: none)."""
        match = _LENGTH.search(raw)
        length = start = end = 0
        known = raw
        if match is not None:
            start, end = match.span(1)
            if end - start > LENGTH_DIGITS_MAX:
                raise _bad("Content-Length is too large.")
            known = raw[:start] + raw[end:]
            length = int(match[1])
        head = self._heads.get(known)
        if head is None:
            head = parse_request_head(raw)
            self._remember(known, head)
        if head.has_length is (match is None):  # such as an empty Content-Length
            raise _bad("Content-Length is not a number.")
        return head, length, start, end

    def _remember(self, known: bytes, head: RequestHead) -> None:
        if len(known) > MEMORY_BYTES_MAX or len(head.fields) > MEMORY_FIELDS_MAX:
            return
        if len(self._heads) >= MEMORY_ENTRIES_MAX:
            self._heads.clear()
        self._heads[known] = head
