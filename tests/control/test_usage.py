"""/admin/usage as the seed's users know it."""

import datetime
from dataclasses import replace

import httpx2 as httpx
import pytest
import sqlalchemy as sa

from tallygate.control.parts import Parts
from tallygate.core.commands import ResetUsage, Settle
from tallygate.core.windows import day_window
from tallygate.store import limits, schema
from tallygate.store.database import Database
from tests.control.clerk import StoreClerk
from tests.control.conftest import ADMIN_TOKEN, connect

pytestmark = pytest.mark.anyio

TODAY = "2026-02-11"  # of 1_770_800_000_000


async def use(db: Database, key_id: int, requests: int, zone: str = "UTC") -> None:
    async with db.writing() as tx:
        (limit,) = await limits.of_subjects(tx, [(limits.KEY, str(key_id))])
        window_s = day_window(datetime.date.fromisoformat(TODAY), zone)
        await tx.execute(
            sa.insert(schema.counter).values(
                limit_id=limit.id,
                window_s=window_s,
                generation=1,
                spent=requests,
                leased=0,
                updated_ms=1_770_800_000_500,
            )
        )


async def test_every_key_is_reported_unused_ones_with_zero_and_null(
    api: httpx.AsyncClient, db: Database
) -> None:
    """The contract of the seed: totals are those of the list below them."""
    used = (await api.post("/admin/keys", json={"label": "used"})).json()
    unused = (await api.post("/admin/keys", json={"label": "unused", "daily_limit": None})).json()
    await use(db, 1, 15)
    answer = await api.get("/admin/usage")
    assert answer.json() == {
        "day": TODAY,
        "total_keys": 2,
        "total_requests": 15,
        "keys": [
            {**used, "requests": 15, "updated_at": 1_770_800_000_500},
            {**unused, "requests": 0, "updated_at": None},
        ],
    }
    assert "x-tallygate-stale" not in answer.headers
    other = (await api.get("/admin/usage?day=2026-02-10")).json()
    assert (other["day"], other["total_requests"], other["total_keys"]) == ("2026-02-10", 0, 2)


async def test_everything_answered_is_settled_before_it_is_reported(
    api: httpx.AsyncClient, clerk: StoreClerk
) -> None:
    """Read your own: a request that was answered is counted in the next report."""
    await api.get("/admin/usage")
    assert [type(arguments) for arguments, _ in clerk.seen] == [Settle]


async def test_a_node_that_is_behind_is_named(api: httpx.AsyncClient, clerk: StoreClerk) -> None:
    """A report that may be short says so, and says whose part is missing."""
    clerk.stale = ["berlin 2", "測試"]
    stale = (await api.get("/admin/usage")).headers["x-tallygate-stale"]
    assert stale == "berlin 2, %E6%B8%AC%E8%A9%A6"
    clerk.is_down = True
    answer = await api.get("/admin/usage")
    assert (answer.status_code, answer.headers["x-tallygate-stale"]) == (200, "this-node")


@pytest.mark.parametrize(
    "day", ["", "today", "2026-2-1", "2026-02-30", "20260211", "2026-02-11T00", "0001-01-01", "+"]
)
async def test_a_day_that_is_none_is_refused(api: httpx.AsyncClient, day: str) -> None:
    """A typing slip must not look like a day on which nobody did anything."""
    shown = await api.get("/admin/usage", params={"day": day})
    reset = await api.post("/admin/usage/reset", json={"day": day})
    for answer in (shown, reset):
        assert answer.status_code == 400
        assert "day" in answer.json()["error"]["message"]


async def test_a_reset_clears_the_counters_of_its_day(
    api: httpx.AsyncClient, db: Database, clerk: StoreClerk
) -> None:
    """`reset` counts the keys that were cleared; the next report shows 0 and null."""
    await api.post("/admin/keys", json={})
    await use(db, 1, 3)
    nothing = await api.post("/admin/usage/reset", json={"day": "2026-02-10"})
    assert nothing.json() == {"day": "2026-02-10", "reset": 0}
    done = await api.post("/admin/usage/reset")
    assert done.json() == {"day": TODAY, "reset": 1}
    assert ResetUsage(day=TODAY) in [arguments for arguments, _ in clerk.seen]
    (shown,) = (await api.get("/admin/usage")).json()["keys"]
    assert (shown["requests"], shown["updated_at"]) == (0, None)


async def test_today_is_todays_date_in_the_operators_zone(parts: Parts) -> None:
    """At 08:53 UTC it is tomorrow nowhere yet, but still yesterday in Pago Pago."""
    parts = replace(parts, time_zone="Pacific/Pago_Pago")
    async with connect(parts, **{"X-Admin-Token": ADMIN_TOKEN}) as api:
        assert (await api.get("/admin/usage")).json()["day"] == "2026-02-10"
