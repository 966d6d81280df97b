"""What two servers could read differently is refused; the rest is read once and remembered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.errors import Code, Refusal
from tallygate.wire import head as heads
from tallygate.wire.head import CREDENTIALS, HeadMemory, RequestHead, parse_request_head
from tallygate.wire.same_head import SameHead


def head_of(*lines: bytes, start: bytes = b"POST /v1/chat HTTP/1.1", host: bytes = b"a") -> bytes:
    """A valid head, but for the lines that are added."""
    return b"\r\n".join([start, b"Host: " + host, *lines, b"", b""])


def aimed_at(target: bytes, host: bytes = b"a") -> bytes:
    return head_of(start=b"GET " + target + b" HTTP/1.1", host=host)


def bare(*lines: bytes) -> bytes:
    return b"\r\n".join([*lines, b"", b""])


AMBIGUOUS = {
    "no Host": bare(b"GET / HTTP/1.1"),
    "no Host over HTTP/1.0": bare(b"GET / HTTP/1.0"),
    "two Hosts": head_of(b"Host: b"),
    "two equal Hosts": head_of(b"host: a"),
    "a Host with a path": head_of(host=b"a/b"),
    "a Host with a user": head_of(host=b"user@a"),
    "two Hosts in one": head_of(host=b"a, b"),
    "an absolute target with another host": aimed_at(b"http://b/x"),
    "an absolute target that hides its host": aimed_at(b"http://b@a/x"),
    "an absolute target without a path": aimed_at(b"http://a"),
    "a target of the server as a whole": head_of(start=b"OPTIONS * HTTP/1.1"),
    "a scheme nobody serves": aimed_at(b"ftp://a/x"),
    "gzip, chunked": head_of(b"Transfer-Encoding: gzip, chunked"),
    "chunked, gzip": head_of(b"Transfer-Encoding: chunked, gzip"),
    "chunked twice": head_of(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "identity": head_of(b"Transfer-Encoding: identity"),
    "an empty transfer coding": head_of(b"Transfer-Encoding:"),
    "a quoted transfer coding": head_of(b'Transfer-Encoding: "chunked"'),
    "a transfer coding behind a vertical tab": head_of(b"Transfer-Encoding: \x0bchunked"),
    "chunked over HTTP/1.0": head_of(b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.0"),
    "both framings": head_of(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "both framings, the other way round": head_of(
        b"Transfer-Encoding: chunked", b"Content-Length: 3"
    ),
    "two lengths": head_of(b"Content-Length: 3", b"Content-Length: 4"),
    "two equal lengths": head_of(b"Content-Length: 3", b"content-length: 3"),
    "two lengths in one": head_of(b"Content-Length: 3, 3"),
    "an empty length": head_of(b"Content-Length:"),
    "a negative length": head_of(b"Content-Length: -1"),
    "a signed length": head_of(b"Content-Length: +3"),
    "a hexadecimal length": head_of(b"Content-Length: 0x3"),
    "a length with an underscore": head_of(b"Content-Length: 1_0"),
    "a length with a fraction": head_of(b"Content-Length: 3.0"),
    "a length in other digits": head_of("Content-Length: ٣".encode()),
    "a length beyond all measure": head_of(b"Content-Length: 1000000000000000"),
    "a length beyond 64 bits": head_of(b"Content-Length: 18446744073709551619"),
    "a space before the colon": head_of(b"Content-Length : 3"),
    "a folded line": head_of(b"X-Long: one", b" two"),
    "a folded length": head_of(b"Content-Length: 3", b"\t4"),
    "a folded first line": bare(b"GET / HTTP/1.1", b" X: y", b"Host: a"),
    "a line without a colon": head_of(b"Content-Length"),
    "a field without a name": head_of(b": x"),
    "a field's name with a space": head_of(b"X Y: z"),
    "a bare CR in a value": head_of(b"X: a\rContent-Length: 3"),
    "a bare LF in a value": head_of(b"X: a\nContent-Length: 3"),
    "a bare LF after the request line": b"GET / HTTP/1.1\nX: y\r\nHost: a\r\n\r\n",
    "a bare CR after the request line": b"GET / HTTP/1.1\rX: y\r\nHost: a\r\n\r\n",
    "a NUL in a value": head_of(b"X: a\x00b"),
    "a NUL in a name": head_of(b"X\x00: b"),
    "a NUL in the target": aimed_at(b"/a\x00b"),
    "a delete character in a value": head_of(b"X: \x7f"),
    "a target that is not ASCII": aimed_at("/é".encode()),
    "a fragment": aimed_at(b"/a#b"),
    "a backslash": aimed_at(b"/a\\b"),
    "a relative target": aimed_at(b"a"),
    "two spaces": head_of(start=b"GET  / HTTP/1.1"),
    "a space in the target": head_of(start=b"GET /a b HTTP/1.1"),
    "a tab for a space": head_of(start=b"GET\t/ HTTP/1.1"),
    "a space after the version": head_of(start=b"GET / HTTP/1.1 "),
    "no version": head_of(start=b"GET /"),
    "HTTP/0.9": head_of(start=b"GET / HTTP/0.9"),
    "HTTP/1.2": head_of(start=b"GET / HTTP/1.2"),
    "HTTP/2.0": head_of(start=b"GET / HTTP/2.0"),
    "another protocol": head_of(start=b"GET / RTSP/1.0"),
    "an expectation nobody knows": head_of(b"Expect: 200-ok"),
    "two expectations": head_of(b"Expect: 100-continue", b"Expect: 100-continue"),
    "two credentials": head_of(b"Authorization: Bearer a", b"Authorization: Bearer b"),
    "two content types": head_of(b"Content-Type: a/b", b"Content-Type: c/d"),
}
AMBIGUOUS_PATHS = [
    *(b"/a/../b", b"/a/..", b"/../a", b"/a/./b", b"/a/.", b"/.", b"/..", b"//", b"//a", b"/a//b"),
    *(b"/a%2fb", b"/a%2Fb", b"/a%5cb", b"/a%5Cb", b"/a%00", b"/%2e%2e/a", b"/.%2E/a", b"/a/%2e"),
    *(b"/%69nternal", b"/v1/chat/completion%73", b"/v1/%43hat", b"/%761/chat", b"/v%31", b"/a%5fb"),
]


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    """Whoever is behind us could otherwise be asked something else than what we decided on."""
    with pytest.raises(Refusal) as refused:
        HeadMemory().read(raw)
    assert refused.value.code is Code.BAD_REQUEST


@pytest.mark.parametrize("path", AMBIGUOUS_PATHS)
def test_a_path_has_one_spelling(path: bytes) -> None:
    """A letter that only the upstream decodes would slip past limits that are set by path."""
    for target in (path, path + b"?q=1", b"http://a" + path):
        with pytest.raises(Refusal) as refused:
            parse_request_head(aimed_at(target))
        assert refused.value.code is Code.BAD_REQUEST


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE", b"PROPFIND", b"SOURCE"])
def test_methods_with_a_meaning_of_their_own_are_not_served(method: bytes) -> None:
    target = b"a:80" if method == b"CONNECT" else b"/"
    with pytest.raises(Refusal):
        parse_request_head(head_of(start=method + b" " + target + b" HTTP/1.1"))


@pytest.mark.parametrize(
    "target",
    [b"/", b"/a.b/..c/d..", b"/a?x=../..//%2f%00", b"/a%20b", b"/%E4%BD%A0", b"/~a/%7Eb", b"/a/?"],
)
def test_a_plain_target_goes_on_byte_by_byte(target: bytes) -> None:
    """What is matched is what is forwarded."""
    head = parse_request_head(aimed_at(target))
    assert head.target == target
    assert head.path == target.partition(b"?")[0]


@pytest.mark.parametrize("target", [b"http://a/x?y", b"HTTP://A/x?y", b"https://a/x?y"])
def test_an_absolute_target_with_our_host_is_read_as_its_path(target: bytes) -> None:
    assert parse_request_head(aimed_at(target)).target == b"/x?y"


@pytest.mark.parametrize("host", [b"a", b"a.b:8787", b"[::1]", b"[::1]:80", b"", b"127.0.0.1:1"])
def test_a_host_is_a_name_or_an_address_and_perhaps_a_port(host: bytes) -> None:
    assert parse_request_head(head_of(host=host)).value(b"host") == host


@pytest.mark.parametrize(
    ("start", "connection", "keeps"),
    [
        (b"GET / HTTP/1.1", b"", True),
        (b"GET / HTTP/1.1", b"close", False),
        (b"GET / HTTP/1.1", b"Keep-Alive, CLOSE", False),
        (b"GET / HTTP/1.0", b"", False),
        (b"GET / HTTP/1.0", b"keep-alive", True),
        (b"GET / HTTP/1.0", b"keep-alive, close", False),
    ],
)
def test_a_connection_lasts_as_its_version_and_the_client_say(
    start: bytes, connection: bytes, keeps: bool
) -> None:
    head = parse_request_head(head_of(b"Connection: " + connection, start=start))
    assert head.keep_alive is keeps


def test_every_connection_field_is_heard() -> None:
    """The second one counts as much as the first (RFC 9110, 5.3)."""
    head = parse_request_head(head_of(b"Connection: x-one", b"X-One: 1", b"Connection: close"))
    assert not head.keep_alive
    head = parse_request_head(
        head_of(b"Connection: x-one", b"X-One: 1", b"X-Two: 2", b"Connection: a, X-TWO")
    )
    assert head.lines_to_forward() == b""


def test_only_a_websocket_upgrade_is_one() -> None:
    asked = (b"Connection: Upgrade", b"Upgrade: WebSocket")
    assert parse_request_head(head_of(*asked, start=b"GET / HTTP/1.1")).is_websocket
    for lines, start in (
        (asked, b"POST / HTTP/1.1"),
        ((b"Connection: Upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AA"), b"GET / HTTP/1.1"),
        ((b"Upgrade: websocket",), b"GET / HTTP/1.1"),
        ((b"Connection: upgrade",), b"GET / HTTP/1.1"),
    ):
        head = parse_request_head(head_of(*lines, start=start))
        assert not head.is_websocket
        assert head.lines_to_forward() == b""


def test_an_expectation_counts_over_http_11_only() -> None:
    expects = b"Expect: 100-Continue"
    assert parse_request_head(head_of(expects)).expects_continue
    assert not parse_request_head(head_of(expects, start=b"POST / HTTP/1.0")).expects_continue
    assert not parse_request_head(head_of()).expects_continue


STAY_HERE = [
    b"Host: a",
    b"Connection: keep-alive",
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authorization: Basic eA==",
    b"Proxy-Authenticate: Basic",
    b"TE: trailers",
    b"Trailer: X-Sum",
    b"Upgrade: h2c",
    b"HTTP2-Settings: AA",
    b"Expect: 100-continue",
    b"Content-Length: 7",
    b"Forwarded: for=1.2.3.4",
    b"X-Forwarded-For: 1.2.3.4",
    b"x-forwarded-anything: 1",
    b"X-Real-IP: 1.2.3.4",
    b"X-Tallygate-User: root",
]
GO_ON = [b"Content-Type: a/b", b"x-custom:  two  spaces ", b"X-Custom: again", b"Accept: */*"]


def test_what_concerns_this_hop_or_is_ours_to_say_stays_here() -> None:
    """A client can neither speak to the upstream's framing nor in our name."""
    head = parse_request_head(bare(b"GET / HTTP/1.1", GO_ON[0], *STAY_HERE, *GO_ON[1:]))
    assert head.lines_to_forward() == b"".join(line + b"\r\n" for line in GO_ON)


def test_credentials_of_ours_are_withheld_from_upstreams() -> None:
    lines = [name.upper() + b": secret" for name in sorted(CREDENTIALS)]
    head = parse_request_head(head_of(*lines, b"Accept: */*"))
    assert head.lines_to_forward(CREDENTIALS) == b"Accept: */*\r\n"
    assert head.lines_to_forward().count(b"secret") == len(CREDENTIALS)
    assert "secret" not in repr(head)


# --- memory ---


def test_heads_that_differ_in_their_length_alone_are_read_once() -> None:
    memory = HeadMemory()
    first, length, *_ = memory.read(head_of(b"Content-Length: 5"))
    assert length == 5
    again, length, *_ = memory.read(head_of(b"Content-Length: 1234"))
    assert again is first
    assert length == 1234
    other, length, *_ = memory.read(head_of(b"Content-Length: 5", b"X: y"))
    assert other is not first
    assert memory.read(head_of())[1] == 0


@pytest.mark.parametrize("line", [b"Content-Length:", b"Content-Length: ", b"Content-Length:\t"])
def test_an_empty_length_never_passes_for_a_remembered_one(line: bytes) -> None:
    """Its bytes are those of a remembered head less the digits."""
    memory = HeadMemory()
    memory.read(head_of(line + b"5"))
    with pytest.raises(Refusal):
        memory.read(head_of(line))


def test_a_second_length_is_refused_after_the_first_was_remembered() -> None:
    memory = HeadMemory()
    memory.read(head_of(b"Content-Length: 5"))
    for lines in (
        (b"Content-Length: 5", b"Content-Length: "),
        (b"Content-Length: ", b"Content-Length: 5"),
        (b"Content-Length: 5", b"Content-Length: 5"),
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    ):
        with pytest.raises(Refusal):
            memory.read(head_of(*lines))


def test_a_length_too_large_is_refused_whatever_is_remembered() -> None:
    memory = HeadMemory()
    memory.read(head_of(b"Content-Length: 5"))
    with pytest.raises(Refusal):
        memory.read(head_of(b"Content-Length: " + b"9" * (heads.LENGTH_DIGITS_MAX + 1)))


def test_memory_is_bounded_in_heads_bytes_and_fields() -> None:
    """Clients choose their heads, so they must not choose how much of a worker they fill."""
    memory = HeadMemory()
    kept, *_ = memory.read(aimed_at(b"/0"))
    assert memory.read(aimed_at(b"/0"))[0] is kept
    for number in range(heads.MEMORY_ENTRIES_MAX):
        memory.read(aimed_at(b"/%d" % (number + 1)))
    assert memory.read(aimed_at(b"/0"))[0] is not kept
    long = head_of(b"X: " + b"a" * heads.MEMORY_BYTES_MAX)
    assert memory.read(long)[0] is not memory.read(long)[0]
    many = head_of(*[b"a:"] * heads.MEMORY_FIELDS_MAX)
    assert memory.read(many)[0] is not memory.read(many)[0]


lengths = st.one_of(
    st.integers(0, 10**17).map(b"%d".__mod__),
    st.sampled_from([b"", b" ", b"-1", b"+1", b"0x1", b"007", b"1 1", b"1\t"]),
)
lines = st.one_of(
    st.tuples(
        st.sampled_from([b"Content-Length", b"content-length", b"CONTENT-LENGTH", b"X-Length"]),
        st.sampled_from([b":", b": ", b":\t ", b" :"]),
        lengths,
        st.sampled_from([b"", b" ", b"\r\n 1"]),
    ).map(b"".join),
    st.sampled_from([b"X: y", b"Transfer-Encoding: chunked", b"Connection: close", b"Host: b"]),
)


def what_it_says(heads: SameHead, raw: bytes) -> object:
    try:
        head, length = heads.read(raw + b"{}", len(raw))
    except Refusal as refusal:
        return refusal.code
    says = [getattr(head, name) for name in RequestHead.__slots__ if name not in ("fields", "memo")]
    others = [field for field in head.fields if field[0] != b"content-length"]
    return length, says, others


@given(st.lists(st.lists(lines, max_size=3), max_size=12), st.lists(lengths, max_size=4))
def test_a_remembered_head_says_what_a_fresh_one_says(
    asked: list[list[bytes]], repeated: list[bytes]
) -> None:
    """A cache in front of a parser must never answer differently from the parser."""
    heads = SameHead(HeadMemory())
    asked += [[b"Content-Length: " + length, b"X: y"] for length in repeated]
    for raw in (head_of(*chosen) for chosen in asked):
        assert what_it_says(heads, raw) == what_it_says(SameHead(HeadMemory()), raw)


def test_a_connection_knows_the_head_that_it_sent_last() -> None:
    """Whatever its length says, and only if every other byte is the same."""
    heads = SameHead(HeadMemory())
    raw = head_of(b"Content-Length: 5", b"X: y")
    first, _ = heads.read(raw, len(raw))
    longer = head_of(b"Content-Length: 12", b"X: y")
    assert heads.read(longer + b"body", len(longer)) == (first, 12)
    for line in (b"X: z", b"x: y", b"X: y "):
        other = head_of(b"Content-Length: 5", line)
        assert heads.read(other, len(other))[0] is not first


@pytest.mark.parametrize(
    "length", [b"", b"-1", b"5 5", b"0x5", b"5\r\nContent-Length: 5", b"9" * 16]
)
def test_what_is_no_length_is_none_for_a_head_sent_again_either(length: bytes) -> None:
    heads = SameHead(HeadMemory())
    raw = head_of(b"Content-Length: 5", b"X: y")
    heads.read(raw, len(raw))
    wrong = head_of(b"Content-Length: " + length, b"X: y")
    with pytest.raises(Refusal):
        heads.read(wrong, len(wrong))
