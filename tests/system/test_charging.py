"""Keys that a wallet pays for, on real nodes: charged to the micro-point, whatever dies."""

import asyncio
from decimal import Decimal

import pytest

from tests.fakes.answers import CHUNKS, PROMPT_TOKENS
from tests.fakes.upstream import RunningUpstream
from tests.system.conftest import MakeNode
from tests.system.harness import Node, until
from tests.system.load import Load
from tests.system.money import (
    POINT,
    accounts,
    balance_micros,
    check,
    make_payer,
    make_price,
    top_up,
    when_quiet,
)
from tests.system.test_crashes import kill_in_turns, under_load

pytestmark = pytest.mark.slow

PATH = "/v1/chat/completions"
PER_THOUSAND = {"input_token_price": "0.7", "output_token_price": "1.3"}
COST = PROMPT_TOKENS * 700 + CHUNKS * 1_300
CLIENTS = 8


def test_calls_and_streams_are_charged_to_the_micro_point(
    make_node: MakeNode, database_url: str | None
) -> None:
    """What the answer says it cost is what the ledger takes, and what the balance shows next."""
    node = make_node(workers=2, database_url=database_url)
    make_price(node, "fake-chat", **PER_THOUSAND)
    key = make_payer(node, 1000)
    for number in range(1, 11):
        status, headers, _ = node.chat(key)
        assert status == 200
        assert Decimal(headers["x-tallygate-cost"]) * POINT == COST
        node.requests_of(key)  # settles what is answered
        assert balance_micros(node) == 1000 * POINT - number * COST
    streams = Load([node.url], key, is_stream=True)
    asyncio.run(streams.burst(40))
    assert len(streams.outcomes.answered) == 40
    found = when_quiet(node.store_url)
    check(found, 1000 * POINT)
    assert found.charged_micros == 50 * COST
    assert found.charges.keys() >= set(streams.outcomes.answered)


def test_a_wallet_lets_through_exactly_what_it_can_pay(
    make_node: MakeNode, upstream: RunningUpstream, database_url: str | None
) -> None:
    """A price per request is known beforehand: of three hundred at once exactly a hundred pass."""
    node = make_node(workers=4, database_url=database_url)
    make_price(node, "fake-chat", request_price=1)
    key = make_payer(node, 100)
    outcomes = asyncio.run(Load([node.url], key).burst(300))
    assert outcomes.failures == []
    assert outcomes.by_status == {200: 100, 429: 200}
    assert upstream.stats.count(PATH) == 100
    found = when_quiet(node.store_url)
    check(found, 100 * POINT)
    assert found.balance_micros == 0


def test_a_users_limit_in_points_lets_through_exactly_what_it_covers(
    make_node: MakeNode, upstream: RunningUpstream
) -> None:
    """All keys of the user together, whoever serves them; raised, it lets through what is new."""
    node = make_node(workers=3)
    make_price(node, "fake-chat", request_price="0.5")
    node.admin("POST", "/api/users", {"id": "ada"})
    limits = {"limits": [{"dimension": "points", "span": "total", "amount": "10.4"}]}
    node.admin("PUT", "/api/users/ada/limits", limits)
    payer = make_payer(node, 1000, "ada", is_new=False)
    node.admin("POST", "/api/teams", {"id": "red", "name": "Red"})
    team = {"user_id": "ada", "team_id": "red", "limits": limits["limits"]}
    other = str(node.admin("POST", "/api/keys", team)["secret"])
    outcomes = [asyncio.run(Load([node.url], key).burst(30)) for key in (payer, other)]
    assert outcomes[0].by_status == {200: 21, 429: 9}  # a last one may take what is left
    assert outcomes[1].by_status == {429: 30}
    assert upstream.stats.count(PATH) == 21
    status, headers, answer = node.chat(other)
    assert (status, answer["error"]["code"]) == (429, "insufficient_quota")
    assert headers["x-ratelimit-limit-points"] == "10.4"
    assert "10.4 points in all" in answer["error"]["message"]
    limits["limits"][0]["amount"] = "11.5"
    node.admin("PUT", "/api/users/ada/limits", limits)
    until(lambda: node.chat(payer)[0] == 200, "the limit was raised")
    assert [node.chat(payer)[0] for _ in range(3)] == [200, 429, 429]
    found = when_quiet(node.store_url)
    check(found, 1000 * POINT)
    assert found.charged_micros == 23 * POINT // 2


def test_an_empty_wallet_is_told_so_and_serves_again_when_it_is_topped_up(
    make_node: MakeNode,
) -> None:
    node = make_node(workers=2)
    make_price(node, "fake-chat", request_price="0.5")
    key = make_payer(node, "0.4")
    for _ in range(5):
        status, headers, answer = node.chat(key)
        assert (status, answer["error"]["code"]) == (429, "insufficient_quota")
        assert headers["x-should-retry"] == "false"
        assert "the balance is 0.4 points" in answer["error"]["message"]
    top_up(node, "0.1")
    status, headers, _ = node.chat(key)
    assert (status, headers["x-tallygate-balance"]) == (200, "0")
    status, _, answer = node.chat(key, "deepseek-unheard-of")
    assert (status, answer["error"]["code"]) == (422, "model_not_priced")


def test_running_requests_overrun_a_balance_by_what_they_cost_beyond_their_estimate_at_most(
    make_node: MakeNode,
) -> None:
    """Counts may exceed what was set aside; nobody is admitted on money that is not there."""
    settings = {"TALLYGATE_DEFAULT_OUTPUT_TOKENS": "1"}
    node = make_node(workers=2, settings=settings)
    make_price(node, "fake-chat", output_token_price="1000")
    key = make_payer(node, 20)  # each is let through for 1 point, and costs 7
    outcomes = asyncio.run(Load([node.url], key).burst(100))
    assert set(outcomes.by_status) == {200, 429}
    assert outcomes.count(200) <= 20
    found = when_quiet(node.store_url)
    check(found, 20 * POINT)
    assert found.charged_micros == outcomes.count(200) * CHUNKS * POINT
    assert found.balance_micros >= -outcomes.count(200) * (CHUNKS - 1) * POINT
    status, headers, _ = node.chat(key)
    assert (status, Decimal(headers["x-tallygate-balance"])) == (
        429,
        Decimal(found.balance_micros) / POINT,
    )


def test_two_nodes_share_a_small_wallet_and_never_overdraw_it(
    make_node: MakeNode, upstream: RunningUpstream, postgresql_url: str
) -> None:
    """Nodes know nothing of each other but what the store says; money goes request by request."""
    shared = {"TALLYGATE_MASTER_KEY": "the same for both of the nodes"}
    nodes = [make_node(workers=2, database_url=postgresql_url, settings=shared) for _ in range(2)]
    make_price(nodes[0], "slow-first-byte-20", request_price="1")
    key = make_payer(nodes[0], 40)
    load = Load([node.url for node in nodes], key, model="slow-first-byte-20")
    outcomes = asyncio.run(load.burst(120))
    assert outcomes.failures == []
    assert outcomes.by_status == {200: 40, 429: 80}
    assert upstream.stats.count(PATH) == 40
    found = when_quiet(nodes[0].store_url)
    check(found, 40 * POINT)
    assert found.balance_micros == 0


def test_a_price_applies_on_every_node_once_its_change_is_acknowledged(
    make_node: MakeNode, postgresql_url: str
) -> None:
    """A customer who was told the new price is never charged the old one."""
    shared = {"TALLYGATE_MASTER_KEY": "the same for both of the nodes"}
    nodes = [make_node(workers=2, database_url=postgresql_url, settings=shared) for _ in range(2)]
    make_price(nodes[0], "fake-chat", request_price=1)
    key = make_payer(nodes[0], 1000)
    for price in range(2, 8):
        make_price(nodes[price % 2], "fake-chat", request_price=price)
        costs = {node.chat(key)[1]["x-tallygate-cost"] for node in nodes for _ in range(6)}
        assert costs == {str(price)}


def after_kills(node: Node, key: str) -> Load:
    load = Load([node.url], key, model="slow-first-byte-20")
    with under_load(load, CLIENTS):
        until(lambda: load.outcomes.answered, "the first answer")
        kill_in_turns(node, 8)
        until(lambda: node.chat(key)[0] in (200, 429), "it serves again")
    return load


def test_the_ledger_is_exact_when_every_role_is_killed_under_load(
    make_node: MakeNode, database_url: str | None
) -> None:
    """Each answer that arrived is one charge; what died unanswered costs nobody anything."""
    node = make_node(workers=2, database_url=database_url)
    make_price(node, "slow-first-byte-20", **PER_THOUSAND)
    make_price(node, "fake-chat", **PER_THOUSAND)
    key = make_payer(node, 5000)
    load = after_kills(node, key)
    found = when_quiet(node.store_url)
    check(found, 5000 * POINT)
    missing = [one for one in load.outcomes.answered if found.charges[one] != 1]
    assert missing == []
    assert found.charged_micros == found.charges.total() * COST
    assert balance_micros(node) == accounts(node.store_url).balance_micros
