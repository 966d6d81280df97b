"""Charges and dead letters as operators see them, and what they may do about them."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa

from tallygate.control.live import Live
from tallygate.control.looks import LOOKING_MAX, WAITING_MAX
from tallygate.control.parts import Parts
from tallygate.core.charging import Event, Policy, Source
from tallygate.core.errors import Code, Refusal
from tallygate.core.pricing import Prices
from tallygate.store import dead_letters, prices
from tallygate.store.charging import charge_batch
from tallygate.store.database import Database
from tallygate.store.dead_letters import NewLetter
from tallygate.store.money_schema import charge
from tests.control.clerk import StoreClerk
from tests.control.conftest import connect
from tests.store.purse import NOW_MS, POINT, differences, insert_account, insert_prices

pytestmark = pytest.mark.anyio

POLICY = Policy(charge_micros_max=1_000 * POINT, may_overdraw=False)


@pytest.fixture
async def books(db: Database) -> AsyncIterator[Database]:
    """Ann has 1,000 points; 1,000 tokens of gpt-4 in are 300 of them."""
    async with db.writing() as tx:
        await insert_account(tx, "ann", 1_000 * POINT)
        await insert_account(tx, "bob")
        await insert_prices(tx)
    yield db
    assert await differences(db) == []


async def take(db: Database, tokens: int, number: int, **changes: Any) -> None:
    values: dict[str, Any] = {
        "source": Source.WEBHOOK,
        "instance": "dify",
        "aliases": (("message", f"m-{number}"),),
        "account_id": "ann",
        "model": "gpt-4",
        "counts": {"input_tokens": tokens, "output_tokens": 0},
        "event_ms": NOW_MS,
        "message_id": f"m-{number}",
    }
    async with db.writing() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
        await charge_batch(tx, [Event(**(values | changes))], book, POLICY, NOW_MS + number)


async def keep_letter(db: Database, payload: Any, code: str = "unknown_user") -> None:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    letter = NewLetter(
        source="webhook",
        instance="dify",
        app="",
        account_id="",
        code=code,
        message="why",
        payload=text,
    )
    async with db.writing() as tx:
        await dead_letters.record(tx, [letter], NOW_MS)


def message(user: str, number: int = 1) -> dict[str, Any]:
    data = {"message_id": f"m-{number}", "user_id": user, "model_name": "gpt-4"}
    return {"event": "message_end", "data": {**data, "input_tokens": 1000, "output_tokens": 0}}


async def test_charges_are_listed_and_filtered(books: Database, api: httpx.AsyncClient) -> None:
    """The newest first, page by page; each filter by itself and together."""
    for number, user in enumerate(("ann", "ann", "bob"), 1):
        await take(books, 1000 * number, number, account_id=user)
    whole = (await api.get("/api/charges")).json()
    assert [item["message_id"] for item in whole["items"]] == ["m-3", "m-2", "m-1"]
    assert (whole["total"], whole["next"]) == (3, None)
    first = (await api.get("/api/charges?limit=2")).json()
    second = (await api.get(f"/api/charges?limit=2&cursor={first['next']}")).json()
    assert [*first["items"], *second["items"]] == whole["items"]
    for query, count in (
        ("user_id=ann", 2),
        ("state=unpaid", 1),
        ("state=charged&user_id=bob", 0),
        ("source=webhook&model=gpt-4", 3),
        ("message_id=m-2", 1),
        ("from=2026-02-11&to=2026-02-11", 3),
        ("to=2026-02-10", 0),
    ):
        assert (await api.get(f"/api/charges?{query}")).json()["total"] == count, query
    for query in ("state=lost", "source=rumour", "limit=0", "cursor=x", "from=soon"):
        assert (await api.get(f"/api/charges?{query}")).status_code == 400, query


async def test_a_charge_is_shown_with_its_sum_computed_again(
    books: Database, api: httpx.AsyncClient
) -> None:
    """Whoever disputes a bill is shown every step of it."""
    await take(books, 1000, 1)
    await take(books, 500, 1, source=Source.BROWSER, aliases=(("message", "m-1"),))
    shown = (await api.get("/api/charges/cons_1")).json()
    assert shown["charge"]["points"] == 300
    assert shown["charge"]["points_micros"] == 300 * POINT
    assert shown["charge"]["balance_after"] == 700
    assert shown["reports"][0] | {"user_id": ""} == {
        "source": "browser",
        "user_id": "",
        "model": "gpt-4",
        "input_tokens": 500,
        "output_tokens": 0,
    }
    assert shown["replay"]["is_same"] is True
    assert shown["replay"]["points_micros"] == 300 * POINT
    assert any("1000" in line for line in shown["replay"]["lines"])
    assert (await api.get("/api/charges/1")).json() == shown
    for missing in ("cons_2", "x", "0", "9" * 30):
        assert (await api.get(f"/api/charges/{missing}")).status_code == 404


async def test_a_charge_that_was_tampered_with_is_shown_as_such(
    db: Database, api: httpx.AsyncClient
) -> None:
    """The versions are the truth, not the sum."""
    async with db.writing() as tx:
        await insert_account(tx, "ann", 1_000 * POINT)
        await insert_prices(tx)
    await take(db, 1000, 1)
    async with db.writing() as tx:
        await tx.execute(sa.update(charge).values(micros=1))
    assert (await api.get("/api/charges/1")).json()["replay"]["is_same"] is False
    async with db.writing() as tx:
        await tx.execute(sa.update(charge).values(price_id=77))
    gone = (await api.get("/api/charges/1")).json()["replay"]
    assert (gone["is_same"], gone["points"]) == (False, None)
    assert "77" in gone["lines"][0]


async def test_unpaid_charges_are_settled_and_reviews_decided(
    books: Database, api: httpx.AsyncClient
) -> None:
    await take(books, 1000, 1, account_id="bob")
    await take(books, 5000, 2)
    await take(books, 6000, 3)
    assert (await api.post("/api/charges/cons_1/settle")).status_code == 402
    topped = await api.post("/api/users/bob/wallet/top-up", json={"points": 500})
    assert topped.status_code == 200
    settled = (await api.post("/api/users/bob/wallet/settle")).json()
    assert (settled["paid"], settled["paid_points"], settled["unpaid"]) == (1, 300, 0)
    approved = (await api.post("/api/charges/cons_2/approve", json={"reason": "ok"})).json()
    assert approved["state"] == "unpaid", "ann has 1,000 points, and it costs 1,500"
    assert (await api.post("/api/charges/cons_3/reject")).json()["state"] == "rejected"
    assert (await api.post("/api/charges/cons_3/approve")).status_code == 409
    assert (await api.post("/api/charges/cons_9/reject")).status_code == 404
    audit = (await api.get("/api/audit?subject=charge:cons_3")).json()["items"]
    assert [row["action"] for row in audit] == ["charge.reject"]


async def test_dead_letters_are_listed_inspected_replayed_and_dismissed(
    books: Database, api: httpx.AsyncClient
) -> None:
    await keep_letter(books, message("ann"))
    await keep_letter(books, message("nobody", 2))
    await keep_letter(books, b"{not json", "bad_request")
    listed = (await api.get("/api/dead-letters")).json()
    assert [item["code"] for item in listed["items"]] == [
        "bad_request",
        "unknown_user",
        "unknown_user",
    ]
    broken, unknown, good = (item["id"] for item in listed["items"])
    assert (await api.get(f"/api/dead-letters/{broken}")).json()["payload"] == "{not json"
    replayed = (await api.post(f"/api/dead-letters/{good}/replay")).json()
    assert replayed["letter"]["state"] == "replayed"
    assert replayed["charges"][0]["points"] == 300
    refused = await api.post(f"/api/dead-letters/{unknown}/replay")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "unknown_user")
    assert (await api.post(f"/api/dead-letters/{broken}/replay")).status_code == 400
    gone = await api.post(f"/api/dead-letters/{broken}/dismiss", json={"reason": "a test"})
    assert gone.json()["state"] == "dismissed"
    assert (await api.post(f"/api/dead-letters/{broken}/dismiss")).status_code == 409
    for state, count in (("open", 1), ("replayed", 1), ("dismissed", 1)):
        assert (await api.get(f"/api/dead-letters?state={state}")).json()["total"] == count
    assert (await api.get("/api/dead-letters?state=lost")).status_code == 400
    assert (await api.get("/api/dead-letters/77")).status_code == 404
    assert (await api.post("/api/dead-letters/x/replay")).status_code == 404


# --- what happens just now ---


async def read_events(parts: Parts) -> list[tuple[str, Any]]:
    """All that a stream says until it ends."""
    async with connect(parts, **{"X-Admin-Token": "the-operators-own-token"}) as client:
        answer = await client.get("/api/consumption/live")
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events_in(answer.content)


def events_in(stream: bytes) -> list[tuple[str, Any]]:
    found = []
    for block in stream.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


async def test_who_begins_to_look_sees_the_latest_charges(books: Database, parts: Parts) -> None:
    await take(books, 1000, 1)
    await take(books, 10, 2)
    seen = await read_events(parts)
    assert [value["message_id"] for name, value in seen if name == "consumption"] == ["m-1", "m-2"]


async def test_everybody_who_looks_sees_what_is_charged_meanwhile(
    books: Database, clerk: StoreClerk
) -> None:
    """And how deliveries fare, by one reader however many look."""
    is_ending = False
    live = Live(books, clerk, lambda: is_ending, lambda name, error: None)
    looks = [await live.look() for _ in range(3)]
    streams = [b"", b"", b""]

    async def follow(place: int) -> None:
        async for piece in looks[place]:
            streams[place] += piece

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for place in range(3):
            group.create_task(follow(place))
        await asyncio.sleep(0)
        await take(books, 1000, 1)
        while any(b"m-1" not in stream for stream in streams):  # noqa: ASYNC110 - read by time
            await asyncio.sleep(0.01)
        is_ending = True
    for stream in streams:
        names = [name for name, _ in events_in(stream)]
        assert names.count("consumption") == 1, "each charge once"
        assert "status" in names
    assert len(live.looks) == 0


async def test_looking_is_bounded(books: Database, clerk: StoreClerk) -> None:
    """So many may look, and whoever does not read misses the oldest."""
    live = Live(books, clerk, lambda: True, lambda name, error: None)
    looks = [await live.look() for _ in range(LOOKING_MAX)]
    with pytest.raises(Refusal) as caught:
        await live.look()
    assert caught.value.code is Code.OVERLOADED
    [look, *_] = live.looks._all
    for number in range(WAITING_MAX + 50):
        look.tell(b"%d" % number)
    assert len(look.waiting) == WAITING_MAX
    for stream in looks:
        async for _ in stream:
            pass
    assert len(live.looks) == 0


async def test_the_stream_needs_an_operator(parts: Parts, stranger: httpx.AsyncClient) -> None:
    assert (await stranger.get("/api/consumption/live")).status_code == 401
    assert replace(parts).is_ending()
