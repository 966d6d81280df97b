"""A connection to an upstream: answers in any split, and reuse only where no doubt is left."""

import pytest

from tallygate.wire import upstream as upstreams
from tallygate.wire.upstream import Loss
from tests.wire.asking import Asking, Upstream


def head_of(*lines: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *lines, "", ""]).encode()


def by_length(body: bytes = b"hello", *lines: str) -> bytes:
    return head_of(f"Content-Length: {len(body)}", *lines) + body


CHUNKED = head_of("Transfer-Encoding: chunked") + b"3\r\nhel\r\n2;x\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n"
CONTINUES = head_of(status="100 Continue")
HINTS = head_of("Link: </a>", status="103 Early Hints")
NO_CONTENT = head_of(status="204 No Content")

# What the upstream says, the payload, and whether the connection may be used again.
ANSWERS = {
    "by length": (by_length(), b"hello", True),
    "an empty one": (by_length(b""), b"", True),
    "chunked": (CHUNKED, b"hello", True),
    "chunked and empty": (head_of("Transfer-Encoding: chunked") + b"0\r\n\r\n", b"", True),
    "no content": (NO_CONTENT, b"", True),
    "not modified, with the length it would have": (
        head_of("Content-Length: 5", status="304 Not Modified"),
        b"",
        True,
    ),
    "behind promises": (CONTINUES + HINTS + CONTINUES + by_length(), b"hello", True),
    "the last on its connection": (by_length(b"hello", "Connection: close"), b"hello", False),
    "over HTTP/1.0": (head_of("Content-Length: 2", version="1.0") + b"hi", b"hi", False),
    "over HTTP/1.0, kept": (
        head_of("Content-Length: 2", "Connection: keep-alive", version="1.0") + b"hi",
        b"hi",
        True,
    ),
}


def asked_and_answered(*pieces: bytes) -> tuple[Upstream, Asking]:
    upstream = Upstream()
    asking = upstream.is_asked()
    upstream.says(*pieces)
    return upstream, asking


def one_by_one(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


# --- whole, byte by byte, with trailing data ---


@pytest.mark.parametrize(("said", "payload", "is_kept"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_the_same_in_any_split(said: bytes, payload: bytes, is_kept: bool) -> None:
    splits = [[said], one_by_one(said), *([said[:cut], said[cut:]] for cut in range(1, len(said)))]
    for pieces in splits:
        upstream, asking = asked_and_answered(*pieces)
        assert asking.is_complete
        assert asking.payload == payload
        assert upstream.is_pooled is is_kept
        assert upstream.connection.asker is None


@pytest.mark.parametrize("after", [b"x", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
@pytest.mark.parametrize(("said", "payload", "_"), ANSWERS.values(), ids=ANSWERS)
def test_a_connection_with_a_byte_too_many_is_never_used_again(
    said: bytes, payload: bytes, _: bool, after: bytes
) -> None:
    """The byte would be read as the answer to somebody else's request."""
    upstream, asking = asked_and_answered(said + after)
    assert asking.payload == payload
    assert asking.is_complete
    assert not upstream.freed
    assert upstream.wire.is_closing_down
    upstream, asking = asked_and_answered(said)
    upstream.says(after)
    assert asking.payload == payload
    assert not upstream.is_pooled


def test_an_answer_ends_with_its_connection_if_nothing_else_ends_it() -> None:
    upstream, asking = asked_and_answered(head_of() + b"hel", b"lo")
    assert (asking.payload, asking.is_over) == (b"hello", False)
    upstream.closes()
    assert asking.is_complete
    assert not upstream.freed
    assert upstream.lost_count == 1


def test_an_answer_that_ends_with_its_connection_is_lost_when_that_breaks() -> None:
    upstream, asking = asked_and_answered(head_of() + b"hel")
    upstream.breaks()
    assert asking.loss is Loss.CLOSED


def test_an_answer_to_head_has_no_body_whatever_it_announces() -> None:
    for said in (
        head_of("Content-Length: 5"),
        head_of("Transfer-Encoding: chunked"),
        head_of(),
    ):
        upstream = Upstream()
        asking = upstream.is_asked(b"HEAD", is_head_request=True)
        upstream.says(said)
        assert (asking.payload, asking.is_complete, upstream.is_pooled) == (b"", True, True)
        assert not asking.heads[0].is_chunked
        asking = upstream.is_asked()
        upstream.says(by_length())
        assert asking.payload == b"hello"


def test_a_connection_is_used_again_and_again() -> None:
    upstream = Upstream()
    for number in range(3):
        asking = upstream.is_asked(b"GET /%d" % number)
        assert upstream.reads() == b"GET /%d" % number
        assert upstream.connection.is_reused is (number > 0)
        upstream.says(by_length(b"%d" % number))
        assert asking.payload == b"%d" % number
    assert len(upstream.freed) == 3


def test_the_upstreams_patience_is_passed_on() -> None:
    upstream, _ = asked_and_answered(by_length(b"", "Keep-Alive: timeout=5, max=9"))
    assert upstream.freed == [5]


def test_the_connection_is_free_before_the_asker_hears_the_end() -> None:
    """It may want to ask again at once."""
    upstream = Upstream()
    first = upstream.is_asked()
    asked_next: list[Asking] = []
    first.on_complete = lambda: asked_next.append(upstream.is_asked(b"next"))
    upstream.says(by_length(b"one"))
    upstream.says(by_length(b"two"))
    assert first.payload == b"one"
    assert asked_next[0].payload == b"two"


# --- what is lost ---

MALFORMED = {
    "nonsense": b"nonsense\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH\r\n\r\n",
    "both framings": head_of("Content-Length: 1", "Transfer-Encoding: chunked"),
    "two lengths": head_of("Content-Length: 1", "Content-Length: 2"),
    "a bare LF": b"HTTP/1.1 200 OK\r\nX: a\nb\r\n\r\n",
    "a bad chunk": head_of("Transfer-Encoding: chunked") + b"+1\r\n",
    "a bad chunk later": head_of("Transfer-Encoding: chunked") + b"1\r\nx\r\nnonsense\r\n",
    "a chunk that is too long": head_of("Transfer-Encoding: chunked") + b"1\r\nxy\r\n",
    "a switch of protocols nobody asked for": head_of(status="101 Switching Protocols"),
    "no answer but promises": CONTINUES * (upstreams.INFORMATIONAL_MAX + 1),
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * upstreams.HEAD_BYTES_MAX,
    "a line without end": b"HTTP/1.1 200 OK\r\nX: " + b"y" * upstreams.HEAD_BYTES_MAX,
}


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}", b"SSH-2.0-Open", b"-ERR no\r\n", b"\x15\x03\x01"],
)
def test_who_speaks_something_else_than_http_is_not_waited_for(said: bytes) -> None:
    """No end of a head will come of it, and a client would wait out the whole deadline."""
    for pieces in ([said], one_by_one(said)):
        upstream, asking = asked_and_answered(*pieces)
        assert asking.loss is Loss.MALFORMED
        assert upstream.wire.is_aborted


@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_answer_is_lost_with_its_connection(said: bytes) -> None:
    step = max(1, len(said) // 100)
    for pieces in ([said], [said[at : at + step] for at in range(0, len(said), step)]):
        upstream, asking = asked_and_answered(*pieces)
        assert asking.loss is Loss.MALFORMED
        assert upstream.wire.is_aborted
        assert not upstream.freed


@pytest.mark.parametrize("said", [by_length(), CHUNKED, CONTINUES + NO_CONTENT])
def test_an_answer_that_was_cut_is_lost(said: bytes) -> None:
    """However much of it came, and whether or not the upstream said goodbye."""
    for cut in range(len(said)):
        for end in (Upstream.closes, Upstream.breaks):
            upstream, asking = asked_and_answered(said[:cut])
            end(upstream)
            assert asking.loss is Loss.CLOSED
            assert not upstream.freed
            assert upstream.lost_count == 1


def test_what_nobody_asked_for_ends_the_connection() -> None:
    upstream = Upstream()
    upstream.says(by_length())
    assert upstream.wire.is_aborted
    assert not upstream.connection.is_usable


def test_an_idle_connection_that_ends_is_told_to_the_pool_alone() -> None:
    upstream, asking = asked_and_answered(by_length())
    upstream.closes()
    assert upstream.lost_count == 1
    assert asking.loss is None
    assert not upstream.connection.is_usable


def test_an_abandoned_answer_is_heard_no_more() -> None:
    upstream, asking = asked_and_answered(head_of("Content-Length: 9") + b"hel")
    upstream.connection.abandon()
    upstream.says(b"lo")
    upstream.wire.settle()
    assert asking.payload == b"hel"
    assert not asking.is_over
    assert upstream.wire.is_aborted
    assert upstream.lost_count == 1


# --- request bodies and backpressure ---


def test_an_answer_before_the_request_was_complete_ends_the_connection() -> None:
    """The rest of the body would be read as the next request."""
    upstream = Upstream()
    asking = upstream.is_asked(b"POST")
    upstream.connection.is_request_complete = False
    upstream.connection.send_more(b"half of it")
    upstream.says(by_length())
    assert asking.is_complete
    assert not upstream.freed
    assert upstream.wire.is_closing_down


def test_an_answer_after_the_request_was_complete_leaves_the_connection() -> None:
    upstream = Upstream()
    upstream.is_asked(b"POST")
    upstream.connection.is_request_complete = False
    upstream.connection.send_more(b" all of it")
    upstream.connection.is_request_complete = True
    upstream.says(by_length())
    assert upstream.reads() == b"POST all of it"
    assert upstream.is_pooled


def test_a_paused_answer_waits_and_a_free_connection_is_never_paused() -> None:
    upstream, asking = asked_and_answered(head_of("Content-Length: 6") + b"abc")
    upstream.connection.pause()
    upstream.says(b"def")
    assert asking.payload == b"abc"
    upstream.connection.resume()
    upstream.wire.settle()
    assert (asking.payload, asking.is_complete) == (b"abcdef", True)
    second = upstream.is_asked()
    second.on_complete = upstream.connection.pause  # its client is slow to read the last piece
    upstream.says(by_length())
    third = upstream.is_asked()
    upstream.says(by_length(b"again"))
    assert third.payload == b"again"


def test_an_upstream_that_does_not_read_is_told_to_the_asker() -> None:
    upstream = Upstream()
    upstream.wire.is_stuck = True
    asking = upstream.is_asked(b"POST")
    upstream.connection.send_more(b"x" * 300_000)
    assert asking.told == ["slow"]
    upstream.wire.flow()
    assert asking.told == ["slow", "ready"]
