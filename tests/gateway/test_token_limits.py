"""Token limits: reserve what a call may cost, settle on what it did, carry an overrun as debt."""

from typing import Any

from tallygate.core.ports import Sync
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import (
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    Answer,
    chat,
    chunked,
    reply,
    word,
)
from tests.gateway.rig import Rig, Side, provider, rigged


def tokens(amount: int) -> dict[str, Any]:
    return {"k": key_with(daily(1, amount, "tokens"))}


def begun(rig: Rig, **more: Any) -> Side:
    """A call that was let through, and waits for its answer."""
    client = rig.client()
    before = rig.requests_upstream()
    client.send(chat(more=more))
    assert rig.requests_upstream() == before + 1
    return client


def ended(rig: Rig, client: Side, total: int) -> Answer:
    """Its answer comes and reports this many tokens."""
    usage = {"prompt_tokens": 1, "completion_tokens": total - 1, "total_tokens": total}
    busy = [side for side in rig.upstreams if side.protocol.asker is not None]
    busy[0].send(reply(usage=usage))
    return client.answer()


def refused(rig: Rig, **more: Any) -> bool:
    client = rig.client()
    before = rig.requests_upstream()
    client.send(chat(more=more))
    if rig.requests_upstream() > before:
        client.hang_up()
        return False
    assert client.answer().status == 429
    return True


def reserved(rig: Rig) -> int:
    return sum(lease.reserved for lease in rig.parts._book._leases.values())


def test_a_call_reserves_its_input_and_the_most_it_may_put_out() -> None:
    """For each choice; the model's cap bounds what the client asks for."""
    capped = provider(output_tokens_max={"m": 50})
    for settings, more, most in (
        ((provider(),), {"max_tokens": 100}, 100),
        ((provider(),), {"max_tokens": 100, "n": 3}, 300),
        ((capped,), {"max_tokens": 100}, 50),
        ((capped,), {"max_tokens": 10}, 10),
        ((capped,), {}, 50),
        ((provider(),), {}, 4096),
    ):
        with rigged(tokens(1_000_000), *settings) as rig:
            begun(rig, **more)
            assert most < reserved(rig) < most + 60


def test_what_was_not_used_is_free_again_when_the_answer_ends() -> None:
    with rigged(tokens(200)) as rig:
        client = begun(rig, max_tokens=100)
        answer = ended(rig, client, 18)
        assert answer.headers["x-ratelimit-limit-tokens"] == "200"
        [use] = rig.entries()[0].uses
        assert use.reserved > 100
        assert use.spent == 18
        assert reserved(rig) == 0
        client = begun(rig, max_tokens=100)
        remaining = int(ended(rig, client, 10).headers["x-ratelimit-remaining-tokens"])
        assert remaining == 200 - 18 - rig.entries()[1].uses[0].reserved


def test_a_last_call_may_take_what_is_left_and_nothing_after_it() -> None:
    """Otherwise the rest of a limit that is smaller than any call would be lost for everybody."""
    with rigged(tokens(150)) as rig:
        first = begun(rig, max_tokens=100)
        last = begun(rig, max_tokens=100)
        assert reserved(rig) > 200
        assert refused(rig, max_tokens=1)
        ended(rig, first, 100)
        ended(rig, last, 50)
        assert sum(entry.uses[0].spent for entry in rig.entries()) == 150
        assert refused(rig, max_tokens=1)


def test_an_overrun_is_a_debt_that_is_paid_before_anybody_is_admitted() -> None:
    """The tokens were used, whatever had been reserved."""
    with rigged(tokens(400)) as rig:
        client = begun(rig, max_tokens=10)
        ended(rig, client, 300)
        [lease] = rig.parts._book._leases.values()
        assert lease.granted - lease.returned - lease.spent == lease.available
        rig.clerk.books.settle(rig.entries()[0].uses)
        client = begun(rig, max_tokens=70)
        ended(rig, client, 500)
        rig.clerk.books.settle(rig.entries()[1].uses)
        assert refused(rig, max_tokens=1)
        assert rig.clerk.books.used((1, lease.window_s)) >= 400


def test_tokens_are_given_back_whole_when_the_provider_fails() -> None:
    with rigged(tokens(150)) as rig:
        client = begun(rig, max_tokens=100)
        rig.upstream.send(reply(500, b"{}"))
        assert client.answer().status == 500
        assert reserved(rig) == 0
        assert [(use.spent, use.reserved > 100) for use in rig.entries()[0].uses] == [(0, True)]
        begun(rig, max_tokens=100)


def test_requests_and_tokens_are_taken_together_or_not_at_all() -> None:
    """A call that is short of tokens has not used up one of its requests."""
    both = {"k": key_with(daily(1, 5), daily(2, 100, "tokens"))}
    with rigged(both) as rig:
        client = begun(rig, max_tokens=100)
        ended(rig, client, 100)
        for _ in range(9):
            assert refused(rig, max_tokens=5)
        taken = {lease.limit_id: lease.spent for lease in rig.parts._book._leases.values()}
        assert taken == {1: 1, 2: 100}
        assert rig.parts._slab.counts.tolist().count(1) >= 1


def test_a_stream_without_a_report_spends_what_was_counted() -> None:
    with rigged(tokens(1_000)) as rig:
        client = begun(rig, stream=True, max_tokens=100)
        rig.upstream.send(STREAM_HEAD + chunked(*[word()] * 9, DONE) + LAST_CHUNK)
        assert client.answer().status == 200
        [entry] = rig.entries()
        assert entry.source == "estimated"
        assert entry.uses[0].spent == sum(entry.counts.values()) > 9


def test_a_passed_through_call_takes_requests_and_no_tokens() -> None:
    limits = key_with(daily(1, 5), daily(2, 1, "tokens"), scopes=("passthrough",))
    with rigged({"k": limits}, provider(passthrough=("*",))) as rig:
        client = rig.client()
        client.send(chat().replace(b"/v1/chat/completions", b"/v1/audio"))
        rig.upstream.send(reply())
        assert client.answer().status == 200
        spent = {use.limit_id: use.spent for use in rig.entries()[0].uses}
        assert spent == {1: 1, 2: 0}


def test_a_need_larger_than_any_limit_is_a_plain_refusal() -> None:
    with rigged(tokens(0)) as rig:
        assert refused(rig, max_tokens=10**12, n=128)
        assert len(rig.clerk.sent(Sync)) == 1
