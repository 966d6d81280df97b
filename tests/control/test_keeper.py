"""/api/keeper lists the runs and passes on the wish for one."""

from dataclasses import replace

import httpx2 as httpx
import pytest

from tallygate.control.parts import Parts
from tallygate.core.credential_commands import KeeperAsked, RunKeeper
from tallygate.core.ports import Actor
from tallygate.store import keeper_runs
from tallygate.store.database import Database
from tests.control.conftest import ADMIN_TOKEN, connect

pytestmark = pytest.mark.anyio

NOW_MS = 1_770_800_000_000
HOUR_MS = 3_600_000
ADMIN = {"X-Admin-Token": ADMIN_TOKEN}


async def test_runs_are_listed_with_what_became_of_them(
    api: httpx.AsyncClient, db: Database
) -> None:
    """Done, broken off and still running are three things that an operator must tell apart."""
    totals = dict(zip(keeper_runs.TOTALS, (4, 2, 1, 1, 0), strict=True))
    async with db.writing() as tx:
        done = await keeper_runs.open_run(tx, "all", "node-1", NOW_MS - 5000, HOUR_MS)
        await keeper_runs.beat(tx, done.id, NOW_MS - 4500)
        await keeper_runs.close_run(tx, done, "all", totals, NOW_MS - 4000)
        await keeper_runs.open_run(tx, "due", "cron", NOW_MS - 60_000, HOUR_MS)
        await keeper_runs.open_run(tx, "all", "node-2", NOW_MS - 1000, HOUR_MS)
    listed = (await api.get("/api/keeper/runs")).json()
    assert listed["total"] == 3
    assert [one["state"] for one in listed["items"]] == ["running", "broken_off", "done"]
    last = listed["items"][-1]
    assert (last["owner"], last["total"], last["refreshed"], last["failed"]) == ("node-1", 4, 2, 1)
    first = (await api.get("/api/keeper/runs?limit=1")).json()
    rest = (await api.get(f"/api/keeper/runs?limit=9&cursor={first['next']}")).json()
    assert [one["id"] for one in (*first["items"], *rest["items"])] == ["3", "2", "1"]
    assert rest["next"] is None


async def test_a_run_is_the_clerks_to_start(parts: Parts) -> None:
    class Clerk:
        async def command(
            self, arguments: RunKeeper, actor: Actor, idempotency_key: str | None = None
        ) -> KeeperAsked:
            return KeeperAsked(is_started=actor.name != "")

    async with connect(replace(parts, clerk=Clerk()), **ADMIN) as client:  # type: ignore[arg-type]  # as much of one as is asked
        answer = await client.post("/api/keeper/run")
    assert (answer.status_code, answer.json()) == (202, {"is_started": True})
