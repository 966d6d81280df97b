"""Idempotency-Key on billable calls: one key is one call, whatever happens to either end of it."""

import pytest

from tallygate.core.claims import Claim, Claimed, Fulfil
from tallygate.gateway import claims
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import DONE, LAST_CHUNK, STREAM_HEAD, chat, chunked, reply, word
from tests.gateway.rig import provider, rigged

MANY = {"k": key_with(daily(1, 99))}
ANSWERED = Claimed(0, "done", "req_first", 200, "application/json", b'{"first":true}')


def test_a_new_key_is_claimed_before_the_call_and_fulfilled_with_its_answer() -> None:
    with rigged(MANY) as rig:
        client = rig.client()
        rig.clerk.held = {Claim}
        client.send(chat(idempotency_key="i"))
        assert rig.requests_upstream() == 0
        rig.clerk.held = set()
        rig.settle()
        assert b"idempotency-key" not in rig.upstream.transport.written.lower()
        rig.upstream.send(reply(201, b'{"a":1}'))
        assert client.answer().status == 201
        [claim] = rig.clerk.sent(Claim)
        [ended] = rig.fulfilled()
        assert (claim.key_id, claim.idempotency_key) == (1, "i")
        assert (ended.key_id, ended.idempotency_key, ended.is_released) == (1, "i", False)
        assert (ended.status, ended.content_type) == (201, "application/json")
        assert ended.answer == b'{"a":1}'


def test_the_claim_tells_one_payload_from_another() -> None:
    """Equal bodies on equal paths are the same call; anything else is a conflict for the clerk."""
    with rigged(MANY) as rig:
        for model in ("m", "m", "n"):
            rig.client().send(chat(model=model, idempotency_key="i"))
        first, second, third = [claim.payload_hash for claim in rig.clerk.sent(Claim)]
        assert first == second != third


@pytest.mark.parametrize(
    ("claimed", "status", "code"),
    [
        (Claimed(0, "running", "req_first", 0, "", None), 409, "request_running"),
        (Claimed(0, "conflict", "req_first", 0, "", None), 409, "idempotency_conflict"),
        (Claimed(0, "done", "req_first", 200, "", None), 409, "idempotency_conflict"),
        (Claimed(0, "unavailable", "", 0, "", None), 503, "store_unavailable"),
    ],
)
def test_a_key_that_is_taken_is_refused(claimed: Claimed, status: int, code: str) -> None:
    with rigged(MANY) as rig:
        rig.clerk.claims["i"] = claimed
        answer = rig.client().ask(idempotency_key="i")
        assert (answer.status, answer.code) == (status, code)
        assert status == 503 or answer.headers["x-should-retry"] == "false"
        assert "req_first" in answer.body.decode() or code != "request_running"
        assert rig.requests_upstream() == 0
        assert rig.fulfilled() == []


def test_a_call_that_was_answered_is_answered_again_at_no_cost() -> None:
    with rigged({"k": key_with(daily(1, 0))}) as rig:
        rig.clerk.claims["i"] = ANSWERED
        client = rig.client()
        answer = client.ask(idempotency_key="i")
        assert (answer.status, answer.json) == (200, {"first": True})
        assert answer.headers["idempotent-replayed"] == "true"
        assert answer.headers["x-request-id"] == "req_first"
        assert rig.entries() == []


@pytest.mark.parametrize("headers", [{"http": "1.0"}, {"connection": "close"}])
def test_a_repeated_answer_says_when_the_connection_ends(headers: dict[str, str]) -> None:
    with rigged(MANY) as rig:
        rig.clerk.claims["i"] = ANSWERED
        client = rig.client()
        answer = client.ask(idempotency_key="i", **headers)
        assert answer.headers["connection"] == "close"
        assert client.transport.was_closed


def test_a_stream_is_not_kept() -> None:
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}, idempotency_key="i"))
        rig.upstream.send(STREAM_HEAD + chunked(word(), DONE) + LAST_CHUNK)
        assert client.answer().status == 200
        [ended] = rig.fulfilled()
        assert (ended.is_released, ended.answer) == (False, None)


@pytest.mark.parametrize("megabytes", [1, 2])
def test_an_answer_is_kept_up_to_a_megabyte(megabytes: int) -> None:
    body = b"x" * ((megabytes << 20) - 0)
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(idempotency_key="i"))
        data = reply(200, body)
        for start in range(0, len(data), 400_000):
            rig.upstream.send(data[start : start + 400_000])
        assert client.answer().body == body
        assert rig.fulfilled()[0].answer == (body if megabytes == 1 else None)


def test_an_encoded_answer_is_not_kept() -> None:
    """It would be repeated without the field that says how to read it."""
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(idempotency_key="i", accept_encoding="gzip"))
        rig.upstream.send(reply(200, b"\x1f\x8b...", content_encoding="gzip"))
        client.answer()
        assert rig.fulfilled()[0].answer is None


def test_a_cut_answer_is_not_kept_and_not_run_again() -> None:
    """It was billed; half an answer is nothing to repeat."""
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(idempotency_key="i"))
        rig.upstream.send(reply()[:-5])
        rig.upstream.hang_up()
        [ended] = rig.fulfilled()
        assert (ended.is_released, ended.answer) == (False, None)


@pytest.mark.parametrize("status", [429, 500])
def test_a_call_that_was_given_back_may_run_again(status: int) -> None:
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(idempotency_key="i"))
        rig.upstream.send(reply(status, b"{}"))
        client.answer()
        assert [ended.is_released for ended in rig.fulfilled()] == [True]


def test_a_call_over_its_limit_may_run_again() -> None:
    with rigged({"k": key_with(daily(1, 0))}) as rig:
        assert rig.client().ask(idempotency_key="i").status == 429
        assert [ended.is_released for ended in rig.fulfilled()] == [True]


def test_a_client_that_leaves_before_anything_was_sent_frees_its_key() -> None:
    with rigged(MANY) as rig:
        rig.connects = "held"
        client = rig.client()
        client.send(chat(idempotency_key="i"))
        client.hang_up()
        assert [ended.is_released for ended in rig.fulfilled()] == [True]


@pytest.mark.parametrize("is_client_gone", [False, True])
def test_a_claim_that_comes_too_late_is_released(*, is_client_gone: bool) -> None:
    """The call it was made for is over, and the next one with this key must not wait for it."""
    with rigged(MANY) as rig:
        rig.clerk.held = {Claim}
        client = rig.client()
        client.send(chat(idempotency_key="i"))
        if is_client_gone:
            client.hang_up()
        else:
            rig.pass_time(6)
            assert client.answer().status == 503
        rig.clerk.held = set()
        rig.settle()
        assert rig.requests_upstream() == 0
        assert [ended.is_released for ended in rig.fulfilled()] == [True]


def test_a_lost_clerk_answers_no_claim() -> None:
    with rigged(MANY) as rig:
        rig.clerk.held = {Claim}
        client = rig.client()
        client.send(chat(idempotency_key="i"))
        rig.reconnect()
        assert client.answer().code == "store_unavailable"
        rig.clerk.is_away = True
        assert client.ask(idempotency_key="j").code == "store_unavailable"


def test_an_end_that_no_clerk_heard_is_told_to_the_next_one() -> None:
    """Else the key would answer 409 until it expires, although the call was made and billed."""
    with rigged(MANY) as rig:
        client, other = rig.client(), rig.client()
        client.send(chat(idempotency_key="i"))
        first = rig.upstream
        other.send(chat(idempotency_key="j"))
        second = rig.upstream
        rig.clerk.is_away = True
        first.send(reply(200, b"first"))
        second.send(reply(500, b"{}"))
        assert (client.answer().status, other.answer().status) == (200, 500)
        assert rig.fulfilled() == []
        for _ in range(2):
            rig.reconnect()
            ends = [(one.idempotency_key, one.is_released, one.answer) for one in rig.fulfilled()]
            assert ends == [("i", False, b"first"), ("j", True, None)]


def test_an_end_that_a_clerk_heard_and_did_not_store_is_told_to_the_next_one() -> None:
    """A clerk may die between the two."""
    with rigged(MANY) as rig:
        client = rig.client()
        client.send(chat(idempotency_key="i"))
        rig.clerk.held = {Fulfil}
        rig.upstream.send(reply(200, b"first"))
        assert client.answer().status == 200
        rig.clerk.held = set()
        for _ in range(2):
            rig.reconnect()
            assert [one.answer for one in rig.fulfilled()] == [b"first"] * 2


def test_the_ends_that_wait_for_a_clerk_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that finds no room is not repeated, but its call is known to have been made."""
    monkeypatch.setattr(claims, "UNTOLD_BYTES_MAX", 10)
    monkeypatch.setattr(claims, "UNTOLD_MAX", 3)
    with rigged(MANY) as rig:
        client = rig.client()
        for number in range(5):
            client.send(chat(idempotency_key=f"i{number}"))
            rig.clerk.is_away = True
            rig.upstream.send(reply(200, b"sixsix"))
            assert client.answer().status == 200
            rig.clerk.is_away = False  # without a word: it has not said hello yet
        rig.reconnect()
        assert [one.answer for one in rig.fulfilled()] == [b"sixsix", None, None]


def test_a_claim_that_no_clerk_answered_is_given_back() -> None:
    """The lost clerk may have written it down, and nobody runs the call."""
    with rigged(MANY) as rig:
        rig.clerk.held = {Claim}
        client = rig.client()
        client.send(chat(idempotency_key="i"))
        rig.reconnect()
        [claim] = rig.clerk.sent(Claim)
        [ended] = rig.fulfilled()
        assert ended.is_released
        assert ended.request_id == claim.request_id


def test_a_key_that_is_too_long_is_refused() -> None:
    with rigged(MANY) as rig:
        assert rig.client().ask(idempotency_key="i" * 256).status == 400
        rig.client().send(chat(idempotency_key="i" * 255))
        assert rig.requests_upstream() == 1


def test_a_retry_at_another_provider_is_the_same_claim() -> None:
    with rigged(MANY, provider(), provider("p1", priority=1)) as rig:
        client = rig.client()
        client.send(chat(idempotency_key="i"))
        rig.upstream.send(reply(500, b"first"))
        rig.upstream.send(reply(200, b"second"))
        assert client.answer().status == 200
        assert [ended.answer for ended in rig.fulfilled()] == [b"second"]
