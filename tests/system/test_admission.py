"""A limit of N lets N through: on one node and on two, on SQLite and on PostgreSQL."""

import asyncio
import time

import pytest

from tests.fakes.upstream import RunningUpstream
from tests.system.conftest import MakeNode
from tests.system.load import Load

pytestmark = pytest.mark.slow

PATH = "/v1/chat/completions"
LIMIT, REQUESTS = 1000, 5000


def test_exactly_the_limit_reaches_the_upstream(
    make_node: MakeNode, upstream: RunningUpstream, database_url: str | None
) -> None:
    """The promise of the product: five thousand at once, one thousand through, none too many."""
    node = make_node(workers=4, database_url=database_url)
    key = node.make_key(LIMIT)
    outcomes = asyncio.run(Load([node.url], key).burst(REQUESTS))
    assert outcomes.failures == []
    assert upstream.stats.count(PATH) == LIMIT
    assert outcomes.by_status == {200: LIMIT, 429: REQUESTS - LIMIT}
    assert node.requests_of(key) == LIMIT


def test_two_nodes_on_one_store_share_a_limit_exactly(
    make_node: MakeNode, upstream: RunningUpstream, postgresql_url: str
) -> None:
    """Nodes know nothing of each other but what the store says; together they admit N."""
    shared = {"TALLYGATE_MASTER_KEY": "the same for both of the nodes"}
    nodes = [make_node(workers=2, database_url=postgresql_url, settings=shared) for _ in range(2)]
    key = nodes[0].make_key(LIMIT)
    outcomes = asyncio.run(Load([node.url for node in nodes], key).burst(REQUESTS))
    assert outcomes.failures == []
    assert upstream.stats.count(PATH) == LIMIT
    assert outcomes.by_status == {200: LIMIT, 429: REQUESTS - LIMIT}
    assert [node.requests_of(key) for node in nodes] == [LIMIT, LIMIT]


def test_usage_counts_a_request_as_soon_as_it_is_answered(
    make_node: MakeNode, database_url: str | None
) -> None:
    """Whoever reads their usage right after an answer finds it there, whichever worker it was."""
    node = make_node(workers=4, database_url=database_url)
    key = node.make_key(None)
    for count in range(1, 51):
        assert node.chat(key)[0] == 200
        assert node.requests_of(key) == count


def test_a_revoked_key_stops_on_every_worker_within_a_second(
    make_node: MakeNode, database_url: str | None
) -> None:
    """Each connection lands on a worker of the kernel's choice: none of them may still say yes."""
    node = make_node(workers=4, database_url=database_url)
    key = node.make_key(None)
    assert {node.chat(key)[0] for _ in range(40)} == {200}
    node.admin("DELETE", f"/admin/keys/{key}")
    acknowledged = time.monotonic()
    while time.monotonic() < acknowledged + 1:
        node.chat(key)
    assert {node.chat(key)[0] for _ in range(40)} == {401}


def test_a_reset_lets_a_used_up_key_through_within_a_second(make_node: MakeNode) -> None:
    """The operator clears a counter: what workers have leased of it must not outlive it."""
    node = make_node(workers=4)
    key = node.make_key(5)
    assert [node.chat(key)[0] for _ in range(8)] == [200] * 5 + [429] * 3
    node.admin("POST", "/admin/usage/reset", {})
    acknowledged = time.monotonic()
    while time.monotonic() < acknowledged + 1 and node.chat(key)[0] != 200:
        pass
    assert node.chat(key)[0] == 200
