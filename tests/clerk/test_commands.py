"""Commands change the store whole or not at all, are audited, and are heard of by workers."""

import asyncio
import datetime
import sqlite3
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from tallygate.clerk.local import LocalClerk
from tallygate.core import sealing
from tallygate.core.commands import (
    Arguments,
    CleanUsage,
    CreateKey,
    DeactivateUnusedKeys,
    DeleteKey,
    DeleteProvider,
    ImportQuotaProxy,
    Inspect,
    KeyView,
    LimitSpec,
    PatchKey,
    ResetUsage,
    RetireNode,
    RotateKey,
    SaveProvider,
    Settle,
)
from tallygate.core.errors import Code, Refusal, StoreUnavailable
from tallygate.core.keys import hash_key
from tallygate.core.ports import Found, LookUp
from tallygate.core.takeover import OldKey, OldUsage
from tallygate.store import audit, nodes, usage
from tallygate.store.database import Tx
from tests.clerk.conftest import MakeNode, prepare
from tests.clerk.samples import ACTOR, MASTER_KEY, Node, Worker, make_options, until

pytestmark = pytest.mark.anyio


async def actions(node: Node) -> list[str]:
    async with node.db.reading() as tx:
        return [row.action for row in await audit.page(tx, limit=100)]


async def look_up(worker: Worker, secret: str) -> Found:
    count = sum(isinstance(message, Found) for message in worker.messages)
    worker.channel.send(LookUp(1, hash_key(secret.encode())))
    return await worker.hear(Found, count + 1)


async def refused(node: Node, arguments: Arguments) -> Code:
    with pytest.raises(Refusal) as refusal:
        await node.command(arguments)
    return refusal.value.code


async def test_a_new_key_is_shown_once_and_found_by_its_hash(any_node: Node):
    """The secret leaves the clerk in this answer; what rests is a hash and a sealed copy."""
    view = await any_node.command(CreateKey(label="alice"), into=KeyView)
    assert view.secret is not None and view.secret.startswith("roc_")
    assert (view.daily_limit, view.has_daily_limit) == (200, True)
    assert view.sealed is not None
    assert sealing.unseal_key(MASTER_KEY, view.sealed, view.id) == view.secret
    worker = await any_node.worker(0)
    found = await look_up(worker, view.secret)
    assert found.key is not None and found.key.id == view.id
    assert await actions(any_node) == ["key.create"]


async def test_without_sealed_copies_nothing_can_be_unsealed(make_node: MakeNode):
    node = await make_node(keep_sealed_keys=False)
    assert (await node.command(CreateKey(), into=KeyView)).sealed is None


async def test_a_revoked_key_is_pushed_to_every_worker(node: Node):
    """They must not wait for their caches to grow old."""
    view = await node.command(CreateKey(), into=KeyView)
    workers = [await node.worker(slot) for slot in range(4)]
    await node.command(PatchKey(key=str(view.id), is_active=False))
    for worker in workers:
        await worker.hear_change("key", view.id)
    found = await look_up(workers[0], view.secret or "")
    assert found.key is not None and not found.key.is_active
    await node.command(DeleteKey(key=view.secret or ""))
    assert (await look_up(workers[0], view.secret or "")).key is None
    assert await refused(node, DeleteKey(key=str(view.id))) is Code.NOT_FOUND


async def test_a_lowered_limit_is_pushed_and_recalled(node: Node):
    key_id, limit = await node.make_limit(100)
    worker = await node.worker(0)
    assert await worker.admit(limit)
    spec = LimitSpec(span="total", amount=3)
    await node.command(PatchKey(key=str(key_id), limits=[spec]))
    await worker.hear_change("limit", limit.id)
    await until(lambda: worker.recalls)


async def test_a_rotated_key_works_on_through_its_grace_only(node: Node):
    view = await node.command(CreateKey(), into=KeyView)
    worker = await node.worker(0)
    again = await node.command(RotateKey(key=str(view.id), grace_s=60), into=KeyView)
    assert again.secret != view.secret
    found = await look_up(worker, view.secret or "")
    assert found.key is not None and found.key.expires_ms is not None
    last = await node.command(RotateKey(key=str(view.id)), into=KeyView)
    assert (await look_up(worker, again.secret or "")).key is None
    assert (await look_up(worker, last.secret or "")).key is not None


async def test_unused_keys_are_deactivated_and_young_ones_spared(node: Node):
    view = await node.command(CreateKey(), into=KeyView)
    assert (await node.command(DeactivateUnusedKeys(days=30)))["deactivated"] == []
    async with node.db.writing() as tx:
        await tx.execute(sa.text("UPDATE api_key SET created_ms = 1"))
    dry = await node.command(DeactivateUnusedKeys(days=30, is_dry_run=True))
    assert [one["id"] for one in dry["deactivated"]] == [view.id]
    done = await node.command(DeactivateUnusedKeys(days=30))
    assert [one["is_active"] for one in done["deactivated"]] == [False]
    assert (await node.command(DeactivateUnusedKeys(days=30)))["deactivated"] == []


async def test_the_same_command_sent_twice_is_run_once(node: Node):
    """A client that did not hear the answer asks again with the same Idempotency-Key."""
    first = await node.command(CreateKey(label="a"), "retry-1")
    assert await node.command(CreateKey(label="a"), "retry-1") == first
    with pytest.raises(Refusal) as refusal:
        await node.command(CreateKey(label="b"), "retry-1")
    assert refusal.value.code is Code.IDEMPOTENCY_CONFLICT
    assert await actions(node) == ["key.create"]


async def test_a_refused_command_leaves_nothing_behind(node: Node):
    """Also not its Idempotency-Key: corrected, it may be sent again."""
    with pytest.raises(Refusal):
        await node.command(DeleteKey(key="99"), "retry-2")
    with pytest.raises(Refusal, match="no such key"):
        await node.command(DeleteKey(key="99"), "retry-2")
    assert await actions(node) == []


@pytest.mark.parametrize(
    "bad",
    [
        CreateKey(kind="xyz"),
        CreateKey(daily_limit=-1),
        CreateKey(daily_limit=2**53),
        CreateKey(limits=[LimitSpec(dimension="points", amount=-1)]),
        CreateKey(limits=[LimitSpec(dimension="smiles", amount=1)]),
        CreateKey(limits=[LimitSpec(span="fortnight", amount=1)]),
        CreateKey(limits=[LimitSpec(zone="Mars/Olympus", amount=1)]),
        CreateKey(addresses=["not-an-address"]),
        CreateKey(label="x" * 501),
        CreateKey(models=[""]),
        PatchKey(key="1", daily_limit=-5),
        RotateKey(key="1", grace_s=-1),
        DeactivateUnusedKeys(days=0),
        CleanUsage(older_than_days=0),
        ResetUsage(day="yesterday"),
        ResetUsage(day="20260131"),
        SaveProvider(name="p", is_new=True),
        SaveProvider(name="a b", is_new=True, base_url="https://host/v1"),
        SaveProvider(name="p", is_new=True, base_url="ftp://host/v1"),
        SaveProvider(name="p", is_new=True, base_url="https://user:pw@host/v1"),
        SaveProvider(name="p", is_new=True, base_url="https://host/v1", weight=-1),
        SaveProvider(name="p", is_new=True, base_url="https://host/v1", protocol="gopher"),
    ],
)
async def test_bad_input_is_refused_by_name(node: Node, bad: Arguments):
    if isinstance(bad, PatchKey | RotateKey):
        await node.command(CreateKey())
    assert await refused(node, bad) is Code.BAD_REQUEST


async def test_what_is_no_command_is_refused(node: Node):
    with pytest.raises(Refusal, match="no command"):
        await node.clerk.command("key.explode", b"\x80", ACTOR, None)
    with pytest.raises(Refusal, match=r"key\.create"):
        await node.clerk.command("key.create", b"\xc1", ACTOR, None)
    with pytest.raises(Refusal, match="unknown field"):
        await node.clerk.command("key.create", msgspec.msgpack.encode({"lable": ""}), ACTOR, None)


async def test_a_command_without_a_store_says_so_and_does_nothing(node: Node):
    node.db.is_away = True
    with pytest.raises(StoreUnavailable):
        await node.command(CreateKey())
    node.db.is_away = False
    await until(lambda: node.clerk.is_store_available)
    assert await actions(node) == []


async def test_commands_that_come_together_do_not_fail_together(node: Node):
    """They share a transaction, but each has its own savepoint."""
    commands = [CreateKey(label=str(n)) if n % 2 else DeleteKey(key="77") for n in range(10)]
    outcomes = await asyncio.gather(
        *(node.command(command) for command in commands), return_exceptions=True
    )
    assert sum(isinstance(outcome, Refusal) for outcome in outcomes) == 5
    assert await actions(node) == ["key.create"] * 5


async def test_cleaning_usage_counts_and_spares_young_rows(node: Node):
    _, limit = await node.make_limit(5)
    worker = await node.worker(0)
    assert await worker.admit(limit)
    worker.finish(limit, "old")  # the sample was admitted in 1970
    await node.command(Settle())
    assert await node.command(CleanUsage(older_than_days=1, is_dry_run=True)) == {"deleted": 1}
    assert await node.command(CleanUsage(older_than_days=1)) == {"deleted": 1}
    assert await node.command(CleanUsage(older_than_days=1)) == {"deleted": 0}


async def test_a_cleaning_of_many_rows_goes_on_in_short_steps_until_none_is_left(
    node: Node, monkeypatch: pytest.MonkeyPatch
):
    """One long transaction would keep every lease waiting, one short one would leave the rest."""
    _, limit = await node.make_limit(500)
    worker = await node.worker(0)
    for number in range(7):
        assert await worker.admit(limit)
        worker.finish(limit, f"old-{number}")
    await node.command(Settle())
    steps: list[int] = []
    clean = usage.clean

    async def few_at_a_time(tx: Tx, before_ms: int) -> int:
        steps.append(await clean(tx, before_ms, limit=3))
        return steps[-1]

    monkeypatch.setattr(usage, "clean", few_at_a_time)
    assert await node.command(CleanUsage(older_than_days=1)) == {"deleted": 7}
    assert steps == [3, 3, 1, 0]
    assert (await actions(node))[0] == "usage.clean"


async def test_an_import_is_tried_first_and_heard_of_by_workers(node: Node):
    """A gateway remembers for a while which keys it did not know: an imported one works at once."""
    worker = await node.worker(0)
    day = OldUsage("roc_old", datetime.date(2026, 2, 11), 15, 1)
    wanted = ImportQuotaProxy(keys=[OldKey("roc_old", "x", 1, 5, True)], usages=[day])
    tried = await node.command(msgspec.structs.replace(wanted, is_dry_run=True))
    assert (tried["keys"], tried["requests"]) == (1, 15)
    assert await actions(node) == []
    assert await node.command(wanted) == tried
    assert await actions(node) == ["import.quota_proxy"]
    await until(lambda: "flush" in [change.kind for change in worker.changes])
    assert (await node.command(wanted))["known"] == 2
    assert "roc_old" not in repr(wanted)


async def test_a_living_node_is_not_retired(node: Node):
    """Its workers would go on serving units that were given to others."""
    assert await refused(node, RetireNode(node="one")) is Code.CONFLICT
    assert await refused(node, RetireNode(node="nowhere")) is Code.NOT_FOUND


async def test_a_dead_node_is_retired_and_named_as_stale_before(node: Node):
    async with node.db.writing() as tx:
        await nodes.register_node(tx, "node-dead", "dead", 1)
    await node.clerk.barrier.beat()
    assert await node.command(Settle()) == {"stale": ["dead"]}
    assert await node.command(RetireNode(node="dead")) == {"node": "dead", "spent": {}}
    await node.clerk.barrier.beat()
    assert await node.command(Settle()) == {"stale": []}


async def test_providers_are_saved_without_showing_their_secret(node: Node):
    worker = await node.worker(0)
    assert [one.name for one in worker.welcome.snapshot.providers] == ["demo"]
    save = SaveProvider(
        name="acme", is_new=True, base_url="http://127.0.0.1:9/v1", secret="sk-1", models=["m"]
    )
    answer = await node.command(save)
    assert "sk-1" not in repr(answer)
    reload = await until_reloaded(worker, {"acme"})
    assert reload.providers[0].secret == "sk-1"
    assert "sk-1" not in repr(reload.providers[0])
    await node.command(DeleteProvider(name="acme"))
    await until_reloaded(worker, set())  # and the demo is gone for good


async def until_reloaded(worker: Worker, names: set[str]):
    def snapshots() -> list:
        found = [message.snapshot for message in worker.messages if hasattr(message, "snapshot")]
        return [one for one in found if {p.name for p in one.providers} == names]

    await until(snapshots)
    return snapshots()[-1]


async def test_inspect_shows_the_clerks_own_figures(node: Node):
    await node.worker(3)
    found = await node.command(Inspect())
    assert [worker["slot"] for worker in found["workers"]] == [3]
    assert found["figures"]["is_store_available"] == 1
    assert "keeper" not in found
    kept = await node.command(Inspect(keeper=True))
    assert kept["keeper"]["credentials"] == []


async def test_a_clerk_without_a_server_runs_the_same_commands(tmp_path: Path):
    """The CLI beside a stopped server: same audit, same feed, same settling."""
    url = f"sqlite:///{tmp_path}/tallygate.db"
    await prepare(url)
    async with LocalClerk(make_options(tmp_path / "data", url)) as clerk:
        view = await clerk.command(CreateKey(label="cli"), ACTOR, into=KeyView)
        assert view.secret is not None
        assert await clerk.command(Settle(), ACTOR) == {"stale": []}
    with sqlite3.connect(tmp_path / "tallygate.db") as connection:
        assert connection.execute("SELECT label FROM api_key").fetchall() == [("cli",)]
        assert connection.execute("SELECT kind FROM feed").fetchall() == [("key",)]
