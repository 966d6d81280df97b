"""Heads of answers are read through templates, and read the same as if each were the first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.wire import answer
from tallygate.wire.answer import AnswerHead, AnswerHeads, BadAnswer


def head_of(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([start, *lines, b"", b""])


def what_it_says(head: AnswerHead) -> object:
    """The order of its lines apart: only lines of one name must keep theirs."""
    kept: dict[bytes, list[bytes]] = {}
    for line in head.kept.split(b"\r\n"):
        kept.setdefault(line.partition(b":")[0], []).append(line)
    names = [name for name in AnswerHead.__slots__ if name != "kept"]
    return kept, [(name, getattr(head, name)) for name in names]


def read_by(heads: AnswerHeads, raw: bytes) -> object:
    try:
        return what_it_says(heads.read(raw))
    except BadAnswer:
        return "malformed"


def learned() -> AnswerHeads:
    """Heads that have met X-Varies and Set-Cookie with many values."""
    heads = AnswerHeads()
    for number in range(3 * answer.VALUES_TO_VARY):
        heads.read(head_of(b"X-Varies: %d" % number, b"Set-Cookie: a=%d" % number))
    assert {b"X-Varies", b"Set-Cookie"} <= heads._varying
    return heads


# --- what a head says ---


def test_an_answer_says_how_it_is_framed_and_what_it_is() -> None:
    head = AnswerHeads().read(
        head_of(
            b"Content-Length: 12",
            b"Content-Type: application/json; charset=utf-8",
            b"Content-Encoding: GZIP",
            b"Keep-Alive: timeout=5, max=100",
            start=b"HTTP/1.1 201 Created",
        )
    )
    assert (head.status, head.length, head.is_chunked, head.keep_alive) == (201, 12, False, True)
    assert head.content_type == b"application/json; charset=utf-8"
    assert (head.encoding, head.idle_s) == (b"gzip", 5)


@pytest.mark.parametrize(
    ("version", "lines", "keeps"),
    [
        (b"1.1", [], True),
        (b"1.1", [b"Connection: close"], False),
        (b"1.1", [b"Connection: Close, X-Foo"], False),
        (b"1.1", [b"Connection: x-closely"], True),
        (b"1.1", [b"Connection: close", b"Connection: keep-alive"], False),
        (b"1.1", [b"Connection: keep-alive, close"], False),
        (b"1.0", [], False),
        (b"1.0", [b"Connection: Keep-Alive"], True),
        (b"1.0", [b"Connection: close", b"Connection: keep-alive"], False),
    ],
)
def test_a_connection_is_kept_as_the_upstream_says(
    version: bytes, lines: list[bytes], keeps: bool
) -> None:
    head = AnswerHeads().read(head_of(*lines, start=b"HTTP/" + version + b" 200 OK"))
    assert head.keep_alive is keeps


def test_an_answer_over_http_10_is_not_kept_unless_it_says_so() -> None:
    assert not AnswerHeads().read(head_of(b"Connection: x", start=b"HTTP/1.0 200 OK")).keep_alive


@pytest.mark.parametrize("status", [100, 101, 199, 204, 304])
def test_some_answers_have_no_body_by_their_status(status: int) -> None:
    assert AnswerHeads().read(head_of(start=b"HTTP/1.1 %d X" % status)).has_no_body
    assert not AnswerHeads().read(head_of(start=b"HTTP/1.1 200")).has_no_body


DROPPED = [
    b"Connection: keep-alive",
    b"Keep-Alive: timeout=5",
    b"Proxy-Authenticate: Basic",
    b"Proxy-Connection: close",
    b"TE: trailers",
    b"Trailer: X-Sum",
    b"Content-Length: 3",
    b"Upgrade: h2c",
    b"X-Request-Id: theirs",
    b"x-ratelimit-remaining-requests: 1",
    b"anthropic-ratelimit-tokens-limit: 1",
    b"X-Tallygate-Cost: 0",
    b"X-Accel-Redirect: /etc/passwd",
]


@pytest.mark.parametrize("line", DROPPED)
def test_what_is_ours_to_say_does_not_go_on(line: bytes) -> None:
    name, _, value = line.partition(b":")
    for spelled in (line, line.lower(), name.upper() + b":" + value):
        for heads in (AnswerHeads(), learned()):
            raw = head_of(spelled, b"X-Varies: new", b"Vary: *")
            kept = heads.read(raw).kept
            assert sorted(kept.split(b"\r\n")) == [b"", b"Vary: *", b"X-Varies: new"]


def test_a_dropped_field_that_varies_is_dropped_all_the_same() -> None:
    heads = AnswerHeads()
    for number in range(20):
        head = heads.read(head_of(b"X-RateLimit-Remaining: %d" % number, b"Vary: *"))
        assert head.kept == b"Vary: *\r\n"
    assert b"X-RateLimit-Remaining" in heads._varying


def test_every_cookie_goes_on_in_its_order() -> None:
    cookies = [b"Set-Cookie: b=2", b"Set-Cookie: a=1", b"Set-Cookie: b=2"]
    for heads in (AnswerHeads(), learned()):
        kept = heads.read(head_of(cookies[0], b"Vary: *", *cookies[1:])).kept
        assert [line for line in kept.split(b"\r\n") if line[:3] == b"Set"] == cookies


# --- what is refused ---

MALFORMED = {
    "no status": b"HTTP/1.1\r\n\r\n",
    "another protocol": head_of(start=b"ICY 200 OK"),
    "another version": head_of(start=b"HTTP/2 200 OK"),
    "a short status": head_of(start=b"HTTP/1.1 20 OK"),
    "a long status": head_of(start=b"HTTP/1.1 2000 OK"),
    "a status beyond all": head_of(start=b"HTTP/1.1 600 OK"),
    "an empty line first": b"\r\n" + head_of(),
    "both framings": head_of(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
    "both framings in another order": head_of(b"Transfer-Encoding: chunked", b"content-length: 3"),
    "both framings in capitals": head_of(b"TRANSFER-ENCODING: chunked", b"CONTENT-LENGTH: 3"),
    "two lengths": head_of(b"Content-Length: 3", b"Content-Length: 4"),
    "two lengths in two cases": head_of(b"Content-Length: 3", b"content-LENGTH: 4"),
    "two lengths in one": head_of(b"Content-Length: 3, 3"),
    "an empty length": head_of(b"Content-Length:"),
    "a negative length": head_of(b"Content-Length: -1"),
    "a signed length": head_of(b"Content-Length: +3"),
    "a hexadecimal length": head_of(b"Content-Length: 0x3"),
    "a length beyond all measure": head_of(b"Content-Length: 1000000000000000"),
    "gzip, chunked": head_of(b"Transfer-Encoding: gzip, chunked"),
    "chunked twice": head_of(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "identity": head_of(b"Transfer-Encoding: identity"),
    "a folded line": head_of(b"X-Long: one", b" two"),
    "a folded line behind one that varies": head_of(b"Vary: *", b"Date: one", b" two: three"),
    "a line without a colon": head_of(b"Date"),
    "a space before the colon": head_of(b"Content-Length : 3"),
    "a field without a name": head_of(b": x"),
}
# In a field met for the first time, in ones that always vary, in one that was found to vary.
SPLITTING = {
    f"{what} in {name.decode()}": head_of(name + b": a" + bad + b"Set-Cookie: admin=1")
    for what, bad in (
        ("a bare LF", b"\n"),
        ("a bare CR", b"\r"),
        ("a CR too many", b"\r\r\n"),
        ("a NUL", b"\x00"),
        ("a delete character", b"\x7f"),
        ("a vertical tab", b"\x0b"),
    )
    for name in (b"X-New", b"Date", b"date", b"x-request-id", b"Content-Length", b"X-Varies")
}


@pytest.mark.parametrize("raw", [*MALFORMED.values(), *SPLITTING.values()])
def test_a_malformed_head_is_refused_through_a_template_too(raw: bytes) -> None:
    """What splits an answer in two for a client must not hide in a line that is cut out."""
    heads = learned()
    heads.read(head_of(b"Vary: *"))
    heads.read(head_of())
    for one in (AnswerHeads(), heads, heads):
        with pytest.raises(BadAnswer):
            one.read(raw)


def test_equal_lengths_count_once() -> None:
    raw = head_of(b"Content-Length: 3", b"Content-LENGTH: 3", b"Content-Length: 3")
    assert AnswerHeads().read(raw).length == 3


# --- learning ---


def test_fields_that_vary_are_learned_and_read_through_one_template() -> None:
    heads = learned()
    heads.read(head_of(b"X-Varies: a", b"Vary: *"))
    count = len(heads._templates)
    for number in range(100):
        head = heads.read(
            head_of(b"X-Varies: v%d" % number, b"Vary: *", b"Content-Length: %d" % number)
        )
        assert head.length == number
        assert head.kept == b"Vary: *\r\nX-Varies: v%d\r\n" % number
    assert len(heads._templates) == count


def test_what_a_template_gives_is_the_callers_own() -> None:
    heads = AnswerHeads()
    heads.read(head_of(b"Transfer-Encoding: chunked")).is_chunked = False
    assert heads.read(head_of(b"Transfer-Encoding: chunked")).is_chunked


def test_memory_is_bounded_whatever_an_upstream_sends() -> None:
    """Upstreams choose their heads: names, values and lengths."""
    heads = AnswerHeads()
    padding = b"X-Pad: " + b"a" * answer.TEMPLATE_BYTES_MAX
    for number in range(3 * answer.TEMPLATES_MAX):
        heads.read(head_of(b"X-%d: 1" % number))
        heads.read(head_of(b"X-P%d: 1" % number, padding))
        heads.read(head_of(b"X-Same: %d" % number, padding))
        heads.read(head_of(*[b"X-%d: %d" % (name, number) for name in range(40)], padding))
    heads.read(head_of(b"X-%b: 1" % (b"a" * 1_000)))
    assert len(heads._templates) <= answer.TEMPLATES_MAX
    assert all(len(rest) <= answer.TEMPLATE_BYTES_MAX for rest in heads._templates)
    assert len(heads._varying) <= answer.VARYING_NAMES_MAX
    assert len(heads._values) <= answer.NAMES_NOTED_MAX
    assert all(len(values) <= answer.VALUES_TO_VARY + 1 for values in heads._values.values())
    assert all(len(name) <= answer.NAME_BYTES_MAX for name in heads._values)


names = st.sampled_from(
    [
        *(b"Date", b"date", b"DATE", b"Content-Length", b"content-length", b"CONTENT-LENGTH"),
        *(b"X-Varies", b"x-varies", b"Set-Cookie", b"set-cookie", b"X-Request-ID", b"x-request-id"),
        *(b"Transfer-Encoding", b"Connection", b"Keep-Alive", b"Content-Type", b"Upgrade"),
        *(b"X-RateLimit-Limit", b"X-New", b"Vary", b"Trailer"),
    ]
)
values = st.one_of(
    st.sampled_from([b"1", b"2", b"chunked", b"close", b"keep-alive", b"timeout=7", b"", b"a: b"]),
    st.sampled_from([b"a\nb", b"a\rb", b"\x00", b"a\r\n b", b"x\r\n", b"\xff", b"\t1 "]),
    st.integers(0, 10**16).map(b"%d".__mod__),
)
lines = st.tuples(names, st.sampled_from([b":", b": ", b":\t", b" :"]), values).map(b"".join)
starts = st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204", b"HTTP/1.1 20"])


generated = st.builds(
    lambda start, chosen: head_of(*chosen, start=start), starts, st.lists(lines, max_size=5)
)


@given(st.lists(generated, max_size=30))
def test_a_head_read_through_a_template_is_the_one_read_fresh(raws: list[bytes]) -> None:
    """A cache in front of a parser must never answer differently from the parser."""
    heads = learned()
    for raw in [*raws, *raws]:
        assert read_by(heads, raw) == read_by(AnswerHeads(), raw)
