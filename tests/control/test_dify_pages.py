"""What pages that embed Dify ask and report: /api/dify/config and /api/dify/events.

What a report is charged is the clerk's business (tests/clerk/test_dify_billing.py); here it is who
may report, for whom, and how much.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2 as httpx
import pytest

from tallygate import config
from tallygate.control.authentication import GuessBudget
from tallygate.control.parts import PAGE_EVENTS_MAX, Parts
from tallygate.core.account_commands import CreateOwnKey, CreateUser
from tallygate.core.charging import Trust
from tallygate.core.commands import Arguments
from tallygate.core.dify_commands import TakeBrowserEvents
from tallygate.core.ports import Actor
from tests.control.clerk import StoreClerk
from tests.control.conftest import ADMIN_TOKEN, Clock, connect

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"
ACTOR = Actor("test", "", "")
EVENT = {"event": "message_end", "data": {"message_id": "m-1", "input_tokens": 1}}
EVENTS = "/api/dify/events"


class Listening(StoreClerk):
    """Notes what is reported instead of charging it."""

    async def command(
        self, arguments: Arguments, actor: Actor, idempotency_key: str | None = None
    ) -> Any:
        if isinstance(arguments, TakeBrowserEvents):
            self.seen.append((arguments, actor))
            return {"status": 200, "body": b'{"success":true}'}
        return await super().command(arguments, actor, idempotency_key)

    @property
    def reports(self) -> list[TakeBrowserEvents]:
        return [one for one, _ in self.seen if isinstance(one, TakeBrowserEvents)]


@pytest.fixture
def clerk(clerk: StoreClerk) -> Listening:
    return Listening(clerk.db)


@pytest.fixture
def parts(parts: Parts, clerk: Listening, clock: Clock) -> Parts:
    return replace(parts, clerk=clerk, page_events=GuessBudget(clock, PAGE_EVENTS_MAX, 1.0))


@pytest.fixture
async def page(parts: Parts, clerk: Listening) -> AsyncIterator[httpx.AsyncClient]:
    """A page that Ann has open, signed in."""
    hash_ = await parts.sign_in.passwords.hash(PASSWORD)
    for name in ("ann", "bob"):
        await clerk.command(CreateUser(id=name, password_hash=hash_), ACTOR)
    async with connect(parts) as client:
        await sign_in(client, "ann")
        yield client


async def sign_in(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post("/api/session", json={"id": name, "password": PASSWORD})
    client.headers["x-csrf-token"] = answer.json()["csrf_token"]


@pytest.mark.parametrize("trust", list(Trust))
@pytest.mark.parametrize("enabled", [True, False])
async def test_a_page_learns_at_run_time_whether_it_counts_points(
    parts: Parts, enabled: bool, trust: Trust
) -> None:
    """Nobody has to be signed in: who is not is shown the same note."""
    served = replace(parts, dify_in_pages=enabled, browser_trust=trust)
    async with connect(served) as stranger:
        answer = await stranger.get("/api/dify/config")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json() == {"enabled": enabled, "browser_trust": trust.value}


@pytest.mark.parametrize("name", config.names_of("dify_in_pages"))
def test_the_points_systems_own_switch_stays_valid(name: str) -> None:
    assert config.load({})[0].dify_in_pages is False
    assert config.load({name: "true"}) == (config.load({}, dify_in_pages=True)[0], [])
    with pytest.raises(config.BadSettings, match="ENABLE_DIFY_INTEGRATION"):
        config.load({name: "perhaps"})
    assert {"TALLYGATE_ENABLE_DIFY_INTEGRATION", "VITE_ENABLE_DIFY_INTEGRATION"} == set(
        config.names_of("dify_in_pages")
    )


async def test_a_report_is_the_sessions_own(page: httpx.AsyncClient, clerk: Listening) -> None:
    """Whoever it names, it is about whoever is signed in."""
    told = {"event": "message_end", "data": {**EVENT["data"], "user_id": "bob"}}
    assert (await page.post(f"{EVENTS}?app=a", json=told)).json() == {"success": True}
    [report] = clerk.reports
    assert (report.account_id, report.app, json.loads(report.body)) == ("ann", "a", told)


async def test_only_a_signed_in_page_reports(
    parts: Parts, page: httpx.AsyncClient, clerk: Listening
) -> None:
    """A key is no page, the admin token is nobody, and another site's page is refused."""
    key = (await clerk.command(CreateOwnKey(account_id="ann"), ACTOR))["secret"]
    async with connect(parts) as other:
        for headers, status in (
            ({}, 401),
            ({"authorization": f"Bearer {key}"}, 403),
            ({"x-admin-token": ADMIN_TOKEN}, 400),
        ):
            assert (await other.post(EVENTS, json=EVENT, headers=headers)).status_code == status
    for headers in (
        {"x-csrf-token": "guessed"},
        {"origin": "http://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        assert (await page.post(EVENTS, json=EVENT, headers=headers)).status_code == 403
    assert clerk.reports == []


async def test_a_flood_is_put_off_and_says_until_when(
    parts: Parts, page: httpx.AsyncClient, clerk: Listening, clock: Clock
) -> None:
    """Each report is a transaction: nobody fills the books by calling it a thousand times."""
    answers = [await page.post(EVENTS, json=EVENT) for _ in range(PAGE_EVENTS_MAX + 20)]
    statuses = [answer.status_code for answer in answers]
    assert statuses == [200] * PAGE_EVENTS_MAX + [429] * 20
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].json()["error"]["code"] == "rate_limit_exceeded"
    assert len(clerk.reports) == PAGE_EVENTS_MAX
    async with connect(parts) as other:
        await sign_in(other, "bob")
        assert (await other.post(EVENTS, json=EVENT)).status_code == 200
    clock.now_s += 1
    assert (await page.post(EVENTS, json=EVENT)).status_code == 200
    assert (await page.post(EVENTS, json=EVENT)).status_code == 429


async def test_an_array_counts_as_many_as_it_holds(
    page: httpx.AsyncClient, clerk: Listening
) -> None:
    """Else an array would be the way around."""
    assert (await page.post(EVENTS, json=[EVENT] * 100)).status_code == 200
    refused = await page.post(EVENTS, json=[EVENT] * 21)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert (await page.post(EVENTS, json=[EVENT] * 20)).status_code == 200
    assert (await page.post(EVENTS, json=EVENT)).status_code == 429
    assert len(clerk.reports) == 2


@pytest.mark.parametrize("body", [b"[" + b"{}," * 100 + b"{}]", b" " * 300_000, b"[" * 300_000])
async def test_what_is_too_much_at_once_is_refused(
    page: httpx.AsyncClient, clerk: Listening, body: bytes
) -> None:
    assert (await page.post(EVENTS, content=body)).status_code == 413
    assert clerk.reports == []


@pytest.mark.parametrize("body", [b"", b"[", b"\xff", b"[" * 2000, b"[]"])
async def test_what_can_not_be_read_counts_as_one(
    page: httpx.AsyncClient, clerk: Listening, body: bytes
) -> None:
    for _ in range(PAGE_EVENTS_MAX):
        await page.post(EVENTS, content=body)
    assert (await page.post(EVENTS, content=body)).status_code == 429
    assert len(clerk.reports) == PAGE_EVENTS_MAX


async def test_apps_are_read_in_either_spelling(api: httpx.AsyncClient) -> None:
    """The points system's pages write camel case."""
    app = {"name": "a", "apiUrl": "https://dify.example", "apiKey": "app-1", "billedBy": "gateway"}
    made = await api.post("/api/dify/apps", json=app)
    assert (made.status_code, made.json()["billed_by"]) == (201, "gateway"), made.text
    changed = await api.patch("/api/dify/apps/a", json={"holdPoints": 2, "isActive": False})
    assert (changed.json()["hold_points"], changed.json()["is_active"]) == (2, False)
    twice = await api.patch("/api/dify/apps/a", json={"isActive": True, "is_active": True})
    assert (twice.status_code, "is_active" in twice.json()["error"]["message"]) == (400, True)
