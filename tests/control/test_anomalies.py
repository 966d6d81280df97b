"""/api/anomalies: listed, shown with their evidence, acknowledged."""

from typing import Any

import httpx2 as httpx
import pytest

from tallygate.core.anomalies import Evidence, Use
from tallygate.core.commands import CreateKey
from tallygate.store import anomalies
from tallygate.store.database import Database
from tests.control.clerk import StoreClerk
from tests.control.test_tokens import ACTOR, OwnClerk

pytestmark = pytest.mark.anyio

AT_MS = 1_770_800_000_000


@pytest.fixture
def clerk(db: Database) -> StoreClerk:
    return OwnClerk(db)


@pytest.fixture
async def key_id(clerk: StoreClerk) -> int:
    made = await clerk.command(CreateKey(label="n8n", daily_limit=None), ACTOR)
    return int(made["id"])


async def happened(db: Database, key_id: int, *kinds: str) -> list[int]:
    use = Use(
        request_id="r1",
        at_ms=AT_MS,
        route="/api/test",
        model="",
        status=200,
        address="203.0.113.9",
        agent="n8n/1.2",
    )
    evidence = Evidence(
        what="uses in an hour",
        expected=2.5,
        seen=80,
        chance=-12.5,
        hours=[(AT_MS // 1000, 80)],
        rows=[use],
    )
    async with db.writing() as tx:
        return [
            await anomalies.insert(tx, kind, key_id, AT_MS + number, evidence, AT_MS + number)
            for number, kind in enumerate(kinds)
        ]


async def listed(api: httpx.AsyncClient, query: str = "") -> Any:
    answer = await api.get(f"/api/anomalies?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_anomaly_is_shown_with_its_evidence(
    api: httpx.AsyncClient, db: Database, key_id: int
) -> None:
    """What was expected, what was seen, how unlikely that was, and the first rows."""
    [anomaly_id] = await happened(db, key_id, "volume")
    shown = (await api.get(f"/api/anomalies/{anomaly_id}")).json()
    assert shown["key_id"] == str(key_id)
    assert (shown["key_label"], shown["kind"], shown["state"]) == ("n8n", "volume", "open")
    assert shown["started_at"] == "2026-02-11T08:53:20.000Z"
    assert shown["ended_at"] is None
    evidence = shown["evidence"]
    assert (evidence["expected"], evidence["seen"], evidence["log10_chance"]) == (2.5, 80, -12.5)
    assert evidence["hours"] == [{"begins_at": "2026-02-11T08:53:20.000Z", "seen": 80}]
    assert evidence["first_uses"][0]["address"] == "203.0.113.9"


async def test_anomalies_are_listed_page_by_page_and_by_state_key_and_kind(
    api: httpx.AsyncClient, db: Database, key_id: int
) -> None:
    """The newest first; a filter that nobody knows is refused."""
    ids = await happened(db, key_id, "volume", "source", "errors")
    first = await listed(api, "limit=2")
    assert [one["id"] for one in first["items"]] == [str(ids[2]), str(ids[1])]
    assert first["total"] == 3
    second = await listed(api, f"limit=2&cursor={first['next']}")
    assert [one["id"] for one in second["items"]] == [str(ids[0])]
    assert second["next"] is None
    assert (await listed(api, "kind=source"))["total"] == 1
    assert (await listed(api, f"key={key_id}&state=open"))["total"] == 3
    assert (await listed(api, "state=acknowledged"))["total"] == 0
    assert (await listed(api, "key=99"))["total"] == 0
    for query in ("kind=strange", "state=closed"):
        assert (await api.get(f"/api/anomalies?{query}")).status_code == 400
    assert (await api.get("/api/anomalies?key=nobodys")).status_code == 404


async def test_an_anomaly_is_acknowledged_once(
    api: httpx.AsyncClient, db: Database, key_id: int
) -> None:
    """With a note, by name; a second time is a conflict."""
    [anomaly_id] = await happened(db, key_id, "volume")
    path = f"/api/anomalies/{anomaly_id}/acknowledge"
    assert (await api.post(path, json={"notes": "?"})).status_code == 400
    done = await api.post(path, json={"note": "a load test", "lift_throttle": True})
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["note"]) == ("acknowledged", "a load test")
    assert done.json()["acknowledged_by"] == "admin"
    assert (await api.post(path)).status_code == 409
    for unknown in ("999", "x"):
        assert (await api.post(f"/api/anomalies/{unknown}/acknowledge")).status_code == 404
        assert (await api.get(f"/api/anomalies/{unknown}")).status_code == 404


async def test_a_key_is_told_what_an_anomaly_does_to_it(
    api: httpx.AsyncClient, key_id: int
) -> None:
    """null goes back to what the setting says."""
    path = f"/api/anomalies/throttles/{key_id}"
    assert (await api.get(path)).json() == {"key_id": str(key_id), "throttle": None}
    for throttle in ("stop", "slow", None):
        told = await api.put(path, json={"throttle": throttle})
        assert told.json() == {"key_id": str(key_id), "throttle": throttle}
        assert (await api.get(path)).json()["throttle"] == throttle
    assert (await api.put(path, json={"throttle": "faster"})).status_code == 400
    assert (await api.put(path, json={})).status_code == 400
    assert (await api.get("/api/anomalies/throttles/999")).status_code == 404


async def test_anomalies_of_one_account_are_its_own(db: Database, key_id: int) -> None:
    """A member sees what their keys did, and nothing of others."""
    await happened(db, key_id, "volume")
    async with db.reading() as tx:
        for user_id, expected in (("", 1), ("ann", 0)):
            wanted = anomalies.Filter(user_id=user_id)
            found, total = await anomalies.page(tx, wanted, limit=10)
            assert len(found) == total == expected
