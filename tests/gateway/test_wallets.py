"""Keys that a wallet pays for: what a request may cost is set aside, what it did cost is charged.

The price in these tests is 2 points for a thousand tokens of input and 3 for output, so a usual
answer of 11 and 7 tokens costs 0.043 points.
"""

from typing import Any

import pytest

from tallygate.core.entry import Charge, Entry, Outcome
from tallygate.core.ports import Priced, Sync
from tallygate.core.pricing import Currency, Price, Rate
from tallygate.core.provider import Protocol
from tests.gateway.bench_of_parts import daily, key_with
from tests.gateway.exchange_text import (
    DONE,
    LAST_CHUNK,
    STREAM_HEAD,
    USAGE_CHUNK,
    Answer,
    chat,
    chunked,
    reply,
    request,
    word,
)
from tests.gateway.rig import NOON_MS, Rig, Side, provider, rigged

WALLET = 5
POINT = 1_000_000
COST = 43_000
PAID = {"k": key_with(user_id="ada", wallet_id=WALLET)}


def priced(model: str = "m", id_: int = 1, **changes: Any) -> Price:
    values: dict[str, Any] = {
        "currency": Currency.POINTS,
        "per_tokens": 1000,
        "input_picos": 2 * 10**9,
        "output_picos": 3 * 10**9,
        "cache_read_picos": None,
        "cache_write_picos": None,
        "request_picos": 0,
        "is_active": True,
        "effective_ms": 0,
    }
    return Price(id_, model, **(values | changes))


def fund(rig: Rig, micros: int, *prices: Price, rate: Rate | None = None) -> None:
    rig.clerk.books.balances[WALLET] = micros
    rig.price(*(prices or (priced(),)), rate=rate)


def begun(rig: Rig, **more: Any) -> Side:
    """A call that was let through, and waits for its answer."""
    client = rig.client()
    before = rig.requests_upstream()
    client.send(chat(more={"max_tokens": 100} | more))
    assert rig.requests_upstream() == before + 1
    return client


def busy(rig: Rig) -> Side:
    return next(side for side in rig.upstreams if side.protocol.asker is not None)


def answered(rig: Rig, client: Side, data: bytes = b"") -> Answer:
    busy(rig).send(data or reply())
    return client.answer()


def refused(rig: Rig, **more: Any) -> Answer:
    client = rig.client()
    before = rig.requests_upstream()
    client.send(chat(more={"max_tokens": 100} | more))
    assert rig.requests_upstream() == before
    return client.answer()


def book(rig: Rig) -> Entry:
    """Settle the last entry, as the clerk does."""
    entry = rig.entries()[-1]
    rig.clerk.books.settle(entry.uses)
    return entry


def reserved(rig: Rig) -> int:
    return sum(lease.reserved for lease in rig.parts._book._leases.values())


def test_an_answer_costs_what_it_used_and_says_so() -> None:
    """To the micro-point, by the version of the price that it was let through under."""
    with rigged(PAID) as rig:
        fund(rig, 10 * POINT, priced(id_=17))
        answer = answered(rig, begun(rig))
        assert answer.headers["x-tallygate-cost"] == "0.043"
        assert answer.headers["x-tallygate-balance"] == "9.957"
        entry = book(rig)
        assert entry.charge == Charge(WALLET, 17, 0, COST, 7 * 3_000)
        assert [(use.limit_id, use.spent) for use in entry.uses] == [(-WALLET, COST)]
        assert rig.clerk.books.balances[WALLET] == 10 * POINT - COST
        assert reserved(rig) == 0
        second = answered(rig, begun(rig))
        assert second.headers["x-tallygate-balance"] == "9.914"


def test_a_key_without_a_wallet_is_told_of_no_money() -> None:
    with rigged({"k": key_with(daily(1, 9))}) as rig:
        fund(rig, 0)
        answer = answered(rig, begun(rig))
        assert not [name for name in answer.headers if name.startswith("x-tallygate")]
        assert rig.entries()[0].charge is None


def test_what_a_call_may_cost_is_set_aside_while_it_runs() -> None:
    """Its input estimate and the most it may put out, at this model's price."""
    with rigged(PAID) as rig:
        fund(rig, 10 * POINT)
        begun(rig, max_tokens=1000)
        estimate = reserved(rig) - 1000 * 3_000
        assert 0 < estimate < 100 * 2_000
        begun(rig, max_tokens=1000, n=2)
        assert 3 * 1000 * 3_000 < reserved(rig) < 3 * 1000 * 3_000 + 200 * 2_000


@pytest.mark.parametrize("micros", [0, 100, -POINT])
def test_a_wallet_that_is_too_small_is_refused_and_told_balance_and_need(micros: int) -> None:
    """In OpenAI's words, never to be tried again by itself; nothing reaches the provider."""
    with rigged(PAID) as rig:
        fund(rig, micros)
        answer = refused(rig)
        assert answer.status == 429
        assert answer.json["error"]["type"] == answer.code == "insufficient_quota"
        assert answer.headers["x-should-retry"] == "false"
        assert "retry-after" not in answer.headers
        balance = {0: "0", 100: "0.0001", -POINT: "-1"}[micros]
        assert f"the balance is {balance} points" in answer.json["error"]["message"]
        assert "may cost up to 0.3" in answer.json["error"]["message"]
        assert answer.headers["x-tallygate-balance"] == balance
        assert rig.entries() == []


def test_anthropics_clients_are_refused_in_its_words() -> None:
    with rigged(PAID, provider(protocol=Protocol.ANTHROPIC)) as rig:
        fund(rig, 0)
        client = rig.client()
        client.send(request(path="/v1/messages", body=b'{"model":"m","max_tokens":1}'))
        answer = client.answer()
        assert (answer.status, answer.json["type"]) == (429, "error")
        assert answer.json["error"]["type"] == "rate_limit_error"
        assert answer.code == "insufficient_quota"
        assert answer.headers["x-should-retry"] == "false"
        rig.price(priced("other"))
        client.send(request(path="/v1/messages", body=b'{"model":"m","max_tokens":1}'))
        answer = client.answer()
        assert (answer.status, answer.code) == (422, "model_not_priced")
        assert answer.json["error"]["type"] == "invalid_request_error"


def test_a_top_up_counts_for_the_next_request() -> None:
    """A shortage of money is never taken for final."""
    with rigged(PAID) as rig:
        fund(rig, 0)
        assert refused(rig).status == 429
        rig.clerk.books.balances[WALLET] = POINT
        assert answered(rig, begun(rig)).headers["x-tallygate-balance"] == "0.957"


@pytest.mark.parametrize(
    ("prices", "rate"),
    [
        ((), None),
        ((priced("other"),), None),
        ((priced(is_active=False),), None),
        ((priced(effective_ms=NOON_MS + 60_000),), None),
        ((priced(currency=Currency.USD),), None),
        ((priced(), priced(id_=2, is_active=False)), Rate(1, POINT)),
    ],
)
def test_a_model_without_a_price_is_never_served_for_nothing(
    prices: tuple[Price, ...], rate: Rate | None
) -> None:
    """Unknown, switched off, still to come, dollars without a rate: refused, nothing taken."""
    with rigged(PAID) as rig:
        rig.clerk.books.balances[WALLET] = POINT
        rig.price(*prices, rate=rate)
        answer = refused(rig)
        assert (answer.status, answer.code) == (422, "model_not_priced")
        assert answer.json["error"]["param"] == "model"
        assert answer.json["error"]["type"] == "invalid_request_error"
        assert rig.clerk.sent(Sync) == []


def test_before_the_prices_are_known_nobody_is_charged_or_told_that_there_are_none() -> None:
    """A worker that has just started may hear of a key before it hears of prices."""
    with rigged(PAID) as rig:
        rig.clerk.books.balances[WALLET] = POINT
        assert (refused(rig).status, refused(rig).code) == (503, "store_unavailable")
        rig.price(priced())
        assert rig.clerk.sent(Priced) == [Priced(1)]
        begun(rig)


def test_a_price_takes_effect_at_its_time() -> None:
    with rigged(PAID) as rig:
        later = priced(id_=2, input_picos=0, output_picos=10**9, effective_ms=NOON_MS + 10_000)
        fund(rig, 10 * POINT, priced(), later)
        first = begun(rig)
        rig.pass_time(11)
        second = begun(rig)
        answered(rig, first)
        answered(rig, second)
        charges = [entry.charge for entry in rig.entries()]
        assert [one and (one.price_id, one.micros) for one in charges] == [(1, COST), (2, 7_000)]


def test_a_running_request_costs_what_it_was_let_through_for() -> None:
    """A change of prices applies to requests that come after it."""
    with rigged(PAID) as rig:
        fund(rig, 10 * POINT, priced(currency=Currency.USD), rate=Rate(3, 2 * POINT))
        client = begun(rig)
        rig.price(rate=Rate(4, 9 * POINT))
        assert answered(rig, client).headers["x-tallygate-cost"] == "0.086"
        assert rig.entries()[0].charge == Charge(WALLET, 1, 3, 2 * COST, 2 * 21_000)
        assert refused(rig).code == "model_not_priced"


def test_names_of_models_find_their_price() -> None:
    """By the name asked for, the provider's own name for it, an alias, or the default price."""
    book = (priced("gpt"), priced("p1/gpt", 2), priced("*", 3), priced("echo", 4))
    two = (provider("p0", models=("gpt", "x")), provider("p1", models=("gpt",)))
    for model, price_id in (("gpt", 1), ("p0/gpt", 1), ("p1/gpt", 2), ("x", 3), ("GPT", 1)):
        with rigged(PAID, *two) as rig:
            if model == "GPT":
                rig.reload(provider(models=("GPT",)))
            fund(rig, 10 * POINT, *book)
            client = rig.client()
            client.send(chat(model=model, more={"max_tokens": 1}))
            answered(rig, client)
            charge = rig.entries()[0].charge
            assert charge is not None
            assert charge.price_id == price_id, model


@pytest.mark.parametrize("status", [500, 429, 401, 400])
def test_what_the_provider_refused_or_failed_costs_nothing(status: int) -> None:
    """Its request counts where it was the client's fault, but nobody pays for an error."""
    with rigged(PAID) as rig:
        fund(rig, POINT)
        answer = answered(rig, begun(rig), reply(status, b"{}"))
        assert answer.headers["x-tallygate-cost"] == "0"
        assert answer.headers["x-tallygate-balance"] == "1"
        entry = book(rig)
        assert entry.charge is None
        assert entry.uses[0].spent == 0
        assert rig.clerk.books.balances[WALLET] == POINT


def test_a_stream_says_the_balance_at_its_start_and_is_charged_at_its_end() -> None:
    """What it will cost nobody knows when its head goes out."""
    with rigged(PAID) as rig:
        fund(rig, POINT)
        client = begun(rig, stream=True)
        upstream = busy(rig)
        upstream.send(STREAM_HEAD + chunked(word()))
        upstream.send(chunked(USAGE_CHUNK, DONE) + LAST_CHUNK)
        answer = client.answer()
        assert answer.headers["x-tallygate-balance"] == "1"
        assert "x-tallygate-cost" not in answer.headers
        charge = book(rig).charge
        assert charge is not None
        assert charge.micros == COST


def test_a_stream_whose_client_left_is_charged_all_the_same() -> None:
    """The provider worked, and said for how much."""
    with rigged(PAID) as rig:
        fund(rig, POINT)
        client = begun(rig, stream=True)
        upstream = busy(rig)
        upstream.send(STREAM_HEAD + chunked(word()))
        client.hang_up()
        upstream.send(chunked(word(), USAGE_CHUNK, DONE) + LAST_CHUNK)
        entry = book(rig)
        assert entry.outcome is Outcome.CLIENT_GONE
        assert entry.charge is not None
        assert entry.charge.micros == COST


def test_a_stream_that_was_cut_is_charged_for_what_passed() -> None:
    with rigged(PAID) as rig:
        fund(rig, POINT)
        client = begun(rig, stream=True)
        upstream = busy(rig)
        upstream.send(STREAM_HEAD + chunked(*[word()] * 9))
        upstream.hang_up()
        assert client.answer().is_cut
        entry = book(rig)
        assert entry.source == "estimated"
        assert entry.charge is not None
        counts = entry.counts
        assert counts["output_tokens"] >= 9
        due = counts["input_tokens"] * 2_000 + counts["output_tokens"] * 3_000
        assert entry.charge.micros == due


def test_an_answer_that_says_nothing_is_charged_for_its_input() -> None:
    """The provider has read it; that much is known, and the row says that it is an estimate."""
    with rigged(PAID) as rig:
        fund(rig, POINT)
        answered(rig, begun(rig), reply(body=b"fine", kind="text/plain"))
        entry = book(rig)
        assert entry.source == "estimated"
        assert entry.counts["output_tokens"] == 0
        assert entry.charge is not None
        assert entry.charge.micros == entry.counts["input_tokens"] * 2_000 > 0


def test_a_client_that_left_before_an_answer_began_pays_nothing_unless_it_was_sent() -> None:
    with rigged(PAID) as rig:
        fund(rig, POINT)
        rig.connects = "held"
        client = rig.client()
        client.send(chat())
        client.hang_up()
        assert reserved(rig) == 0
        assert rig.entries() == []


def test_an_overrun_takes_the_balance_below_zero_and_is_paid_first() -> None:
    """Counts may come to more than was estimated: what was used is owed."""
    with rigged(PAID) as rig:
        fund(rig, 400_000)
        client = begun(rig, max_tokens=100)
        usage = {"prompt_tokens": 11, "completion_tokens": 200, "total_tokens": 211}
        answer = answered(rig, client, reply(usage=usage))
        assert answer.headers["x-tallygate-cost"] == "0.622"
        assert answer.headers["x-tallygate-balance"] == "-0.222"
        book(rig)
        assert refused(rig, max_tokens=1).headers["x-tallygate-balance"] == "-0.222"
        rig.clerk.books.balances[WALLET] += 330_000
        assert "the balance is 0.108 points" in refused(rig).json["error"]["message"]
        rig.clerk.books.balances[WALLET] += 330_000
        answer = answered(rig, begun(rig))
        assert answer.headers["x-tallygate-balance"] == "0.395"


def test_of_several_calls_at_once_as_many_are_let_through_as_there_is_money_for() -> None:
    """They are asked for together; that all of them are too dear together refuses none of them."""
    with rigged(PAID) as rig:
        fund(rig, 3 * 400_000)
        rig.clerk.held = {Sync}
        clients = [rig.client() for _ in range(10)]
        for client in clients:
            client.send(chat(more={"max_tokens": 100}))
        assert rig.requests_upstream() == 0
        rig.clerk.held = set()
        rig.settle()
        assert rig.requests_upstream() == 3
        refusals = [client.answer() for client in clients if client.unread]
        assert [answer.code for answer in refusals] == ["insufficient_quota"] * 7
        for side in list(rig.upstreams):
            side.send(reply())
        assert reserved(rig) == 0
        assert [entry.charge and entry.charge.micros for entry in rig.entries()] == [COST] * 3


def test_a_small_call_is_not_refused_because_a_large_one_waits_beside_it() -> None:
    with rigged(PAID) as rig:
        fund(rig, 400_000)
        rig.clerk.held = {Sync}
        large, small = rig.client(), rig.client()
        large.send(chat(more={"max_tokens": 10_000}))
        small.send(chat(more={"max_tokens": 100}))
        rig.clerk.held = set()
        rig.settle()
        assert large.answer().status == 429
        assert rig.requests_upstream() == 1
        assert answered(rig, small).status == 200


def test_money_that_nobody_uses_is_given_back_within_a_second() -> None:
    with rigged(PAID) as rig:
        fund(rig, 100 * POINT)
        answered(rig, begun(rig))
        book(rig)
        assert rig.clerk.books.leased(-WALLET) > 0
        rig.pass_time(2)
        assert rig.clerk.books.leased(-WALLET) == 0


def test_a_recall_brings_back_all_but_what_running_calls_may_cost() -> None:
    """A charge by webhook that comes short waits for it."""
    with rigged(PAID) as rig:
        fund(rig, 100 * POINT)
        begun(rig)
        rig.parts._book.recall([(-WALLET, 0)])
        rig.settle()
        assert rig.clerk.books.leased(-WALLET) == reserved(rig) > 0


def test_requests_and_money_are_taken_together_or_not_at_all() -> None:
    """Who is short of money has not used up one of its requests."""
    both = {"k": key_with(daily(1, 5), wallet_id=WALLET)}
    with rigged(both) as rig:
        fund(rig, 100)
        for _ in range(7):
            assert refused(rig).code == "insufficient_quota"
        rig.clerk.books.balances[WALLET] = 10 * POINT
        for _ in range(5):
            answer = answered(rig, begun(rig))
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        assert refused(rig).headers.get("x-ratelimit-limit-requests") == "5"


def test_a_free_model_is_served_whatever_the_wallet_owes() -> None:
    """An operator who prices a model at nothing means it; it is a charge of nothing."""
    with rigged(PAID) as rig:
        fund(rig, -POINT, priced(id_=9, input_picos=0, output_picos=0))
        answer = answered(rig, begun(rig))
        assert answer.headers["x-tallygate-cost"] == "0"
        assert rig.entries()[0].charge == Charge(WALLET, 9, 0, 0, 0)


def test_a_passed_through_call_costs_the_price_of_a_request_under_its_path() -> None:
    """Nobody meters it, so a price per token alone would serve it for nothing."""
    key = {"k": key_with(wallet_id=WALLET, scopes=("passthrough",))}
    ask = chat().replace(b"/v1/chat/completions", b"/v1/audio")
    with rigged(key, provider(passthrough=("*",))) as rig:
        fund(rig, POINT, priced("*"))
        client = rig.client()
        client.send(ask)
        assert client.answer().code == "model_not_priced"
        rig.price(priced("*"), priced("/v1/audio", 2, request_picos=10**11))
        client.send(ask)
        assert answered(rig, client).headers["x-tallygate-cost"] == "0.1"
        assert rig.entries()[0].charge == Charge(WALLET, 2, 0, 100_000, 0)


def test_a_key_that_lost_its_wallet_while_it_waited_pays_nothing() -> None:
    with rigged(dict(PAID)) as rig:
        fund(rig, POINT)
        rig.clerk.held = {Sync}
        client = rig.client()
        client.send(chat())
        rig.clerk.keys["k"] = key_with()
        rig.publish("key", 1)
        rig.clerk.held = set()
        rig.settle()
        answer = answered(rig, client)
        assert "x-tallygate-cost" not in answer.headers
        assert rig.entries()[0].charge is None


def test_while_the_store_is_away_what_is_leased_goes_on_paying() -> None:
    with rigged(PAID) as rig:
        fund(rig, 1000 * POINT)
        answered(rig, begun(rig))
        rig.clerk.is_store_available = False
        assert answered(rig, begun(rig)).headers["x-tallygate-cost"] == "0.043"
        assert refused(rig, max_tokens=10**6).code == "store_unavailable"
