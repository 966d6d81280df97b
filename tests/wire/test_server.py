"""A client's connection: whatever the split of the bytes, requests come whole and in order."""

import pytest

from tallygate.wire import parting, patience, server
from tallygate.wire.body_in_pieces import CONTINUE
from tests.wire.conversation import Conversation


def get(target: str = "/a", *lines: str, version: str = "1.1") -> bytes:
    return request("GET", target, *lines, version=version)


def post(target: str, body: str, *lines: str) -> bytes:
    return request("POST", target, f"Content-Length: {len(body)}", *lines) + body.encode()


def posts_chunked(target: str, *chunks: str) -> bytes:
    body = "".join(f"{len(one):x}\r\n{one}\r\n" for one in chunks)
    return request("POST", target, "Transfer-Encoding: chunked") + body.encode() + b"0\r\n\r\n"


def request(method: str, target: str, *lines: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/{version}", "Host: a", *lines, "", ""]).encode()


THREE = get("/1") + post("/2", "hello") + posts_chunked("/3", "hel", "lo") + get("/4")
ASKED = ["GET /1", "POST /2 hello", "POST /3 hello", "GET /4"]


# --- bytes to requests ---


def test_a_request_in_one_read_is_answered() -> None:
    talk = Conversation()
    talk.client_says(get("/a"))
    assert talk.asked == ["GET /a"]
    assert talk.client_sees() == b"[/a]"
    talk.client_says(post("/b", "hello"))
    assert talk.asked == ["GET /a", "POST /b hello"]
    assert talk.client_sees() == b"[/b]"
    assert not talk.is_over


def test_requests_are_the_same_in_any_split_into_two() -> None:
    for cut in range(len(THREE) + 1):
        talk = Conversation()
        talk.client_says(THREE[:cut], THREE[cut:])
        assert talk.asked == ASKED
        assert talk.client_sees() == b"[/1][/2][/3][/4]"
        assert talk.front.buffered_bytes == 0


def test_requests_are_the_same_byte_by_byte() -> None:
    talk = Conversation()
    talk.client_says(*(THREE[place : place + 1] for place in range(len(THREE))))
    assert talk.asked == ASKED
    assert talk.client_sees() == b"[/1][/2][/3][/4]"


def test_pipelined_requests_wait_for_the_answer_before_theirs() -> None:
    """Answers go back in the order of the requests: HTTP/1.1 cannot tell them apart."""
    talk = Conversation(at_once=False)
    talk.client_says(get("/1") + post("/2", "x") + get("/3")[:9])
    assert talk.asked == ["GET /1"]
    talk.client_says(get("/3")[9:])
    assert talk.asked == ["GET /1"]
    talk.application_answers(b"one")
    assert talk.asked == ["GET /1", "POST /2 x"]
    talk.application_answers(b"two")
    talk.application_answers(b"three")
    assert talk.client_sees() == b"onetwothree"
    assert not talk.is_over


def test_thousands_of_pipelined_requests_are_answered_one_by_one() -> None:
    """An answer that frees the next request must not nest it within itself."""
    talk = Conversation()
    talk.client_says(get("/a") * 2_000)
    assert talk.client_sees() == b"[/a]" * 2_000


def test_what_is_pipelined_beyond_the_bound_stays_with_the_client() -> None:
    talk = Conversation(at_once=False)
    talk.client_says(get("/1"))
    talk.client_says(*[get("/2") * 100] * 100)
    assert not talk.wire.is_reading
    assert len(talk.connection.buffer) <= server.PIPELINED_BYTES_MAX + len(get("/2")) * 100
    talk.application_answers()
    assert talk.asked == ["GET /1", "GET /2"]
    talk.application.at_once = True
    talk.application_answers()
    assert len(talk.asked) == 10_001


def test_empty_lines_before_a_request_are_ignored() -> None:
    talk = Conversation()
    talk.client_says(b"\r\n", b"\r", b"\n\r\n" + get("/a") + b"\r\n\r\n" + get("/b"))
    assert talk.asked == ["GET /a", "GET /b"]


# --- bodies ---


def test_a_body_is_gathered_and_counted_while_it_comes() -> None:
    talk = Conversation()
    whole = post("/a", "hello world")
    talk.client_says(whole[:-6])
    assert talk.application.begun == ["/a 11"]
    assert talk.front.buffered_bytes == 5
    talk.client_says(whole[-6:])
    assert talk.asked == ["POST /a hello world"]
    assert talk.front.buffered_bytes == 0


def test_a_streamed_body_goes_on_piece_by_piece() -> None:
    talk = Conversation(streams=True)
    talk.client_says(post("/a", "hello")[:-5], b"hel", b"lo" + get("/b"))
    assert talk.heard == [b"hel", b"lo", "end"]
    assert talk.asked == []
    talk.application_answers(b"one")
    assert talk.client_sees() == b"one[/b]"


def test_a_streamed_chunked_body_comes_without_its_framing() -> None:
    talk = Conversation(streams=True)
    whole = posts_chunked("/a", "hel", "lo")
    talk.client_says(*(whole[place : place + 1] for place in range(len(whole))))
    assert b"".join(one for one in talk.heard if isinstance(one, bytes)) == b"hello"
    assert talk.heard[-1] == "end"
    assert talk.heard.count("end") == 1


def test_a_handler_that_answers_from_within_a_piece_hears_no_end_of_the_next() -> None:
    """The request behind it has a handler of its own by then."""
    talk = Conversation(streams=True)

    def answers_at_the_last_piece(data: bytes) -> None:
        talk.application.at_once = False
        talk.application_answers(b"one")

    talk.client_says(post("/a", "hello")[:-5])
    talk.application.handler.body_received = answers_at_the_last_piece  # type: ignore[method-assign]  # once
    talk.client_says(b"hello" + get("/b"))
    assert talk.asked == ["GET /b"]
    assert talk.heard == []


def test_a_body_announced_too_large_is_refused_before_it_comes() -> None:
    talk = Conversation(gathers=10)
    talk.client_says(request("POST", "/a", "Content-Length: 11", "Expect: 100-continue"))
    assert talk.client_sees() == b"[413]close"
    assert talk.wire.is_eof_sent


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large() -> None:
    talk = Conversation(gathers=10)
    talk.client_says(posts_chunked("/a", "hello", "hello")[:-5])
    assert talk.client_sees() == b""
    talk.client_says(b"1\r\nx\r\n")
    assert talk.client_sees() == b"[413]close"
    assert talk.front.buffered_bytes == 0


@pytest.mark.parametrize("body", [b"+5\r\nhello", b"5\nhello", b"5\r\nhello!\r\n", b"-1\r\n"])
def test_a_malformed_chunk_ends_the_connection(body: bytes) -> None:
    """Nobody can say where the next request would begin."""
    talk = Conversation()
    talk.client_says(request("POST", "/a", "Transfer-Encoding: chunked") + body + get("/smuggled"))
    assert talk.asked == []
    assert talk.client_sees() == b"[400]close"
    assert talk.wire.is_eof_sent


def test_a_malformed_chunk_of_a_streamed_body_is_told_to_its_handler_once() -> None:
    talk = Conversation(streams=True)
    talk.client_says(request("POST", "/a", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n", b"x")
    assert talk.heard == [b"hello"]
    talk.client_says(b"\r\n" + get("/smuggled"))
    assert talk.heard == [b"hello", "gone"]
    assert talk.client_sees() == b"[400]close"
    talk.client_vanishes()
    assert talk.heard == [b"hello", "gone"]


def test_a_malformed_chunk_after_the_answer_began_cuts_the_answer_off() -> None:
    """A second answer would be read as part of the first."""
    talk = Conversation(streams=True)
    talk.client_says(request("POST", "/a", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
    talk.application_writes(b"half an ans")
    talk.client_says(b"nonsense\r\n")
    assert talk.client_sees() == b"half an ans"
    assert talk.wire.is_aborted


def test_a_client_that_asks_is_told_to_send_its_body() -> None:
    talk = Conversation()
    talk.client_says(request("POST", "/a", "Content-Length: 2", "Expect: 100-continue"))
    assert talk.client_sees() == CONTINUE
    talk.client_says(b"hi")
    assert talk.client_sees() == b"[/a]"
    assert not talk.is_over


def test_a_body_that_is_on_its_way_is_not_asked_for() -> None:
    talk = Conversation()
    expects = request("POST", "/a", "Content-Length: 2", "Expect: 100-continue")
    talk.client_says(expects + b"h", b"i", expects + b"hi")
    assert talk.client_sees() == b"[/a][/a]"


# --- how connections end ---


def test_http_10_connections_last_when_asked_to() -> None:
    talk = Conversation()
    talk.client_says(get("/a", "Connection: keep-alive", version="1.0"))
    assert not talk.is_over
    talk.client_says(get("/b", version="1.0"))
    assert talk.client_sees() == b"[/a][/b]close"
    assert talk.is_over


def test_connection_close_is_heeded() -> None:
    talk = Conversation()
    talk.client_says(get("/a", "Connection: close"))
    assert talk.client_sees() == b"[/a]close"
    assert talk.is_over
    assert not talk.wire.is_aborted


def test_nothing_behind_a_last_request_is_served() -> None:
    talk = Conversation()
    talk.client_says(get("/a", "Connection: close") + get("/smuggled"))
    assert talk.asked == ["GET /a"]
    assert talk.client_sees() == b"[/a]close"
    assert talk.wire.is_eof_sent


def test_a_client_that_has_sent_all_still_gets_its_answer() -> None:
    """`printf … | nc` closes its sending side before the answer comes."""
    talk = Conversation(at_once=False)
    talk.client_says(get("/a"))
    talk.client_sends_no_more()
    assert not talk.is_over
    talk.application_answers(b"late")
    assert talk.client_sees() == b"lateclose"
    assert talk.is_over
    assert talk.heard == []


@pytest.mark.parametrize("said", [b"", get("/a")[:-2], post("/a", "hello")[:-1]])
def test_a_client_that_ends_in_the_middle_of_a_request_is_let_go(said: bytes) -> None:
    talk = Conversation()
    talk.client_says(said)
    talk.client_sends_no_more()
    assert talk.is_over
    assert talk.asked == []
    assert talk.front.buffered_bytes == 0
    assert not talk.front.connections


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"\x00" * 10 + b"\r\n\r\n",
    ],
)
def test_a_bad_head_is_refused_and_nothing_after_it_is_read(said: bytes) -> None:
    """Lingering lets the client read why before the connection is gone."""
    talk = Conversation()
    talk.client_says(said + get("/smuggled"))
    assert talk.client_sees() == b"[400]close"
    assert talk.wire.is_eof_sent
    talk.client_says(get("/smuggled"))
    assert talk.client_sees() == b""
    assert talk.asked == []


@pytest.mark.parametrize("said", [b"\n", b"GET / HTTP/1.1\nHost: a\n"])
def test_a_line_that_ends_in_a_bare_lf_is_refused_at_once(said: bytes) -> None:
    """Its head would never end, and the client would wait for an answer."""
    talk = Conversation()
    talk.client_says(said)
    assert talk.client_sees() == b"[400]close"


def test_an_endless_head_is_refused() -> None:
    for pieces in ([b"X: " + b"a" * 5_000], [b"X: y\r\n"] * 1_000, [b"a" * 300] * 20):
        talk = Conversation(head_bytes_max=4_096)
        talk.client_says(b"GET / HTTP/1.1\r\n", *pieces)
        assert talk.client_sees() == b"[413]close"
        assert talk.wire.is_eof_sent
    talk = Conversation(head_bytes_max=4_096)
    talk.client_says(get("/a", "X: " + "a" * 5_000))
    assert talk.client_sees() == b"[413]close"


def test_lingering_after_an_early_refusal_is_bounded_in_time_and_bytes() -> None:
    """Closing with unread bytes would take the answer with it; reading for ever would not do."""
    for ends in (
        lambda talk: talk.time_passes(parting.LINGER_MS),
        lambda talk: talk.client_says(*[b"x" * 100_000] * 11),
        lambda talk: talk.client_sends_no_more(),
    ):
        talk = Conversation(gathers=10)
        talk.client_says(request("POST", "/a", "Content-Length: 100000000"), b"x" * 100_000)
        assert talk.client_sees() == b"[413]close"
        talk.time_passes(parting.LINGER_MS - 1)
        assert not talk.is_over
        ends(talk)
        assert talk.is_over
        assert not talk.front.connections


def test_a_client_that_goes_away_is_told_to_the_handler_once() -> None:
    talk = Conversation(at_once=False)
    talk.client_says(get("/a"))
    talk.client_vanishes()
    assert talk.heard == ["gone"]
    assert not talk.front.connections
    talk.connection.write(b"nobody reads this")
    talk.connection.finish()
    assert talk.heard == ["gone"]


def test_breaking_off_ends_the_connection_after_what_was_written() -> None:
    talk = Conversation(at_once=False)
    talk.client_says(get("/a"))
    talk.application_writes(b"half")
    talk.connection.break_off()
    talk.wire.settle()
    assert talk.client_sees() == b"half"
    assert talk.is_over
    assert not talk.wire.is_aborted


def test_connections_beyond_the_bound_are_refused() -> None:
    talk = Conversation(connections_max=1)
    _, wire = talk.another_client()
    assert wire.is_aborted
    talk.client_says(get("/a"))
    assert talk.client_sees() == b"[/a]"
    talk.client_vanishes()
    _, wire = talk.another_client()
    assert not wire.is_aborted


# --- deadlines ---


def test_a_client_that_sent_all_it_will_is_awaited_for_a_while_only() -> None:
    """It may be reading still, or be gone: that shows only when something is written to it."""
    talk = Conversation(at_once=False, half_closed_timeout_ms=1_000)
    talk.client_says(get("/a"))
    talk.client_sends_no_more()
    talk.time_passes(900)
    talk.application_writes(b"a piece")
    talk.time_passes(900)
    assert talk.heard == []
    talk.time_passes(200)
    assert talk.heard == ["gone"]
    assert talk.is_over


def test_a_slow_head_is_given_up_however_it_trickles() -> None:
    talk = Conversation(head_timeout_ms=1_000)
    for byte in get("/a")[:9]:
        talk.client_says(bytes([byte]))
        talk.time_passes(100)
    assert not talk.is_over
    talk.time_passes(100)
    talk.time_passes(100)
    assert talk.client_sees() == b"[408]close"
    assert talk.is_over


def test_a_connection_on_which_nothing_comes_is_closed() -> None:
    talk = Conversation(head_timeout_ms=1_000)
    talk.time_passes(1_000)
    assert talk.is_over
    assert talk.client_sees() == b""


def test_empty_lines_buy_no_time() -> None:
    talk = Conversation(head_timeout_ms=1_000, idle_timeout_ms=1_000)
    for _ in range(10):
        talk.client_says(b"\r\n" * 100)
        talk.time_passes(100)
    assert talk.is_over


def test_an_idle_connection_is_closed_without_a_word() -> None:
    talk = Conversation(idle_timeout_ms=5_000)
    talk.client_says(get("/a"))
    talk.client_sees()
    talk.time_passes(4_999)
    assert not talk.is_over
    talk.time_passes(1)
    assert talk.is_over
    assert talk.client_sees() == b""


def test_a_body_that_stops_coming_is_given_up() -> None:
    talk = Conversation(body_timeout_ms=1_000)
    talk.client_says(post("/a", "hello")[:-3])
    talk.time_passes(900)
    talk.client_says(b"l")
    talk.time_passes(900)
    assert not talk.is_over
    talk.time_passes(100)
    assert talk.client_sees() == b"[408]close"
    assert talk.front.buffered_bytes == 0


def test_the_application_has_its_own_time() -> None:
    talk = Conversation(at_once=False)
    talk.client_says(post("/a", "hello"))
    talk.time_passes(10**9)
    assert not talk.is_over
    talk.application_answers(b"at last")
    assert talk.client_sees() == b"at last"


def test_a_client_that_reads_nothing_is_cut_off() -> None:
    talk = Conversation(at_once=False, write_timeout_ms=1_000)
    talk.client_says(get("/a"))
    talk.client_stops_reading()
    talk.application_writes(b"x" * 300_000)
    assert talk.heard == ["slow"]
    assert talk.connection.is_slow
    talk.time_passes(999)
    assert not talk.is_over
    talk.time_passes(1)
    assert talk.wire.is_aborted
    assert talk.heard == ["slow", "gone"]


# --- backpressure ---


def test_a_slow_client_is_told_to_the_handler_and_so_is_its_return() -> None:
    talk = Conversation(at_once=False)
    talk.client_says(get("/a"))
    talk.client_stops_reading()
    talk.application_writes(b"x" * 300_000)
    talk.client_reads_on()
    assert talk.heard == ["slow", "ready"]
    talk.time_passes(10**9)
    assert not talk.is_over
    talk.application_finishes()
    assert len(talk.client_sees()) == 300_000


def test_who_does_not_read_the_answers_gets_no_more_of_them() -> None:
    """Answers that nobody reads would fill the worker's memory, at a few bytes of request each."""
    talk = Conversation(write_timeout_ms=1_000)
    talk.client_stops_reading()
    talk.client_says(*[get("/" + "a" * 1_000) * 200] * 50)
    assert len(talk.wire.unsent) <= server.WRITE_BUFFER_HIGH + 2_000
    assert not talk.wire.is_reading
    talk.client_reads_on()
    assert talk.client_sees().count(b"[") == 10_000
    talk.client_stops_reading()
    talk.client_says(*[get("/" + "a" * 1_000) * 200] * 50)
    talk.time_passes(1_000)
    assert talk.wire.is_aborted


def test_bytes_do_not_buy_time_for_a_client_that_does_not_read() -> None:
    talk = Conversation(streams=True, write_timeout_ms=1_000, body_timeout_ms=10_000)
    talk.client_says(post("/a", "hello")[:-5])
    talk.client_stops_reading()
    talk.application_writes(b"x" * 300_000)
    for byte in b"hello":
        talk.time_passes(150)
        talk.client_says(bytes([byte]))
    talk.time_passes(250)
    assert talk.wire.is_aborted


def test_a_body_waits_while_its_handler_does_not_keep_up() -> None:
    talk = Conversation(streams=True, body_timeout_ms=1_000)
    talk.client_says(post("/a", "hello")[:-5], b"he")
    talk.connection.pause_body()
    talk.client_says(b"llo")
    assert talk.heard == [b"he"]
    talk.time_passes(10**6)
    assert not talk.is_over
    talk.connection.resume_body()
    talk.wire.settle()
    assert talk.heard == [b"he", b"llo", "end"]


def test_bodies_wait_while_others_fill_the_memory() -> None:
    """What one worker gathers is bounded, however many clients send at once."""
    talk = Conversation(buffered_bytes_max=5, body_timeout_ms=1_000)
    _, other = talk.another_client()
    other.carry(post("/b", "123456789")[:-6])
    assert other.is_reading
    talk.client_says(post("/a", "123456789")[:-6])
    assert not talk.wire.is_reading
    talk.client_says(b"456789")
    assert talk.asked == []
    other.carry(b"456789")
    assert talk.asked == ["POST /b 123456789"]
    talk.wire.settle()
    assert talk.asked == ["POST /b 123456789", "POST /a 123456789"]
    assert talk.front.buffered_bytes == 0


@pytest.mark.parametrize("end", ["deadline", "vanishes"])
def test_room_comes_back_from_whoever_gives_up(end: str) -> None:
    talk = Conversation(buffered_bytes_max=5, body_timeout_ms=1_000)
    _, other = talk.another_client()
    other.carry(post("/b", "123456789")[:-1])
    assert not other.is_reading
    talk.time_passes(500)
    talk.client_says(post("/a", "123456789")[:-6])
    assert not talk.wire.is_reading
    if end == "deadline":
        talk.time_passes(500)
        assert bytes(other.sent) == b"[408]close"
    else:
        other.lose(None)
    talk.client_says(b"456789")
    assert talk.asked == ["POST /a 123456789"]
    assert talk.front.buffered_bytes == 0


# --- draining ---


def test_draining_closes_what_is_idle_at_the_next_sweep() -> None:
    talk = Conversation()
    talk.client_says(get("/a"))
    talk.client_sees()
    talk.front.drain()
    assert not talk.is_over
    talk.time_passes(0)
    assert talk.is_over


def test_a_connection_made_in_order_to_ask_may_ask_while_draining() -> None:
    talk = Conversation()
    talk.front.drain()
    talk.time_passes(patience.FIRST_REQUEST_GRACE_MS - 1)
    talk.client_says(get("/a"))
    assert talk.client_sees() == b"[/a]close"
    assert talk.is_over


def test_what_runs_when_draining_begins_is_answered_and_told_that_it_is_the_last() -> None:
    talk = Conversation(at_once=False)
    talk.client_says(get("/a"))
    talk.front.drain()
    talk.time_passes(10_000)
    assert not talk.is_over
    talk.application_answers(b"late")
    assert talk.client_sees() == b"lateclose"
    assert talk.is_over


def test_a_request_on_its_way_when_draining_begins_is_answered() -> None:
    talk = Conversation()
    talk.client_says(get("/a"), get("/b")[:10])
    talk.front.drain()
    talk.time_passes(250)
    talk.client_says(get("/b")[10:])
    assert talk.client_sees() == b"[/a][/b]close"
    assert talk.is_over


# --- answers that end with their connection ---


def relaying_to_the_end() -> Conversation:
    """An answer to an HTTP/1.0 client that has neither length nor chunks is on its way."""
    talk = Conversation(at_once=False)
    talk.client_says(get("/a", version="1.0"))
    talk.connection.end_with_answer()
    talk.application_writes(b"half of it")
    return talk


def test_an_answer_that_ends_with_its_connection_is_reset_until_it_is_whole() -> None:
    """Even the death of this process must not make half an answer look like all of it."""
    talk = relaying_to_the_end()
    assert talk.wire.socket.resets
    talk.application_writes(b", and the rest")
    talk.application_finishes()
    assert talk.is_over
    assert not talk.wire.socket.resets
    assert talk.client_sees() == b"half of it, and the rest"


def test_an_answer_that_is_cut_ends_by_a_reset_once_what_there_is_has_gone() -> None:
    talk = relaying_to_the_end()
    talk.client_stops_reading()
    talk.application_writes(b", a little more")
    talk.connection.break_off()
    assert talk.is_over
    assert not talk.wire.is_aborted
    assert not talk.wire.is_eof_sent
    talk.client_reads_on()
    assert talk.client_sees() == b"half of it, a little more"
    assert talk.wire.socket.resets


def test_an_answer_that_is_cut_ends_by_a_reset_whatever_else_the_client_sent() -> None:
    """Lingering for what it still sends would begin with an orderly end."""
    talk = relaying_to_the_end()
    talk.client_says(get("/b"))
    talk.connection.break_off()
    assert talk.is_over
    assert talk.wire.socket.resets
    assert not talk.wire.is_eof_sent


def test_a_whole_answer_that_its_client_does_not_read_in_time_ends_by_a_reset() -> None:
    """What it has not read is dropped, so what it has must not look whole."""
    talk = relaying_to_the_end()
    talk.client_stops_reading()
    talk.application_writes(b"x" * 2 * server.WRITE_BUFFER_HIGH)
    talk.application_finishes()
    assert not talk.wire.socket.resets
    talk.time_passes(talk.front.write_timeout_ms)
    assert talk.wire.is_aborted
    assert talk.wire.socket.resets


@pytest.mark.parametrize("is_read", [False, True])
def test_lingering_after_a_whole_answer_ends_by_a_reset_only_if_it_was_not_all_sent(
    *, is_read: bool
) -> None:
    talk = relaying_to_the_end()
    talk.client_says(get("/b"))
    if not is_read:
        talk.client_stops_reading()
    talk.application_writes(b", and the rest")
    talk.application_finishes()
    assert talk.wire.is_eof_sent
    talk.time_passes(parting.LINGER_MS)
    assert talk.wire.is_aborted
    assert talk.wire.socket.resets is not is_read


def test_an_answer_that_shows_its_end_is_broken_off_without_a_reset() -> None:
    talk = Conversation(at_once=False)
    talk.client_says(get("/a"))
    talk.application_writes(b"half of it")
    talk.connection.break_off()
    talk.wire.settle()
    assert talk.is_over
    assert not talk.wire.socket.resets
