"""/api/usage/reports: an operator sees what was logged, what was not, and who was turned away."""

import httpx2 as httpx
import pytest

from tallygate.core.usage_report import RefusedReports, ReportedUse
from tallygate.store import usage_intake
from tallygate.store.database import Database
from tallygate.store.usage_intake import Intake
from tests.control.clerk import StoreClerk

pytestmark = pytest.mark.anyio

NOW_MS = 1_770_800_000_000  # 2026-02-11
DAY_MS = 86_400_000
PATH = "/api/usage/reports"


async def add(db: Database, intake: Intake, days_ago: int = 0) -> None:
    async with db.writing() as tx:
        await usage_intake.add(tx, intake, NOW_MS - days_ago * DAY_MS)


async def test_every_day_is_shown_and_all_of_them_together(
    api: httpx.AsyncClient, db: Database
) -> None:
    for days_ago, logged in ((0, 5), (2, 7), (6, 1), (7, 100)):
        await add(db, Intake(logged=logged, repeated=days_ago), days_ago)
    shown = (await api.get(PATH)).json()
    assert (shown["logged"], shown["repeated"], shown["unknown"], shown["refused"]) == (13, 8, 0, 0)
    assert [day["day"] for day in shown["days"]] == [
        f"2026-02-{day:02}" for day in range(11, 4, -1)
    ]
    assert [day["logged"] for day in shown["days"]] == [5, 0, 7, 0, 0, 0, 1]
    assert (await api.get(PATH, params={"days": "1"})).json()["logged"] == 5


async def test_unknown_tokens_and_refusals_are_named(api: httpx.AsyncClient, db: Database) -> None:
    """What to look for in the sender's settings: which token, which route, which address."""
    for days_ago in (1, 0):
        intake = Intake()
        for token in (b"t" * 32, b""):
            intake.add_unknown(ReportedUse(token, f"/api/{days_ago}", 0, "", "", 0, 0, b""))
        at_ms = NOW_MS - days_ago * DAY_MS
        refused = RefusedReports("unauthorized", 3, at_ms, f"192.0.2.{days_ago}")
        intake.add_refused([refused])
        await add(db, intake, days_ago)
    shown = (await api.get(PATH)).json()
    assert shown["unknown"] == 4
    assert [one["token_hash"] for one in shown["unknown_tokens"]] == [
        "747474747474…",
        "not a SHA-256",
    ]
    assert {one["route"] for one in shown["unknown_tokens"]} == {"/api/0"}
    [refused_for] = shown["refused_for"]
    assert refused_for == {
        "code": "unauthorized",
        "reports": 6,
        "last_at": "2026-02-11T08:53:20.000Z",
        "address": "192.0.2.0",
    }


async def test_nothing_reported_is_zeros(api: httpx.AsyncClient, clerk: StoreClerk) -> None:
    clerk.stale = ["other"]
    answer = await api.get(PATH)
    assert answer.json()["days"][0] == {
        "day": "2026-02-11",
        "logged": 0,
        "repeated": 0,
        "unknown": 0,
        "refused": 0,
    }
    assert answer.headers["x-tallygate-stale"] == "other"


@pytest.mark.parametrize("days", ["0", "91", "-1", "x", "7.5", "٧"])
async def test_days_are_a_whole_number(api: httpx.AsyncClient, days: str) -> None:
    answer = await api.get(PATH, params={"days": days})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


async def test_strangers_see_nothing(stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get(PATH)).status_code == 401
