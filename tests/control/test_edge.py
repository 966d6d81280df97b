"""/api/edge says how publishing stands, and nothing that is secret."""

from dataclasses import replace

import httpx2 as httpx
import pytest

from tallygate.control.parts import Parts
from tallygate.core.edge_commands import PublishEdge, Publishing
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import Actor
from tallygate.store import edge_entries
from tallygate.store.database import Database
from tallygate.store.edge_entries import Entry
from tests.control.conftest import ADMIN_TOKEN, connect

pytestmark = pytest.mark.anyio

ADMIN = {"authorization": f"Bearer {ADMIN_TOKEN}"}


async def enter(db: Database, now_ms: int) -> None:
    entries = [
        Entry("routes", 0, "a", "a", 0, 1, 1),
        Entry("token:1", 1, "", "b", 0, now_ms - 5_000, 1),
        Entry("token:2", 2, "c", "", 1, now_ms, 0),
    ]
    withheld = '[{"host":"","path":"/api/test","reason":"because"}]'
    async with db.writing() as tx:
        await edge_entries.put(tx, entries)
        assert await edge_entries.claim(tx, "node-1", now_ms, 1 << 50)
        changes = {"failures": 3, "error": "answered 500", "next_ms": now_ms, "withheld": withheld}
        assert await edge_entries.save(tx, "node-1", **changes)


async def test_without_an_edge_it_says_off(api: httpx.AsyncClient) -> None:
    answer = await api.get("/api/edge")
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["namespace_id"]) == ("off", None)


async def test_what_waits_and_why_is_said(parts: Parts, db: Database) -> None:
    """An operator who revoked a token must be able to see that the edge does not know."""
    at_ms = 1_770_800_000_000
    await enter(db, at_ms)
    here = replace(parts, edge_namespace_id="ns", edge_writes_per_day=1000)
    async with connect(here, **ADMIN) as client:
        said = (await client.get("/api/edge")).json()
    assert (said["state"], said["entries"], said["waiting"]) == ("failing", 2, 2)
    assert (said["waiting_revocations"], said["error"]) == (1, "answered 500")
    assert (said["writes_per_day"], said["publisher"]) == (1000, "node-1")
    assert said["withheld_routes"] == [{"host": None, "path": "/api/test", "reason": "because"}]
    assert said["waiting_since"].startswith("2026-02-11T08:53:15")


async def test_publishing_is_the_clerks_to_do(parts: Parts) -> None:
    """And where there is no edge its refusal is the answer."""

    class Clerk:
        def __init__(self) -> None:
            self.seen: list[PublishEdge] = []

        async def command(
            self,
            arguments: PublishEdge,
            actor: Actor,
            idempotency_key: str | None = None,
            **_: object,
        ) -> Publishing:
            self.seen.append(arguments)
            raise Refusal(Code.IMPOSSIBLE, "there is no edge")

    clerk = Clerk()
    async with connect(replace(parts, clerk=clerk), **ADMIN) as client:  # type: ignore[arg-type]  # as much of one as is asked
        answer = await client.post("/api/edge/publish", json={"reconcile": True})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "impossible")
        assert (await client.post("/api/edge/publish", json={"all": 1})).status_code == 400
    assert [one.reconcile for one in clerk.seen] == [True]
