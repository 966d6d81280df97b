"""Recorded before finished: no client holds a complete answer that is not in the journal.

The journal's write is held back by holding the loop; what has reached the client by then is looked
at byte by byte.
"""

import errno

import pytest

from tallygate.journal.writer import Journal, JournalFailed
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import (
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    USAGE_CHUNK,
    Incomplete,
    chat,
    chunked,
    named_event,
    reply,
    request,
    word,
)
from tests.gateway.rig import Rig, provider, rigged

MANY = {"k": key_with(daily(1, 99))}


def assert_not_before_its_entry(rig: Rig, *last: bytes) -> None:
    """The last pieces come in; what the client has is incomplete until the loop goes on."""
    client = rig.clients[-1]
    for piece in last:
        rig.upstream.send(piece, is_settled=False)
    before = client.unread
    assert rig.entries() == []
    with pytest.raises(Incomplete):
        client.answer()
    rig.settle()
    assert len(rig.entries()) == 1
    assert len(client.unread) > len(before)
    client.answer()
    assert client.unread == b""


def test_a_plain_answer_waits_for_its_entry() -> None:
    with rigged(MANY) as rig:
        rig.client().send(chat())
        assert_not_before_its_entry(rig, reply())


def test_the_last_read_of_a_long_answer_waits_for_its_entry() -> None:
    """What came before it has gone on; the body is one piece short."""
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat())
        whole = reply(200, b"x" * 1_000)
        rig.upstream.send(whole[:-600])
        rig.upstream.send(whole[-600:-1])
        assert client.unread.endswith(b"x" * 999)
        assert_not_before_its_entry(rig, whole[-1:])


def test_a_chunked_answer_waits_with_its_last_chunk() -> None:
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply(body=b"", content_length="", transfer_encoding="chunked"))
        rig.upstream.send(chunked(b'{"usage":{}}'))
        assert client.unread.endswith(b'{"usage":{}}\r\n')
        assert_not_before_its_entry(rig, LAST_CHUNK)


@pytest.mark.parametrize(
    "pieces",
    [
        [chunked(DONE)],
        [chunked(DONE) + LAST_CHUNK],
        [chunked(DONE), LAST_CHUNK],
        [chunked(USAGE_CHUNK, DONE)],
        [chunked(DONE[:8]), chunked(DONE[8:])],
        [bytes([byte]) for byte in chunked(word() + USAGE_CHUNK + DONE)],
    ],
)
def test_a_stream_waits_from_its_terminal_event_on(pieces: list[bytes]) -> None:
    """SDKs stop reading at `[DONE]`, so that is the end, whatever the framing says later."""
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        rig.upstream.send(STREAM_HEAD + chunked(word("early")))
        for piece in pieces:
            rig.upstream.send(piece, is_settled=False)
        assert rig.entries() == []
        assert b"early" in client.unread
        assert b"[DONE" not in client.unread
        rig.settle()
        assert len(rig.entries()) == 1
        assert b"[DONE]" in client.unread
        if not pieces[-1].endswith(LAST_CHUNK):
            rig.upstream.send(LAST_CHUNK)
        body = client.answer().body
        assert body.startswith(word("early"))
        assert body.endswith(DONE)
        assert USAGE_CHUNK not in body


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ("/v1/messages", named_event("message_stop", {"type": "message_stop"})),
        ("/v1/responses", named_event("response.completed", {"type": "response.completed"})),
    ],
)
def test_every_dialects_terminal_event_waits(path: str, last: bytes) -> None:
    protocol = "anthropic" if path == "/v1/messages" else "openai"
    with rigged(MANY, provider(protocol=type(provider().protocol)(protocol))) as rig:
        client = rig.client()
        client.send(request(path=path, body=b'{"model":"m","max_tokens":5,"stream":true}'))
        rig.upstream.send(STREAM_HEAD + chunked(named_event("ping", {"type": "ping"})))
        assert b"ping" in client.unread
        rig.upstream.send(chunked(last), is_settled=False)
        assert rig.entries() == []
        assert last not in client.unread
        rig.settle()
        assert last in client.unread
        assert len(rig.entries()) == 1


def test_a_refusal_of_the_providers_waits_as_well() -> None:
    """An error is an end too: its attempt is on the books before the client can try again."""
    with rigged(MANY) as rig:
        rig.client().send(chat())
        assert_not_before_its_entry(rig, reply(401, b"no"))


def test_all_that_end_in_one_tick_share_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """One system call for each tick, not for each request."""
    with rigged(MANY) as rig:
        clients = [rig.client() for _ in range(5)]
        for client in clients:
            client.send(chat())
        writes: list[int] = []
        write = Journal.write
        monkeypatch.setattr(Journal, "write", lambda self: (writes.append(1), write(self)))
        for side in rig.upstreams:
            side.send(reply(), is_settled=False)
        rig.settle()
        assert [client.answer().status for client in clients] == [200] * 5
        assert len(writes) == 1
        assert len(rig.entries()) == 5


def test_power_durable_answers_wait_until_the_disk_has_them() -> None:
    """Written is not enough; and whoever ends during a sync waits for the next one."""
    with rigged(MANY, durability="power") as rig:
        first, second = rig.client(), rig.client()
        first.send(chat())
        second.send(chat())
        rig.upstreams[0].send(reply())
        assert len(rig.entries()) == 1
        assert first.unread == b""
        rig.upstreams[1].send(reply())
        assert len(rig.tasks.waiting) == 1
        rig.tasks.run()
        assert first.answer().status == 200
        assert second.unread == b""
        rig.tasks.run()
        assert second.answer().status == 200


def fail(*_: object) -> None:
    raise JournalFailed("no space left on device")


@pytest.mark.parametrize("is_stream", [False, True])
def test_an_answer_that_cannot_be_recorded_breaks(
    monkeypatch: pytest.MonkeyPatch, *, is_stream: bool
) -> None:
    """The client must not take for complete what is not on the books; it may try again."""
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(more={"stream": is_stream}))
        monkeypatch.setattr(Journal, "write", fail)
        if is_stream:
            rig.upstream.send(STREAM_HEAD + chunked(word()))
            rig.upstream.send(chunked(DONE) + LAST_CHUNK)
        else:
            rig.upstream.send(reply())
        assert client.transport.was_aborted
        assert b"[DONE]" not in client.unread
        assert not rig.gateway.running
        monkeypatch.undo()


def test_admission_stops_with_the_journal_and_comes_back_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is let through whose entry might find no place; a full disk that was emptied serves
    again by itself, and what had been appended is on the books after all.
    """
    keys = {"k": key_with(daily(1, 99), scopes=("passthrough",))}
    with rigged(keys, provider(passthrough=("*",))) as rig:
        rig.client().send(chat())
        monkeypatch.setattr(Journal, "write", fail)
        rig.upstream.send(reply())
        before = rig.requests_upstream()
        answer = rig.client().ask()
        assert (answer.status, answer.code) == (503, "journal_unavailable")
        assert answer.headers["retry-after"] == "1"
        client = rig.client()
        client.send(request("GET", "/v1/files"))
        assert client.answer().status == 503
        client.send(request("GET", "/readyz"))
        ready = client.answer()
        assert (ready.status, ready.json["journal"]) == (503, False)
        rig.pass_time(1)
        assert rig.client().ask().status == 503
        assert rig.requests_upstream() == before
        monkeypatch.undo()
        rig.pass_time(0.25)
        client.send(chat())
        rig.upstream.send(reply())
        assert client.answer().status == 200
        assert len(rig.entries()) == 2


def test_a_sync_that_fails_breaks_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with rigged(MANY, durability="power") as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply())

        def full(_: object) -> None:
            raise OSError(errno.EIO, "the disk is gone")

        monkeypatch.setattr(Journal, "sync", full)
        rig.tasks.run()
        rig.settle()
        assert client.transport.was_aborted
        assert rig.client().ask().status == 503
        monkeypatch.undo()


def test_a_journal_without_room_lets_nobody_in() -> None:
    """Room is reserved for every request that runs."""
    with rigged(MANY) as rig:
        rig.parts._recorder.journal.room = 2 * 2048
        first, second = rig.client(), rig.client()
        first.send(chat())
        second.send(chat())
        assert rig.requests_upstream() == 2
        assert rig.client().ask().status == 503


def test_what_was_billed_for_a_kept_claim_is_told_even_when_the_journal_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise the Idempotency-Key would be «running» for a day."""
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(idempotency_key="i"))
        monkeypatch.setattr(Journal, "write", fail)
        rig.upstream.send(reply())
        monkeypatch.undo()
        [fulfilled] = rig.fulfilled()
        assert fulfilled.answer is None
