"""Limits in points: reserve what a call may cost, settle on what it did; a wallet or none."""

from typing import Any

import pytest

from tallygate.core.entry import Charge
from tallygate.core.limits import Dimension, Limit
from tallygate.core.ports import Sync
from tallygate.core.pricing import Book
from tallygate.core.windows import Span
from tests.fakes import dify_answers as says
from tests.fakes.dify import running_dify
from tests.gateway.bench_of_parts import bench_of_parts, daily, key_with
from tests.gateway.exchange_text import DONE, LAST_CHUNK, STREAM_HEAD, chat, chunked, reply, word
from tests.gateway.rig import provider, rigged
from tests.gateway.test_dify import app, call
from tests.gateway.test_wallets import (
    COST,
    POINT,
    WALLET,
    answered,
    begun,
    book,
    busy,
    fund,
    priced,
    refused,
    reserved,
)


def points(amount: int | None, **more: Any) -> dict[str, Any]:
    return {"k": key_with(daily(1, amount, "points"), **more)}


def test_a_key_without_a_wallet_is_limited_by_what_its_calls_cost() -> None:
    """They are priced all the same, and nobody is charged."""
    with rigged(points(POINT)) as rig:
        fund(rig, 0)
        answer = answered(rig, begun(rig))
        assert answer.headers["x-tallygate-cost"] == "0.043"
        assert "x-tallygate-balance" not in answer.headers
        assert answer.headers["x-ratelimit-limit-points"] == "1"
        assert answer.headers["x-ratelimit-reset-points"] == "12h0m0s"
        entry = book(rig)
        assert entry.charge is None
        assert [(use.limit_id, use.spent) for use in entry.uses] == [(1, COST)]
        left = answered(rig, begun(rig)).headers["x-ratelimit-remaining-points"]
        held = rig.entries()[1].uses[0].reserved
        assert float(left) * POINT == POINT - COST - held


def test_what_a_call_may_cost_is_reserved_and_the_rest_is_free_again() -> None:
    with rigged(points(10 * POINT)) as rig:
        fund(rig, 0)
        client = begun(rig, max_tokens=1000)
        assert 1000 * 3_000 < reserved(rig) < 1000 * 3_000 + 100 * 2_000
        answered(rig, client)
        assert reserved(rig) == 0
        [use] = rig.entries()[0].uses
        assert (use.spent, use.reserved > 1000 * 3_000) == (COST, True)


def test_a_last_call_may_take_what_is_left_and_nothing_after_it() -> None:
    """Nothing is admitted while what is spent and reserved reaches the limit."""
    with rigged(points(400_000)) as rig:
        fund(rig, 0)
        first = begun(rig)
        held = reserved(rig)
        last = begun(rig)
        assert reserved(rig) == 2 * held > 400_000
        refusal = refused(rig, max_tokens=1)
        assert (refusal.status, refusal.code) == (429, "insufficient_quota")
        assert refusal.headers["x-ratelimit-limit-points"] == "0.4"
        assert refusal.headers["x-ratelimit-remaining-points"] == "0"
        assert "The limit of 0.4 points per day is used up" in refusal.json["error"]["message"]
        assert refusal.headers["retry-after"] == "43200"
        answered(rig, first)
        answered(rig, last)
        begun(rig)


def test_an_overrun_is_a_debt_that_is_paid_before_anybody_is_admitted() -> None:
    with rigged(points(500_000)) as rig:
        fund(rig, 0)
        dear = reply(usage={"prompt_tokens": 0, "completion_tokens": 200, "total_tokens": 200})
        answered(rig, begun(rig, max_tokens=10), dear)
        assert book(rig).uses[0].spent == 600_000
        assert refused(rig, max_tokens=1).status == 429
        assert rig.clerk.books.spent[1, rig.entries()[0].uses[0].window_s] == 600_000


def test_a_wallet_and_a_limit_in_points_are_taken_together_or_not_at_all() -> None:
    """A call that is over the limit leaves the wallet alone, and the other way round."""
    with rigged(points(400_000, user_id="ada", wallet_id=WALLET)) as rig:
        fund(rig, 10 * POINT)
        answer = answered(rig, begun(rig))
        assert answer.headers["x-tallygate-balance"] == "9.957"
        entry = book(rig)
        assert entry.charge == Charge(WALLET, 1, 0, COST, 21_000)
        assert {use.limit_id: use.spent for use in entry.uses} == {1: COST, -WALLET: COST}
        begun(rig)
        begun(rig)
        held = reserved(rig)
        assert "points per day" in refused(rig).json["error"]["message"]
        assert reserved(rig) == held
    with rigged(points(9 * POINT, user_id="ada", wallet_id=WALLET)) as rig:
        fund(rig, 0)
        assert "the balance is 0 points" in refused(rig).json["error"]["message"]
        assert reserved(rig) == 0


def test_a_model_without_a_price_is_not_served_under_a_limit_in_points() -> None:
    """Otherwise it would be without any limit; a default price, or no such limit, serves it."""
    with rigged(points(POINT)) as rig:
        rig.price(priced("other"))
        answer = refused(rig)
        assert (answer.status, answer.code) == (422, "model_not_priced")
        assert rig.clerk.sent(Sync) == []
        rig.price(priced("other"), priced("*", id_=2))
        begun(rig)


def test_points_are_given_back_whole_when_the_provider_fails() -> None:
    with rigged(points(POINT)) as rig:
        fund(rig, 0)
        client = begun(rig)
        busy(rig).send(reply(500, b"{}"))
        assert client.answer().status == 500
        assert [(use.spent, use.reserved > 300_000) for use in rig.entries()[0].uses] == [(0, True)]
        assert reserved(rig) == 0


def test_a_free_model_is_served_when_a_limit_in_points_is_used_up() -> None:
    """It costs no points, so there is nothing of them to limit."""
    with rigged(points(0)) as rig:
        free = priced("m", id_=2, input_picos=0, output_picos=0)
        fund(rig, 0, free)
        answer = answered(rig, begun(rig))
        assert answer.headers["x-tallygate-cost"] == "0"
        rig.price(priced(id_=3))
        assert refused(rig).status == 429


def test_an_unlimited_limit_counts_and_refuses_nobody() -> None:
    with rigged(points(None)) as rig:
        fund(rig, 0)
        answered(rig, begun(rig))
        [use] = rig.entries()[0].uses
        assert (use.lease_id, use.limit_id, use.spent) == (0, 1, COST)


def test_a_stream_is_counted_at_its_end() -> None:
    with rigged(points(POINT)) as rig:
        fund(rig, 0)
        client = begun(rig, stream=True)
        busy(rig).send(STREAM_HEAD + chunked(*[word()] * 9, DONE) + LAST_CHUNK)
        answer = client.answer()
        assert answer.headers["x-ratelimit-limit-points"] == "1"
        [entry] = rig.entries()
        cost = entry.counts["input_tokens"] * 2_000 + entry.counts["output_tokens"] * 3_000
        assert (entry.uses[0].spent, entry.charge) == (cost, None)


def test_a_passed_through_call_costs_its_price_per_request() -> None:
    """Without one it is refused, as for a wallet."""
    keys = points(POINT, scopes=("passthrough",))
    with rigged(keys, provider(passthrough=("*",))) as rig:
        fund(rig, 0, priced("/v1/audio", request_picos=10**12 // 4))
        client = rig.client()
        client.send(chat().replace(b"/v1/chat/completions", b"/v1/audio"))
        busy(rig).send(reply())
        assert client.answer().status == 200
        assert [use.spent for use in rig.entries()[0].uses] == [250_000]
        client = rig.client()
        client.send(chat().replace(b"/v1/chat/completions", b"/v1/other"))
        assert client.answer().code == "model_not_priced"


@pytest.mark.parametrize(("model", "spent"), [(says.MODEL, 1033 * 2_000 + 128 * 3_000), ("x", 5)])
async def test_a_dify_call_counts_what_its_models_cost_or_what_was_set_aside(
    model: str, spent: int
) -> None:
    """What it costs is known when it has answered; whoever settles it charges its wallet."""
    with running_dify() as dify:
        called = app(dify, model=says.MODEL, hold_micros=5)
        async with bench_of_parts([], points(100 * POINT), apps=[called]) as bench:
            bench.parts.gateway.prices.apply(Book(1, (priced(model),), {}, None))
            status, headers, _ = await call(bench)
            assert (status, headers["x-ratelimit-limit-points"]) == (200, "100")
            [entry] = bench.entries()
    assert [(use.reserved, use.spent) for use in entry.uses] == [(5, spent)]


def test_the_limit_says_its_window_in_the_refusal() -> None:
    for span, words in ((Span.MINUTE, "per minute"), (Span.MONTH, "per month")):
        limit = Limit(1, Dimension.POINTS, span, "UTC", 1)
        with rigged({"k": key_with(limit)}) as rig:
            fund(rig, 0)
            begun(rig)
            answer = refused(rig)
            assert words in answer.json["error"]["message"]
            code = "rate_limit_exceeded" if span is Span.MINUTE else "insufficient_quota"
            assert answer.code == code
