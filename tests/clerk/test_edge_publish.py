"""The edge is told what changed, as often as it changed and no more, whatever fails in between."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web

from tallygate.clerk import edge_kv, edge_publish
from tallygate.clerk.edge_publish import EdgePublisher
from tallygate.core import edge, edge_notices
from tallygate.core.commands import (
    CreateKey,
    DeleteKey,
    Inspect,
    KeyView,
    LimitSpec,
    PatchKey,
    RotateKey,
)
from tallygate.core.edge_commands import PublishEdge, Publishing
from tallygate.core.errors import Code, Refusal
from tallygate.core.keys import hash_key
from tallygate.core.route_commands import DeleteRoute, HeaderSpec, RouteLimitSpec, SaveRoute
from tallygate.store import edge_entries, notices
from tallygate.store.edge_schema import edge_entry, edge_publisher
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node, until
from tests.fakes.cloudflare import NAMESPACE, Cloudflare, playing

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000


@pytest.fixture
async def cloudflare() -> AsyncIterator[Cloudflare]:
    async with playing() as one:
        yield one


@pytest.fixture(autouse=True)
def only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The publisher's own rounds would race the test's."""
    monkeypatch.setattr(edge_publish, "LOOK_S", 1e6)


@pytest.fixture
async def gate(make_node: MakeNode, cloudflare: Cloudflare, store_url: str) -> Node:
    """A node that publishes, once over each kind of store."""
    return await make_node(url=store_url, **cloudflare.settings)


@pytest.fixture
async def lone_gate(make_node: MakeNode, cloudflare: Cloudflare) -> Node:
    """Over SQLite, for what no store has a part in."""
    return await make_node(**cloudflare.settings)


async def publish(node: Node, **changes: Any) -> Publishing:
    return await node.command(PublishEdge(**changes), into=Publishing)


async def make_token(node: Node, **changes: Any) -> tuple[KeyView, str]:
    """A token and its name in KV."""
    made = await node.command(CreateKey(kind="ntk", label="n8n", **changes), into=KeyView)
    return made, edge.token_name(hash_key(str(made.secret).encode()))


async def pass_time(node: Node, **columns: Any) -> None:
    async with node.db.writing() as tx:
        await tx.execute(sa.update(edge_publisher).values(**columns))


async def told(node: Node) -> list[str]:
    async with node.db.reading() as tx:
        found, _ = await notices.page(tx, limit=99)
    return [one.kind for one in found]


def route(path: str = "/api/test", **changes: Any) -> SaveRoute:
    return SaveRoute(**({"id": None, "path": path, "backend_url": "http://b.internal"} | changes))


async def test_the_edge_hears_of_tokens_and_routes_once_and_never_of_a_token_itself(
    gate: Node, cloudflare: Cloudflare
) -> None:
    """A write a change; what did not change costs nothing; what lies there is no secret."""
    limit = LimitSpec(span="hour", amount=5)
    made, name = await make_token(gate, scopes=["read"], addresses=["10.0.0.0/8"], limits=[limit])
    await gate.command(CreateKey(label="for models"))
    await gate.command(route(scope="read", strip_prefix=True))
    status = await publish(gate)
    assert (status.state, status.entries, status.waiting, status.error) == ("current", 2, 0, "")
    assert sorted(cloudflare.writes) == sorted([edge.ROUTES, name])
    document = cloudflare.document(name)
    assert (document["scopes"], document["addresses"]) == (["read"], ["10.0.0.0/8"])
    assert [one["amount"] for one in document["limits"]] == [5]
    (served,) = cloudflare.document(edge.ROUTES)["routes"]
    assert (served["path"], served["scope"], served["strip_prefix"]) == ("/api/test", "read", True)
    assert str(made.secret) not in json.dumps(cloudflare.values)
    for _ in range(3):
        await publish(gate)
    await gate.command(PatchKey(key=str(made.id), label="another name"))
    await publish(gate)
    assert len(cloudflare.writes) == 2
    assert status.writes_today == 2


async def test_each_change_is_one_write_and_only_its_own(
    gate: Node, cloudflare: Cloudflare
) -> None:
    made, name = await make_token(gate)
    _, other = await make_token(gate)
    await publish(gate)
    for change in ({"scopes": ["a"]}, {"expires_ms": 1}, {"is_active": False}):
        await gate.command(PatchKey(key=str(made.id), **change))
        await publish(gate)
    assert cloudflare.writes.count(name) == 4
    assert cloudflare.writes.count(other) == 1
    assert cloudflare.document(name) == {"scopes": ["a"], "expires_ms": 1, "is_active": False}
    await gate.command(DeleteKey(key=str(made.id)))
    await publish(gate)
    assert (cloudflare.deletes, name in cloudflare.values) == ([name], False)


async def test_many_changes_of_one_thing_are_one_write(
    lone_gate: Node, cloudflare: Cloudflare
) -> None:
    """A script that edits a route ten times spends one of a thousand."""
    made, _ = await make_token(lone_gate)
    for number in range(5):
        await lone_gate.command(route(f"/r{number}"))
        await lone_gate.command(PatchKey(key=str(made.id), scopes=[str(number)]))
    await publish(lone_gate)
    assert len(cloudflare.writes) == 2
    await lone_gate.command(PatchKey(key=str(made.id), scopes=["x"]))
    await lone_gate.command(PatchKey(key=str(made.id), scopes=["4"]))
    await publish(lone_gate)
    assert len(cloudflare.writes) == 2, "it is again as it was"


async def test_a_rotated_token_lies_there_twice_until_its_grace_is_over(
    gate: Node, cloudflare: Cloudflare
) -> None:
    made, old = await make_token(gate)
    await publish(gate)
    turned = await gate.command(RotateKey(key=str(made.id), grace_s=3600), into=KeyView)
    new = edge.token_name(hash_key(str(turned.secret).encode()))
    await publish(gate)
    assert cloudflare.document(old)["ends_ms"] > gate.clerk.clock.now_ms()
    assert "ends_ms" not in cloudflare.document(new)
    await gate.command(RotateKey(key=str(made.id)))
    await publish(gate)
    assert new not in cloudflare.values


async def test_routes_that_go_and_limits_that_change_are_heard_of(
    gate: Node, cloudflare: Cloudflare
) -> None:
    limits = [RouteLimitSpec(span="minute", amount=60), RouteLimitSpec(amount=9, per="token")]
    made = await gate.command(route(limits=limits))
    await publish(gate)
    (served,) = cloudflare.document(edge.ROUTES)["routes"]
    assert [one["amount"] for one in served["limits"] + served["token_limits"]] == [60, 9]
    await gate.command(SaveRoute(id=made["id"], limits=[RouteLimitSpec(span="minute", amount=5)]))
    await publish(gate)
    (served,) = cloudflare.document(edge.ROUTES)["routes"]
    assert [one["amount"] for one in served["limits"]] == [5]
    await gate.command(DeleteRoute(id=made["id"]))
    await publish(gate)
    assert cloudflare.document(edge.ROUTES)["routes"] == []


async def test_headers_that_a_route_adds_go_sealed_or_its_route_is_withheld(
    make_node: MakeNode, cloudflare: Cloudflare
) -> None:
    """A restart with another secret is told to the edge, though no route changed."""
    node = await make_node("one", **cloudflare.settings)
    added = HeaderSpec(add={"authorization": "Bearer s3cret"})
    await node.command(route(request_headers=added))
    status = await publish(node)
    assert [(one.path, one.reason) for one in status.withheld] == [("/api/test", edge.HEADERS)]
    assert cloudflare.document(edge.ROUTES)["routes"][0]["withheld"] == edge.HEADERS
    await node.stop()
    await pass_time_alone(node)
    node.options = type(node.options)(
        **{
            **{name: getattr(node.options, name) for name in node.options.__struct_fields__},
            "edge_secret": "shared with the Worker",
        }
    )
    await node.start()
    status = await publish(node)
    (served,) = cloudflare.document(edge.ROUTES)["routes"]
    assert status.withheld == [] and "withheld" not in served
    assert served["request_headers"]["sealed"]
    assert "s3cret" not in json.dumps(cloudflare.values)


async def pass_time_alone(node: Node) -> None:
    """The turn of a node that stopped is over."""
    await node.db.open()
    await pass_time(node, until_ms=0)
    await node.db.close()


async def test_what_takes_away_goes_before_what_adds(
    gate: Node, cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a revocation must not wait for a thousand new tokens."""
    monkeypatch.setattr(edge_publish, "BATCH_MAX", 2)
    revoked, name = await make_token(gate)
    deleted, other = await make_token(gate)
    await publish(gate)
    for _ in range(5):
        await make_token(gate)
    await gate.command(PatchKey(key=str(revoked.id), is_active=False))
    await gate.command(DeleteKey(key=str(deleted.id)))
    before = len(cloudflare.writes)
    await gate.clerk.edge.look(is_asked=True)
    assert (cloudflare.writes[before:], cloudflare.deletes) == ([name], [other])
    assert (await publish(gate)).waiting == 0


@pytest.mark.parametrize("fault", [500, 503, 429, 403, "garbage", "lost"])
async def test_what_failed_waits_is_said_and_is_sent_again(
    lone_gate: Node, cloudflare: Cloudflare, fault: Any
) -> None:
    """Also an answer that was lost: what it did is done again, to the same end."""
    await lone_gate.clerk.edge.look(is_asked=True)  # it has compared
    _, name = await make_token(lone_gate)
    cloudflare.faults = [web.Response(text="<html>") if fault == "garbage" else fault]
    status = await publish(lone_gate)
    assert (status.state, status.waiting) == ("failing", 2)
    assert status.error and "cf-api-token" not in status.error
    assert not await lone_gate.clerk.edge.look(), "not before its time"
    assert cloudflare.calls.count("PUT /bulk") == 1
    await pass_time(lone_gate, next_ms=0)
    await lone_gate.clerk.edge.look()
    status = await publish(lone_gate)
    assert (status.state, status.error) == ("current", "")
    assert name in cloudflare.values


async def test_pauses_grow_and_cloudflare_may_ask_for_longer_ones(
    lone_gate: Node, cloudflare: Cloudflare
) -> None:
    await lone_gate.clerk.edge.look(is_asked=True)
    await make_token(lone_gate)
    pauses = []
    for _ in range(12):
        cloudflare.faults = [500]
        await publish(lone_gate)
        async with lone_gate.db.reading() as tx:
            row = await edge_entries.publisher(tx)
        pauses.append(row.next_ms - lone_gate.clerk.clock.now_ms())
    assert pauses[0] <= 1_000 < pauses[3] and 290_000 < pauses[-1] <= 300_000
    busy = web.json_response(
        {"success": False, "errors": []}, status=429, headers={"retry-after": "900"}
    )
    cloudflare.faults = [busy]
    await publish(lone_gate)
    async with lone_gate.db.reading() as tx:
        row = await edge_entries.publisher(tx)
    assert row.next_ms - lone_gate.clerk.clock.now_ms() > 800_000


async def test_a_service_that_says_nothing_is_given_up_in_time(
    lone_gate: Node, cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_kv, "DEADLINE_S", 0.1)
    cloudflare.faults = [0]
    status = await publish(lone_gate)
    assert (status.state, status.error) == ("failing", "no answer within 0.1 s")


async def test_what_lasts_is_told_once_until_it_is_over(
    lone_gate: Node, cloudflare: Cloudflare
) -> None:
    """A revoked token that is still let through somewhere is worth a call at night, but one."""
    await lone_gate.clerk.edge.look(is_asked=True)
    await make_token(lone_gate)
    cloudflare.faults = [500] * 4
    await publish(lone_gate)
    assert await told(lone_gate) == []
    await pass_time(lone_gate, failing_ms=lone_gate.clerk.clock.now_ms() - edge_notices.FAILING_MS)
    for _ in range(3):
        await publish(lone_gate)
    assert await told(lone_gate) == [edge_notices.FAILING]
    assert (await publish(lone_gate)).state == "current"
    cloudflare.faults = [500, 500]
    await make_token(lone_gate)
    await publish(lone_gate)
    await pass_time(lone_gate, failing_ms=1)
    await publish(lone_gate)
    assert (await told(lone_gate)).count(edge_notices.FAILING) == 1, "since then it has been told"


async def test_a_crash_between_sending_and_entering_sends_again_and_ends_the_same(
    gate: Node, cloudflare: Cloudflare
) -> None:
    _, name = await make_token(gate)
    await publish(gate)
    before = dict(cloudflare.values)
    async with gate.db.writing() as tx:  # as if it had never been entered
        await tx.execute(sa.update(edge_entry).values(published="", published_ms=0))
    status = await publish(gate)
    assert (status.state, cloudflare.values) == ("current", before)
    assert cloudflare.writes.count(name) == 2
    assert (await publish(gate)).writes_today == len(cloudflare.writes)


async def test_a_store_that_fails_while_entering_leaves_it_waiting(
    lone_gate: Node, cloudflare: Cloudflare
) -> None:
    await publish(lone_gate)
    made, name = await make_token(lone_gate)
    await publish(lone_gate)
    await lone_gate.command(PatchKey(key=str(made.id), is_active=False))
    lone_gate.db.fail_commits = 1
    await lone_gate.clerk.edge.look(is_asked=True)
    status = await publish(lone_gate)
    assert (status.waiting, cloudflare.document(name)["is_active"]) == (0, False)


async def test_names_that_are_not_taken_wait(lone_gate: Node, cloudflare: Cloudflare) -> None:
    _, name = await make_token(lone_gate)
    _, other = await make_token(lone_gate)
    cloudflare.untaken = {name}
    status = await publish(lone_gate)
    assert (status.state, status.waiting) == ("failing", 1)
    assert other in cloudflare.values and "1 of 3 were not taken" in status.error
    cloudflare.untaken = set()
    assert (await publish(lone_gate)).waiting == 0
    assert cloudflare.writes.count(other) == 1


async def test_a_day_has_so_many_writes_and_a_tenth_is_for_revocations(
    make_node: MakeNode, cloudflare: Cloudflare, store_url: str
) -> None:
    """A bulk of new tokens must not leave a stolen one in force; what waits is said, once."""
    node = await make_node(url=store_url, edge_writes_per_day=20, **cloudflare.settings)
    first, name = await make_token(node)
    await publish(node)  # with the routes: two
    for _ in range(30):
        await make_token(node)
    status = await publish(node)
    assert (status.state, status.writes_today, status.waiting) == ("over_quota", 18, 14)
    await node.command(PatchKey(key=str(first.id), scopes=["less"]))
    await publish(node)
    await node.command(PatchKey(key=str(first.id), is_active=False))
    await publish(node)
    assert len(cloudflare.writes) == 20 and cloudflare.document(name)["is_active"] is False
    assert await told(node) == [edge_notices.OVER_QUOTA]
    await pass_time(node, day="2000-01-01")
    status = await publish(node)
    assert (status.state, status.waiting, status.writes_today) == ("current", 0, 14)


async def test_without_a_write_left_a_token_that_is_switched_off_is_taken_away(
    make_node: MakeNode, cloudflare: Cloudflare
) -> None:
    """401 where it should be 403, but no way through; deletes are counted apart."""
    node = await make_node(edge_writes_per_day=3, **cloudflare.settings)
    made, name = await make_token(node)
    await make_token(node)
    assert (await publish(node)).writes_today == 3
    await node.command(PatchKey(key=str(made.id), is_active=False))
    status = await publish(node)
    assert (status.state, name in cloudflare.values) == ("over_quota", False)
    assert (status.writes_today, status.deletes_today) == (3, 1)
    await pass_time(node, day="2000-01-01")
    assert (await publish(node)).waiting == 0
    assert cloudflare.document(name) == {"is_active": False}


async def test_what_was_changed_behind_our_back_is_put_right(
    gate: Node, cloudflare: Cloudflare
) -> None:
    """A full comparison now and then: lost, changed and stray values; others' names stay."""
    names = [(await make_token(gate))[1] for _ in range(5)]
    await publish(gate)
    async with gate.db.writing() as tx:  # long enough ago to be in a list
        await tx.execute(sa.update(edge_entry).values(published_ms=1))
    right = dict(cloudflare.values)
    del cloudflare.values[names[0]]
    cloudflare.values[names[1]] = '{"scopes":["*"]}'
    cloudflare.digests[names[1]] = {"digest": "another"}
    cloudflare.values |= {"token:stray": "{}", "somebody-else's": "x"}
    before = len(cloudflare.writes)
    assert (await publish(gate)).waiting == 0
    assert len(cloudflare.writes) == before, "nothing said so"
    status = await publish(gate, reconcile=True)
    assert (status.state, status.waiting) == ("current", 0)
    assert cloudflare.values == {**right, "somebody-else's": "x"}
    assert sorted(cloudflare.writes[before:]) == sorted(names[:2])
    assert cloudflare.deletes == ["token:stray"]


async def test_what_was_just_written_is_not_missed_in_an_old_list(
    lone_gate: Node, cloudflare: Cloudflare
) -> None:
    """Lists lag behind writes: taken at their word, each comparison would write all again."""
    _, name = await make_token(lone_gate)
    await publish(lone_gate)
    value = cloudflare.values.pop(name)
    await publish(lone_gate, reconcile=True)
    assert cloudflare.writes.count(name) == 1
    cloudflare.values[name] = value


async def test_a_namespace_that_holds_all_of_it_is_not_written_again(
    make_node: MakeNode, cloudflare: Cloudflare
) -> None:
    """A restored backup, or a namespace set again, costs no writes."""
    node = await make_node(**cloudflare.settings)
    await make_token(node)
    await publish(node)
    async with node.db.writing() as tx:
        await tx.execute(sa.delete(edge_entry))
        await tx.execute(sa.delete(edge_publisher))
    node.clerk.edge = EdgePublisher(node.db, node.clerk.clock, node.clerk.writer, node.options)
    assert await node.clerk.edge.look(is_asked=True)
    while await node.clerk.edge.look(is_asked=True):
        pass
    assert ((await node.clerk.edge.status()).state, len(cloudflare.writes)) == ("current", 2)


async def test_another_namespace_gets_everything(
    make_node: MakeNode, cloudflare: Cloudflare
) -> None:
    node = await make_node(**cloudflare.settings)
    await make_token(node)
    await publish(node)
    await pass_time(node, place="another/place")
    cloudflare.values.clear()
    cloudflare.digests.clear()
    assert (await publish(node)).state == "current"
    assert len(cloudflare.values) == 2 and len(cloudflare.writes) == 4


async def test_a_missed_feed_is_made_up_for_by_comparing_all(
    gate: Node, cloudflare: Cloudflare
) -> None:
    """Nobody published for longer than the feed is kept."""
    made, name = await make_token(gate)
    gone, other = await make_token(gate)
    await publish(gate)
    await gate.command(PatchKey(key=str(made.id), scopes=["late"]))
    await gate.command(DeleteKey(key=str(gone.id)))
    _, new = await make_token(gate)
    async with gate.db.writing() as tx:
        await tx.execute(sa.text("DELETE FROM feed"))
    await publish(gate)
    assert cloudflare.document(name) == {"scopes": ["late"]}
    assert other not in cloudflare.values and new in cloudflare.values


async def test_of_two_nodes_one_publishes_and_the_other_goes_on_when_it_dies(
    make_node: MakeNode, cloudflare: Cloudflare, postgresql_url: str
) -> None:
    one = await make_node("one", url=postgresql_url, **cloudflare.settings)
    two = await make_node("two", url=postgresql_url, **cloudflare.settings)
    made, name = await make_token(one)
    await publish(one)
    await two.command(PatchKey(key=str(made.id), is_active=False))
    status = await publish(two)
    assert (status.waiting, status.publisher) == (0, "node-one")
    assert cloudflare.document(name) == {}
    await publish(one)
    assert cloudflare.document(name) == {"is_active": False}
    await one.command(DeleteKey(key=str(made.id)))
    await pass_time(one, until_ms=1)  # it says nothing any more
    assert (await publish(two)).publisher == "node-two"
    assert name not in cloudflare.values
    await publish(one)
    assert (await publish(one)).publisher == "node-two"


async def test_a_clerk_publishes_by_itself_and_its_figures_say_so(
    make_node: MakeNode, cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge_publish, "LOOK_S", 0.01)
    node = await make_node(**cloudflare.settings)
    _, name = await make_token(node)
    await until(lambda: name in cloudflare.values)
    await until(lambda: node.clerk.edge.figures.get("writes_today") == 2)
    figures = (await node.command(Inspect()))["figures"]
    assert (figures["edge_is_publisher"], figures["edge_failures"]) == (1, 0)


async def test_without_a_namespace_nothing_is_asked_of_anybody(node: Node) -> None:
    with pytest.raises(Refusal) as caught:
        await node.command(PublishEdge())
    assert caught.value.code == Code.IMPOSSIBLE
    status = await node.clerk.edge.status()
    assert (status.state, status.namespace_id) == ("off", "")
    assert "edge_waiting" not in (await node.command(Inspect()))["figures"]


async def test_status_names_its_namespace(lone_gate: Node) -> None:
    status = await publish(lone_gate)
    assert (status.namespace_id, status.writes_per_day) == (NAMESPACE, 1000)
    assert status.published_ms and status.reconciled_ms
