"""What no route claims goes to the control plane as it is: streamed both ways, never gathered."""

import pytest

from tallygate.gateway.plain import ANSWER_MS
from tests.gateway.exchange_text import (
    LAST_CHUNK,
    Incomplete,
    chunked,
    reply,
    request,
)
from tests.gateway.rig import Rig, Side, rigged


def begun(rig: Rig, length: int = 1_000_000, **headers: str) -> Side:
    """A client whose request has begun, with its body still to come."""
    client = rig.client()
    head = request("PUT", "/api/upload", content_length=str(length), **headers)
    client.send(head)
    return client


def test_a_request_and_its_answer_pass_as_they_are() -> None:
    with rigged({}) as rig:
        client = rig.client()
        client.send(request("POST", "/admin/keys?a=%20b", b'{"label":"x"}', x_admin_token="t"))
        sent = rig.upstream.transport.written
        assert sent.startswith(b"POST /admin/keys?a=%20b HTTP/1.1\r\nhost: gate.test\r\n")
        assert b"authorization: Bearer k\r\n" in sent
        assert b"x-admin-token: t\r\n" in sent
        assert sent.endswith(b'content-length: 13\r\n\r\n{"label":"x"}')
        rig.upstream.send(reply(418, b"teapot", kind="text/plain", set_cookie="a=b"))
        answer = client.answer()
        assert (answer.status, answer.body) == (418, b"teapot")
        assert answer.headers["set-cookie"] == "a=b"
        assert rig.entries() == []


def test_the_clients_address_is_believed_from_trusted_proxies_only() -> None:
    for trusted, peer, expected in (
        ("", "10.0.0.1", b"10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", b"1.2.3.4"),
        ("10.0.0.0/8", "11.0.0.1", b"11.0.0.1"),
        ("10.0.0.0/8, 1.2.3.0/24", "10.0.0.1", b"6.6.6.6"),
    ):
        with rigged({}, trusted_proxies=trusted) as rig:
            forged = {"x_forwarded_for": "6.6.6.6, 1.2.3.4", "forwarded": "for=6.6.6.6"}
            rig.client(peer).send(request("GET", "/", x_real_ip="6.6.6.6", **forged))
            sent = rig.upstream.transport.written
            assert b"x-forwarded-for: %b\r\n" % expected in sent
            assert sent.count(b"6.6.6.6") == (expected == b"6.6.6.6")


def test_an_upload_may_take_as_long_as_its_bytes_keep_coming() -> None:
    with rigged({}) as rig:
        client = begun(rig, length=8)
        for _ in range(7):
            rig.pass_time(50)
            client.send(b"x")
        assert rig.upstream.transport.written.endswith(b"xxxxxxx")
        rig.pass_time(50)
        client.send(b"x")
        rig.upstream.send(reply())
        assert client.answer().status == 200


def test_a_control_plane_that_takes_an_upload_and_says_nothing_is_given_up() -> None:
    with rigged({}) as rig:
        client = begun(rig, length=1)
        rig.pass_time(50)
        client.send(b"x")
        rig.pass_time(ANSWER_MS / 1000 - 1)
        assert client.unread == b""
        rig.pass_time(2)
        assert client.answer().status == 503


def test_tls_is_believed_from_trusted_proxies_only() -> None:
    """A cookie that is marked for TLS where there is none would sign nobody in, and the reverse
    would send it in clear."""
    for trusted, peer, said, is_believed in (
        ("", "10.0.0.1", "https", False),
        ("10.0.0.0/8", "10.0.0.1", "https", True),
        ("10.0.0.0/8", "10.0.0.1", "http", False),
        ("10.0.0.0/8", "11.0.0.1", "https", False),
    ):
        with rigged({}, trusted_proxies=trusted) as rig:
            rig.client(peer).send(request("GET", "/", x_forwarded_proto=said))
            sent = rig.upstream.transport.written
            assert sent.count(b"x-forwarded-proto: https\r\n") == is_believed
            assert sent.count(b"x-forwarded-proto") == is_believed


def test_a_large_upload_is_not_gathered() -> None:
    """Its pieces go on as they come, at the pace of whoever reads them."""
    with rigged({}) as rig:
        client = begun(rig)
        for _ in range(9):
            client.send(b"x" * 100_000)
            assert not client.transport.is_reading_paused
        assert rig.parts.front.buffered_bytes == 0
        assert len(rig.upstream.transport.written) > 900_000
        rig.upstream.transport.is_stuck = True
        client.send(b"x" * 99_999)
        rig.upstream.protocol.pause_writing()
        assert client.transport.is_reading_paused
        rig.upstream.protocol.resume_writing()
        assert not client.transport.is_reading_paused
        client.send(b"x")
        rig.upstream.send(reply())
        assert client.answer().status == 200
        client.send(request("GET", "/"))
        assert rig.upstream.transport.written.count(b"HTTP/1.1\r\n") == 2


def test_a_body_that_comes_before_the_connection_is_kept_in_order() -> None:
    """No more than a read or two: then the client is paused."""
    with rigged({}) as rig:
        rig.connects = "held"
        client = begun(rig, 30)
        client.send(b"first-----")
        assert client.transport.is_reading_paused
        client.send(b"second----")  # waits in the socket
        rig.connects = "at once"
        rig.settle()
        assert not client.transport.is_reading_paused
        client.send(b"third-----")
        assert rig.upstream.transport.written.endswith(b"\r\n\r\nfirst-----second----third-----")
        rig.upstream.send(reply())
        assert client.answer().status == 200


def test_a_chunked_upload_is_chunked_behind_us_too() -> None:
    with rigged({}) as rig:
        client = rig.client()
        head = request("POST", "/api/x", transfer_encoding="chunked")
        client.send(head.replace(b"content-length: 0\r\n", b"") + chunked(b"hello"))
        client.send(chunked(b"world") + LAST_CHUNK)
        sent = rig.upstream.transport.written
        assert sent.endswith(chunked(b"hello", b"world") + LAST_CHUNK)
        assert b"content-length" not in sent.lower()


def test_an_answer_before_the_end_of_an_upload_ends_the_connection() -> None:
    """The rest of the body would be taken for a request."""
    with rigged({}) as rig:
        client = begun(rig)
        rig.upstream.send(reply(413, b"too large"))
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert rig.requests_upstream() == 1
        assert rig.upstream.transport.was_closed


def test_events_pass_one_by_one() -> None:
    with rigged({}) as rig:
        client = rig.client()
        client.send(request("GET", "/api/live"))
        kind = "text/event-stream"
        rig.upstream.send(
            reply(body=b"", kind=kind, content_length="", transfer_encoding="chunked")
        )
        client.take()
        for number in range(3):
            piece = chunked(b"data: %d\n\n" % number)
            rig.upstream.send(piece)
            assert client.take() == piece
        rig.pass_time(600)
        assert not rig.upstream.transport.is_lost
        rig.upstream.send(LAST_CHUNK)
        assert client.take() == LAST_CHUNK


def test_an_answer_is_read_no_faster_than_its_client_reads() -> None:
    """Nor is the request behind it begun before the client has read the first answer."""
    with rigged({}) as rig:
        client = rig.client()
        client.transport.is_stuck = True
        whole = reply(200, b"x" * 900_000)
        client.send(request("GET", "/api/export") * 2)
        rig.upstream.send(whole[:500_000])
        assert rig.upstream.transport.is_reading_paused
        client.transport.catch_up()
        assert not rig.upstream.transport.is_reading_paused
        client.transport.is_stuck = True
        rig.upstream.send(whole[500_000:])
        assert rig.requests_upstream() == 1
        client.transport.catch_up()
        rig.settle()
        assert rig.requests_upstream() == 2
        rig.upstream.send(whole)
        client.transport.catch_up()
        rig.settle()
        assert [client.answer().status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_slow_client_holds_up_nobody_else(pieces: int) -> None:
    """The connection that brought its answer is in the pool again, and somebody else's."""
    with rigged({}) as rig:
        slow, other = rig.client(), rig.client()
        slow.transport.is_stuck = True
        slow.send(request("GET", "/api/export"))
        whole = reply(200, b"x" * 900_000)
        if pieces == 2:
            rig.upstream.send(whole[:100])
            whole = whole[100:]
        rig.upstream.send(whole)
        other.send(request("GET", "/other"))
        rig.upstream.send(reply())
        assert other.answer().status == 200


@pytest.mark.parametrize("framing", ["length", "close"])
def test_a_cut_answer_looks_cut(framing: str) -> None:
    with rigged({}) as rig:
        client = rig.client()
        client.send(request("GET", "/"))
        data = reply(200, b"x" * 100)
        if framing == "close":
            data = data.replace(b"content-length: 100\r\n", b"")
        rig.upstream.send(data[:-50])
        rig.upstream.hang_up(None if framing == "length" else ConnectionResetError())
        assert client.answer().is_cut
        assert client.transport.was_closed


@pytest.mark.parametrize("is_cut", [False, True])
def test_an_answer_that_ends_with_its_connection_does_not_look_whole_when_it_is_cut(
    is_cut: bool,
) -> None:
    """An HTTP/1.0 client sees nothing of an answer's end but how its connection ends."""
    with rigged({}) as rig:
        client = rig.client()
        client.send(request("GET", "/", http="1.0"))
        rig.upstream.send(reply(200, b"x" * 100).replace(b"content-length: 100\r\n", b""))
        assert client.transport.socket.resets
        rig.upstream.hang_up(ConnectionResetError() if is_cut else None)
        assert client.transport.was_closed
        assert client.transport.socket.resets is is_cut


def test_a_restarting_control_plane_is_asked_once_more() -> None:
    """Its socket outlives it: whoever asks the new one waits in the queue."""
    with rigged({}) as rig:
        client = rig.client()
        client.send(request("GET", "/healthy"))
        rig.upstream.hang_up()
        assert len(rig.upstreams) == 2
        rig.upstream.send(reply())
        assert client.answer().status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_control_plane_that_is_away_is_said_to_restart(method: str) -> None:
    """A POST is not repeated, it may have been done; a HEAD has no body, whoever answers it."""
    with rigged({}) as rig:
        client = rig.client()
        client.send(request(method, "/"))
        rig.upstream.hang_up()
        if method != "POST":
            rig.upstream.hang_up()
        answer = client.answer(is_head=method == "HEAD")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert client.unread == b""
        assert len(rig.upstreams) == (1 if method == "POST" else 2)


def test_a_control_plane_that_cannot_be_connected_is_waited_for_five_seconds() -> None:
    with rigged({}) as rig:
        rig.connects = "held"
        client = rig.client()
        client.send(request("HEAD", "/"))
        rig.pass_time(4)
        with pytest.raises(Incomplete):
            client.answer(is_head=True)
        rig.pass_time(1.5)
        assert client.answer(is_head=True).status == 503
        assert client.unread == b""
        rig.connects = "at once"
        rig.settle()
        assert rig.requests_upstream() == 0


def test_an_answer_to_head_has_the_length_and_no_body() -> None:
    with rigged({}) as rig:
        client = rig.client()
        client.send(request("HEAD", "/file") + request("GET", "/healthz"))
        rig.upstream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n")
        assert client.answer(is_head=True).headers["content-length"] == "999"
        assert client.answer().json == {"ok": True}


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_client_that_leaves_lets_the_control_plane_go(*, is_begun: bool) -> None:
    with rigged({}) as rig:
        client = rig.client()
        client.send(request("GET", "/api/live"))
        if is_begun:
            rig.upstream.send(reply()[:-1])
        client.hang_up()
        assert rig.upstream.transport.was_aborted
        assert not rig.gateway.running
