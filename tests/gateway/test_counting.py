"""What counts against a limit, and what is given back: told from the upstream's side."""

import pytest

from tallygate.core.entry import Attempt, Outcome
from tallygate.core.provider import Deadlines
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import (
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    chat,
    chunked,
    reply,
    request,
    word,
)
from tests.gateway.rig import Rig, provider, rigged

ONE = {"k": key_with(daily(1, 1))}
SHORT = Deadlines(connect_ms=1_000, first_byte_ms=2_000, between_bytes_ms=3_000, total_ms=9_000)
GIVEN_BACK = [401, 402, 403, 407, 408, 429, 500, 502, 503, 529]


def is_let_through(rig: Rig) -> bool:
    """Whether a further call is admitted."""
    before = rig.requests_upstream()
    client = rig.client()
    client.send(chat())
    is_forwarded = rig.requests_upstream() > before
    assert is_forwarded or client.answer().status == 429
    return is_forwarded


@pytest.mark.parametrize("status", GIVEN_BACK)
def test_the_providers_trouble_gives_the_unit_back(status: int) -> None:
    """The client sees the upstream's own status; its next call is let through."""
    with rigged(ONE) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply(status, b'{"error":{"message":"no"}}'))
        answer = client.answer()
        assert answer.status == status
        assert answer.headers["x-ratelimit-limit-requests"] == "1"
        [entry] = rig.entries()
        assert not entry.is_counted
        assert [(use.reserved, use.spent) for use in entry.uses] == [(1, 0)]
        assert is_let_through(rig)


@pytest.mark.parametrize("status", [400, 404, 405, 409, 413, 422, 451])
def test_the_callers_own_mistakes_count(status: int) -> None:
    """They cost the provider work, and would otherwise be a free way in."""
    with rigged(ONE) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply(status, b'{"error":{"message":"your mistake"}}'))
        answer = client.answer()
        assert answer.status == status
        assert answer.json == {"error": {"message": "your mistake"}}
        [entry] = rig.entries()
        assert (entry.is_counted, entry.outcome) == (True, Outcome.UPSTREAM_ERROR)
        assert not is_let_through(rig)


def test_a_mistake_counts_even_when_the_end_of_its_answer_is_lost() -> None:
    with rigged(ONE) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply(400, b"x" * 100)[:-50])
        rig.upstream.hang_up()
        assert client.transport.was_closed
        assert rig.entries()[0].is_counted
        assert not is_let_through(rig)


@pytest.mark.parametrize("status", [401, 402, 403, 407])
def test_what_a_provider_says_about_the_operators_account_is_withheld(status: int) -> None:
    """Such texts quote keys and organisations."""
    with rigged(ONE) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply(status, b"Incorrect API key provided: sk-operator"))
        answer = client.answer()
        assert answer.status == status
        assert b"sk-operator" not in answer.body
        assert answer.code == "upstream_refused"


def test_a_withheld_answer_that_is_still_coming_is_not_waited_for() -> None:
    with rigged(ONE) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply(403, b"sk-operator" * 99)[:-500])
        assert client.answer().status == 403
        assert rig.upstream.transport.was_aborted
        client.send(chat())
        rig.upstream.send(reply())
        assert client.answer().status == 200


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    """A provider does not get to choose where the operator's key is sent."""
    with rigged(ONE) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply(status, b"", location="http://169.254.169.254/"))
        answer = client.answer()
        assert (answer.status, answer.code) == (502, "upstream_misbehaved")
        assert "location" not in answer.headers
        assert is_let_through(rig)


def test_retry_after_is_passed_on_and_the_operators_limits_are_not() -> None:
    """When to come back the provider knows best; how much is left of its own limit is not ours."""
    with rigged(ONE) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply(429, b"{}", retry_after="7", x_ratelimit_remaining_requests="42"))
        answer = client.answer()
        assert answer.headers["retry-after"] == "7"
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"


def test_an_upstream_that_cannot_be_connected_gives_the_unit_back() -> None:
    with rigged(ONE) as rig:
        rig.connects = "refused"
        answer = rig.client().ask()
        assert (answer.status, answer.code) == (502, "upstream_unreachable")
        rig.connects = "at once"
        assert [entry.outcome for entry in rig.entries()] == [Outcome.UNREACHABLE]
        assert is_let_through(rig)


@pytest.mark.parametrize("connects", ["held", "at once"])
def test_an_upstream_that_is_late_gives_the_unit_back(connects: str) -> None:
    """With the connection, or with the first byte."""
    with rigged(ONE, provider(deadlines=SHORT)) as rig:
        rig.connects = connects
        client = rig.client()
        client.send(chat())
        rig.pass_time(2.5)
        assert client.answer().status == (502 if connects == "held" else 504)
        assert not rig.entries()[0].is_counted
        rig.connects = "at once"
        assert is_let_through(rig)


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\nconte", b"\x16\x03\x01 not HTTP\r\n\r\n"]
)
def test_an_upstream_that_hangs_up_before_its_head_gives_the_unit_back(sent: bytes) -> None:
    with rigged(ONE) as rig:
        client = rig.client()
        client.send(chat())
        if sent:
            rig.upstream.send(sent)
        if not rig.upstream.transport.is_lost:
            rig.upstream.hang_up()
        assert client.answer().status == 502
        assert is_let_through(rig)


def test_an_answer_that_began_counts_although_it_was_cut() -> None:
    """Tokens were generated and will be charged by the provider; the client sees the cut."""
    with rigged(ONE) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        rig.upstream.send(STREAM_HEAD + chunked(word("one"), word("two")))
        rig.upstream.hang_up()
        answer = client.answer()
        assert answer.is_cut
        assert b"two" in answer.body
        [entry] = rig.entries()
        assert (entry.outcome, entry.is_counted) == (Outcome.CUT, True)
        assert entry.source == "estimated"
        assert not is_let_through(rig)


def test_an_answer_counts_although_its_client_left() -> None:
    with rigged(ONE) as rig:
        client = rig.client()
        client.send(chat(more={"stream": True}))
        rig.upstream.send(STREAM_HEAD + chunked(word()))
        client.hang_up()
        rig.upstream.send(chunked(word(), DONE) + LAST_CHUNK)
        assert rig.entries()[0].outcome is Outcome.CLIENT_GONE
        assert not is_let_through(rig)


def test_tries_at_several_providers_are_one_unit() -> None:
    """What the operator's providers need to answer is not the client's business."""
    providers = [provider(f"p{number}", priority=number) for number in range(3)]
    with rigged(ONE, *providers) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply(500))
        rig.upstream.send(reply(429))
        rig.upstream.send(reply())
        assert client.answer().status == 200
        [entry] = rig.entries()
        assert entry.attempts == [
            Attempt("p0", 500, 0),
            Attempt("p1", 429, 0),
            Attempt("p2", 200, 0),
        ]
        assert [(use.reserved, use.spent) for use in entry.uses] == [(1, 1)]
        assert not is_let_through(rig)


def test_when_all_providers_fail_the_last_ones_answer_is_passed_on() -> None:
    with rigged(ONE, provider(), provider("p1", priority=1)) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply(500, b"{}"))
        rig.upstream.send(reply(529, b'{"error":"overloaded"}'))
        answer = client.answer()
        assert (answer.status, answer.json) == (529, {"error": "overloaded"})
        assert [one.status for one in rig.entries()[0].attempts] == [500, 529]
        assert is_let_through(rig)


def test_no_more_providers_are_tried_than_the_setting_says() -> None:
    providers = [provider(f"p{number}", priority=number) for number in range(5)]
    with rigged(ONE, *providers, attempts_max=2) as rig:
        rig.connects = "refused"
        assert rig.client().ask().status == 502
        assert [one.provider for one in rig.entries()[0].attempts] == ["p0", "p1"]


def test_a_call_without_any_limit_is_tallied_all_the_same() -> None:
    """An unlimited key still has its usage rows."""
    with rigged({"k": key_with(daily(1, None))}) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(reply())
        assert "x-ratelimit-limit-requests" not in client.answer().headers
        [use] = rig.entries()[0].uses
        assert (use.lease_id, use.limit_id, use.spent) == (0, 1, 1)


def test_a_passed_through_call_is_counted_and_not_metered() -> None:
    keys = {"k": key_with(daily(1, 1), scopes=("passthrough",))}
    with rigged(keys, provider(passthrough=("/v1/files/*",))) as rig:
        client = rig.client()
        client.send(request("HEAD", "/v1/files/7?a=b"))
        assert rig.upstream.transport.written.startswith(b"HEAD /v1/files/7?a=b HTTP/1.1\r\n")
        rig.upstream.send(reply(200, b"", content_length="12345"))
        assert client.answer(is_head=True).status == 200
        assert client.unread == b""
        [entry] = rig.entries()
        assert (entry.is_counted, entry.counts, entry.route) == (True, {}, "/v1/files/7")
        client.send(request("HEAD", "/v1/files/7"))
        assert client.answer(is_head=True).status == 429
        assert client.unread == b""


def test_a_path_of_any_length_fits_its_journal_entry() -> None:
    """An entry is bounded; the path is the only part of it that a client may make long."""
    keys = {"k": key_with(daily(1, 1), scopes=("passthrough",))}
    with rigged(keys, provider(passthrough=("/v1/files/*",))) as rig:
        client = rig.client()
        client.send(request("GET", "/v1/files/" + "x" * 65_460))
        rig.upstream.send(reply())
        assert client.answer().status == 200
        assert len(rig.entries()[0].route) < 2_000


def test_a_204_answer_has_no_length() -> None:
    """RFC 9110, 8.6."""
    with rigged(ONE) as rig:
        client = rig.client()
        client.send(chat())
        rig.upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        answer = client.answer()
        assert (answer.status, client.unread) == (204, b"")
        assert "content-length" not in answer.headers
