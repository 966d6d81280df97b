"""Answers on their way: framing of every kind into framing of every kind, slow ends, stalls."""

import gzip
import json

import pytest

from tallygate.core.entry import Outcome
from tallygate.core.provider import Deadlines
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import (
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    USAGE,
    USAGE_CHUNK,
    Answer,
    chat,
    chunked,
    event,
    reply,
    request,
    word,
)
from tests.gateway.rig import Rig, provider, rigged

MANY = {"k": key_with(daily(1, 99))}
BODY = json.dumps({"choices": [], "usage": USAGE}).encode()
SSE = word("a") + word("b") + DONE
LONG = Deadlines(connect_ms=1_000, first_byte_ms=5_000, between_bytes_ms=3_000, total_ms=10_000)


def framed(framing: str, body: bytes, kind: str = "application/json") -> bytes:
    if framing == "length":
        return reply(200, body, kind=kind)
    head = reply(
        body=b"",
        kind=kind,
        content_length="",
        transfer_encoding="chunked" if framing == "chunked" else "",
        connection="close" if framing == "close" else "",
    )
    if framing == "chunked":
        return head + chunked(body[:5], body[5:]) + LAST_CHUNK
    return head + body


def relayed(rig: Rig, data: bytes, at: int, *, http: str, is_close: bool, more: object) -> Answer:
    """One call whose answer comes in two reads, cut at this byte."""
    client = rig.client()
    client.send(chat(more=more, http=http))
    rig.upstream.send(data[:at])
    if data[at:] and not rig.upstream.transport.is_lost:
        rig.upstream.send(data[at:])
    if is_close:
        rig.upstream.hang_up()
    return client.answer()


@pytest.mark.parametrize("http", ["1.1", "1.0"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_every_framing_arrives_whole_in_every_version(http: str, framing: str) -> None:
    """Wherever the upstream's bytes are divided, the client gets the same body and its end."""
    for kind, body, more in (
        ("application/json", BODY, None),
        ("text/event-stream", SSE, {"stream": True}),
    ):
        data = framed(framing, body, kind)
        with rigged({"k": key_with(daily(1, 10_000))}) as rig:
            cuts = range(1, len(data) + 1, 3)
            for at in cuts:
                is_close = framing == "close"
                answer = relayed(rig, data, at, http=http, is_close=is_close, more=more)
                assert (answer.status, answer.body, answer.is_cut) == (200, body, False)
                assert http == "1.1" or "transfer-encoding" not in answer.headers
            entries = rig.entries()
            assert len(entries) == len(cuts)
            assert {entry.outcome for entry in entries} == {Outcome.OK}
            assert all(entry.bytes_out > len(body) for entry in entries)


def test_the_usage_chunk_is_stripped_unless_it_was_asked_for() -> None:
    """It is always asked for upstream: the books need it, the client may not expect it."""
    for wants, expected in ((False, word() + DONE), (True, word() + USAGE_CHUNK + DONE)):
        with rigged(MANY) as rig:
            client = rig.client()
            more = {"stream": True} | ({"stream_options": {"include_usage": True}} if wants else {})
            client.send(chat(more=more))
            sent = rig.upstream.transport.written.partition(b"\r\n\r\n")[2]
            assert json.loads(sent)["stream_options"] == {"include_usage": True}
            rig.upstream.send(STREAM_HEAD + chunked(word() + USAGE_CHUNK[:9]))
            rig.upstream.send(chunked(USAGE_CHUNK[9:], DONE) + LAST_CHUNK)
            assert client.answer().body == expected
            [entry] = rig.entries()
            assert (entry.source, entry.counts["output_tokens"]) == ("reported", 7)


def test_a_stream_of_known_length_loses_it_when_the_usage_chunk_is_stripped() -> None:
    """In either version: bytes that will not come must not be announced."""
    body = word() + USAGE_CHUNK + DONE
    for http in ("1.1", "1.0"):
        with rigged(MANY) as rig:
            client = rig.client()
            client.send(chat(more={"stream": True}, http=http, connection="keep-alive"))
            data = reply(200, body, kind="text/event-stream")
            rig.upstream.send(data[:-30])
            rig.upstream.send(data[-30:])
            answer = client.answer()
            assert (answer.body, answer.is_cut) == (word() + DONE, False)


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_cut_stream_does_not_look_whole_to_a_client_that_knows_no_chunks(is_cut: bool) -> None:
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}, http="1.0"))
        rig.upstream.send(STREAM_HEAD + chunked(word()))
        assert client.transport.socket.resets
        if is_cut:
            rig.upstream.hang_up()
        else:
            rig.upstream.send(chunked(DONE) + LAST_CHUNK)
        assert client.transport.was_closed
        assert client.transport.socket.resets is is_cut


def test_an_encoded_answer_is_metered_and_passed_on_as_it_is() -> None:
    """We ask for identity; a provider that does not listen is billed for all the same."""
    encoded = gzip.compress(BODY)
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(accept_encoding="gzip"))
        assert b"accept-encoding: identity\r\n" in rig.upstream.transport.written
        data = reply(200, encoded, content_encoding="gzip")
        rig.upstream.send(data[:-10])
        rig.upstream.send(data[-10:])
        answer = client.answer()
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(answer.body) == BODY
        assert rig.entries()[0].counts == {"input_tokens": 11, "output_tokens": 7}


def test_a_slow_client_slows_its_upstream_and_nobody_else() -> None:
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        upstream = rig.upstream
        client.transport.is_stuck = True
        upstream.send(STREAM_HEAD)
        for _ in range(8):
            upstream.send(chunked(word("x" * 50_000)))
        assert upstream.transport.is_reading_paused
        client.transport.catch_up()
        assert not upstream.transport.is_reading_paused
        upstream.send(chunked(DONE) + LAST_CHUNK)
        assert client.answer().body.endswith(DONE)


def test_what_a_slow_client_pipelined_is_not_begun_before_it_has_read() -> None:
    """Answers that nobody reads would pile up in memory."""
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat() + chat(more={"stream": True}))
        client.transport.is_stuck = True
        rig.upstream.send(reply(200, b"x" * 500_000))
        assert rig.requests_upstream() == 1
        client.transport.catch_up()
        rig.settle()
        assert rig.requests_upstream() == 2


def test_a_paused_upstream_is_read_again_when_its_client_leaves() -> None:
    """Its usage is wanted still."""
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        client.transport.is_stuck = True
        rig.upstream.send(STREAM_HEAD + chunked(word("x" * 500_000)))
        assert rig.upstream.transport.is_reading_paused
        client.hang_up()
        assert not rig.upstream.transport.is_reading_paused


def test_a_client_that_reads_slowly_is_not_the_providers_stall() -> None:
    """We stopped reading; the provider is not to blame for the silence."""
    with rigged(MANY, provider(deadlines=LONG)) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        client.transport.is_stuck = True
        rig.upstream.send(STREAM_HEAD + chunked(word("x" * 500_000)))
        rig.pass_time(4)
        assert rig.entries() == []
        client.transport.catch_up()
        rig.upstream.send(chunked(DONE) + LAST_CHUNK)
        assert rig.entries()[0].outcome is Outcome.OK


def test_an_upstream_that_falls_silent_is_cut_off() -> None:
    """The client sees a broken answer, the books what had come."""
    with rigged(MANY, provider(deadlines=LONG)) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        rig.upstream.send(STREAM_HEAD + chunked(word()))
        rig.pass_time(2)
        rig.upstream.send(chunked(word()))
        rig.pass_time(2)
        assert rig.entries() == []
        rig.pass_time(2)
        assert client.answer().is_cut
        assert rig.upstream.transport.was_aborted
        assert rig.entries()[0].outcome is Outcome.CUT


def test_a_stream_ends_at_the_total_deadline_however_lively_it_is() -> None:
    """Every await on something external has a deadline, endless streams included."""
    with rigged(MANY, provider(deadlines=LONG)) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        rig.upstream.send(STREAM_HEAD)
        for _ in range(44):
            if not rig.upstream.transport.is_lost:
                rig.upstream.send(chunked(word()))
            rig.pass_time(0.25)
        assert client.answer().is_cut
        assert rig.entries()[0].outcome is Outcome.CUT


def test_an_upstream_that_lingers_after_its_last_event_is_let_go_in_time() -> None:
    """The client has had all of it since long, and may not wait for the framing for ever."""
    with rigged(MANY, provider(deadlines=LONG)) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        rig.upstream.send(STREAM_HEAD + chunked(word(), DONE))
        assert client.unread.endswith(chunked(DONE))
        rig.pass_time(4)
        assert rig.upstream.transport.was_aborted
        answer = client.answer()
        assert (answer.is_cut, answer.body) == (False, word() + DONE)
        assert len(rig.entries()) == 1


def test_an_error_inside_a_stream_reaches_the_client_as_it_is() -> None:
    error = event({"error": {"message": "the model fell over"}})
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        rig.upstream.send(STREAM_HEAD + chunked(word(), error) + LAST_CHUNK)
        assert client.answer().body == word() + error
        assert rig.entries()[0].is_counted


def test_what_is_between_us_and_the_upstream_stays_there() -> None:
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(
            chat(
                x_forwarded_for="6.6.6.6",
                cookie="a=b",
                te="trailers",
                x_tallygate_a="b",
                x_mine="1",
            )
        )
        sent = rig.upstream.transport.written.split(b"\r\n\r\n")[0].lower()
        for name in (b"x-forwarded-for", b"cookie", b"te:", b"x-tallygate", b"gate.test"):
            assert name not in sent
        assert b"x-mine: 1" in sent
        assert b"host: p0.test" in sent
        rig.upstream.send(reply(keep_alive="timeout=5", x_tallygate_cost="0", openai_version="1"))
        headers = client.answer().headers
        assert "keep-alive" not in headers
        assert "x-tallygate-cost" not in headers
        assert headers["openai-version"] == "1"
        assert headers["x-request-id"] == rig.entries()[0].request_id


def test_an_upstream_connection_serves_one_call_after_the_other() -> None:
    with rigged(MANY) as rig:
        client = rig.client()
        for _ in range(3):
            client.send(chat())
            rig.upstream.send(reply())
            assert client.answer().status == 200
        assert len(rig.upstreams) == 1
        rig.upstream.send(b"HTTP/1.1 200 OK\r\n")
        assert rig.upstream.transport.was_aborted


def test_the_address_on_record_is_the_clients_own() -> None:
    """Behind our own proxies it is what they say; from anybody else it is not believed."""
    for trusted, expected in (("", "10.0.0.1"), ("10.0.0.0/8", "1.2.3.4")):
        with rigged(MANY, trusted_proxies=trusted) as rig:
            client = rig.client("10.0.0.1")
            client.send(chat(x_forwarded_for="9.9.9.9, 1.2.3.4", user_agent="curl"))
            rig.upstream.send(reply())
            [entry] = rig.entries()
            assert (entry.address, entry.agent) == (expected, "curl")


def test_what_a_proxy_adds_on_a_line_of_its_own_outweighs_what_its_client_made_up() -> None:
    """HAProxy for one appends a second X-Forwarded-For; the first may hold any lie."""
    made_up = b"x-forwarded-for: 9.9.9.9\r\n"
    added = b"X-Forwarded-For: 1.2.3.4\r\n"
    with rigged(MANY, trusted_proxies="10.0.0.0/8") as rig:
        asked = chat().replace(b"content-length", made_up + added + b"content-length")
        rig.client("10.0.0.1").send(asked)
        rig.upstream.send(reply())
        [entry] = rig.entries()
        assert entry.address == "1.2.3.4"


def test_a_request_in_pieces_is_forwarded_whole() -> None:
    """Metered bodies are gathered before anything is decided."""
    with rigged(MANY) as rig:
        client = rig.client()
        for byte in chat():
            client.send(bytes([byte]))
        assert rig.upstream.transport.written.endswith(chat().partition(b"\r\n\r\n")[2])
        client = rig.client()
        body = chat().partition(b"\r\n\r\n")[2]
        head = request(authorization="Bearer k", transfer_encoding="chunked")
        client.send(head.replace(b"content-length: 0\r\n", b"") + chunked(body) + LAST_CHUNK)
        assert rig.upstream.transport.written.endswith(body)
