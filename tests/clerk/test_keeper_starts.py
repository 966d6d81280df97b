"""A server starts keepers when one is due, and says so when nothing ran for a day."""

import base64
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallygate.clerk.keeper_starts import environ_of
from tallygate.core.credential_commands import (
    CheckCredential,
    CreateCredential,
    NewCredential,
    RunKeeper,
)
from tallygate.core.credential_notices import IDLE
from tallygate.core.errors import Refusal
from tallygate.store import keeper_runs
from tallygate.store.keeper_schema import credential
from tallygate.store.money_schema import notice
from tallygate.store.schema import audit
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import MASTER_KEY, Node, make_options

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000
NEW = NewCredential(kind="baoming", name="n", parts={"secret": "t"}, given="secret")


async def age(node: Node, hours: float) -> None:
    async with node.clerk.db.writing() as tx:
        made = credential.c.created_ms - int(hours * HOUR_MS)
        await tx.execute(sa.update(credential).values(created_ms=made))


async def test_a_keeper_is_started_when_one_is_due_and_not_before(
    make_node: MakeNode, store_url: str
) -> None:
    """Not without credentials, not twice in an interval, but whenever somebody asks."""
    node = await make_node(url=store_url, keeper_command=("true",), keeper_interval_h=6.0)
    starts = node.clerk.keepers
    await starts.look()
    assert starts.started == 0
    made = await node.command(CreateCredential(new=NEW))
    await starts.look()
    assert starts.started == 0, "it was made just now"
    await age(node, 7)
    await starts.look()
    assert starts.started == 1
    async with node.clerk.db.writing() as tx:
        now_ms = node.clerk.clock.now_ms()
        run = await keeper_runs.open_run(tx, keeper_runs.OF_ALL, "cron", now_ms, HOUR_MS)
        totals = dict.fromkeys(keeper_runs.TOTALS, 0)
        await keeper_runs.close_run(tx, run, keeper_runs.OF_ALL, totals, now_ms)
    await starts.look()
    assert starts.started == 1, "cron has just done it"
    await node.command(CheckCredential(id=made["id"]))
    await starts.look()
    assert starts.started == 2


async def test_a_run_that_is_asked_for_begins_once_however_often_it_is_asked_for(
    make_node: MakeNode, store_url: str
) -> None:
    """Nor while cron's is under way: two would only take turns at the same hosts."""
    node = await make_node(url=store_url, keeper_command=("true",), keeper_interval_h=0.0)
    starts = node.clerk.keepers
    with pytest.raises(Refusal, match="no credential"):
        await node.command(RunKeeper())
    await node.command(CreateCredential(new=NEW))
    asked = [await node.command(RunKeeper()) for _ in range(3)]
    assert [one["is_started"] for one in asked] == [True, False, False]
    await starts.look()
    await starts.look()
    assert starts.started == 1
    async with node.clerk.db.writing() as tx:
        now_ms = node.clerk.clock.now_ms()
        run = await keeper_runs.open_run(tx, keeper_runs.OF_ALL, "cron", now_ms, HOUR_MS)
    assert not (await node.command(RunKeeper()))["is_started"]
    await starts.look()
    assert starts.started == 1
    async with node.clerk.db.writing() as tx:
        totals = dict.fromkeys(keeper_runs.TOTALS, 0)
        await keeper_runs.close_run(tx, run, keeper_runs.OF_ALL, totals, now_ms)
    assert (await node.command(RunKeeper()))["is_started"]
    async with node.clerk.db.reading() as tx:
        count = sa.select(sa.func.count()).where(audit.c.action == RunKeeper.NAME)
        assert int(await tx.scalar(count)) == 2
    await starts.look()  # the node does not end in the middle of a start


async def test_a_node_that_starts_no_keepers_says_so(any_node: Node) -> None:
    await any_node.command(CreateCredential(new=NEW))
    with pytest.raises(Refusal, match="starts no keepers"):
        await any_node.command(RunKeeper())


async def test_a_day_without_a_run_is_told_once(any_node: Node) -> None:
    """A timer that stopped is noticed by nobody else."""
    await any_node.command(CreateCredential(new=NEW))

    async def told() -> int:
        await any_node.clerk.keepers.look()
        async with any_node.clerk.db.reading() as tx:
            query = sa.select(sa.func.count()).where(notice.c.kind == IDLE)
            return int(await tx.scalar(query))

    assert await told() == 0
    await age(any_node, 25)
    assert [await told(), await told()] == [1, 1]


def test_a_keeper_is_told_what_it_needs_by_its_environment() -> None:
    """Settings of the shell that started the server must not reach another store."""
    options = make_options(Path("/d"), "sqlite:////d/x.db", master_key=MASTER_KEY + bytes(32))
    told = environ_of(options, {"PATH": "/bin", "TALLYGATE_DATABASE_URL": "postgresql://other"})
    assert told["TALLYGATE_DATABASE_URL"] == "" and told["PATH"] == "/bin"
    assert told["TALLYGATE_SQLITE_DB_PATH"] == "/d/x.db"
    assert base64.b64decode(told["TALLYGATE_MASTER_KEY"]) == MASTER_KEY
    assert base64.b64decode(told["TALLYGATE_MASTER_KEY_OLD"]) == bytes(32)
