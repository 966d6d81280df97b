"""/api/user/points: what people ask about their points, in the words of the seed, exactly."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa

from tallygate.control.cookies import COOKIE, hash_of, token_for
from tallygate.control.parts import Parts
from tallygate.core.account_commands import CreateOwnKey, CreateUser, OpenSession, PatchUser
from tallygate.core.ports import Actor
from tallygate.store import prices
from tallygate.store.database import Database
from tallygate.store.money_schema import charge, past_usage, price, price_alias, rate, wallet
from tests.control.clerk import StoreClerk
from tests.control.conftest import connect
from tests.store.test_points import NOW_MS, charge_row, past_row

pytestmark = pytest.mark.anyio

ACTOR = Actor("test", "", "")
POINTS = "/api/user/points"


async def add(db: Database, table: sa.Table, *rows: dict[str, Any]) -> None:
    """As a command would: whoever changes prices takes the book, which has another version then."""
    async with db.writing() as tx:
        await prices.take_book(tx)
        for row in rows:
            await tx.execute(sa.insert(table), row)


def price_row(model: str, picos_in: int, picos_out: int, **changes: Any) -> dict[str, Any]:
    row = {
        "model": model,
        "currency": "points",
        "per_tokens": 1000,
        "input_picos": picos_in,
        "output_picos": picos_out,
        "request_picos": 0,
        "is_active": True,
        "effective_ms": 0,
        "created_ms": 0,
        "actor": "",
        "source": "operator",
        "reason": "",
    }
    return row | changes


GPT_4 = price_row("GPT-4", 30_000_000_000, 60_000_000_000)  # 30 and 60 points per 1,000


@pytest.fixture
async def key(parts: Parts, clerk: StoreClerk, db: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A program of Ann's, with a key of hers; she has 100 points."""
    await clerk.command(CreateUser(id="ann", name="Ann"), ACTOR)
    await clerk.command(CreateUser(id="bob"), ACTOR)
    made = await clerk.command(CreateOwnKey(account_id="ann"), ACTOR)
    async with db.writing() as tx:
        funds = {"balance_micros": 100_000_000}
        await tx.execute(sa.update(wallet).where(wallet.c.account_id == "ann").values(funds))
    await add(db, price, GPT_4)
    async with connect(parts, Authorization=f"Bearer {made['secret']}") as client:
        yield client


async def test_a_use_is_estimated_by_its_price_in_either_spelling(key: httpx.AsyncClient) -> None:
    """1,500 in and 800 out at 30 and 60 points per 1,000."""
    expected = {
        "model": "gpt-4",
        "input_tokens": 1500,
        "output_tokens": 800,
        "points": 93,
        "points_micros": 93_000_000,
        "p50": None,
        "p95": None,
    }
    for query in (
        {"input_tokens": 1500, "output_tokens": 800},
        {"inputTokens": 1500, "outputTokens": 800},
        {"input_tokens": 1500, "outputTokens": 800, "user_id": "ann"},
    ):
        answer = await key.get(f"{POINTS}/estimate", params={"model": "gpt-4", **query})
        assert answer.json() == expected


async def test_points_are_exact_numbers_without_a_needless_fraction(
    key: httpx.AsyncClient, db: Database
) -> None:
    await add(db, price, price_row("tiny", 1, 333_333_000_000))
    for tokens, text in (((1, 0), "0.000001"), ((0, 3), "0.999999"), ((0, 1_000_000), "333333")):
        query = {"model": "tiny", "input_tokens": tokens[0], "output_tokens": tokens[1]}
        answer = await key.get(f"{POINTS}/estimate", params=query)
        assert f'"points":{text},' in answer.text


async def test_without_tokens_the_own_history_says_what_is_usual(
    key: httpx.AsyncClient, db: Database
) -> None:
    """The median of tokens at the price of now; p50 and p95 are what it really did cost."""
    await add(db, charge, *(charge_row(n, model="gpt-4") for n in range(1, 100)))
    await add(db, charge, charge_row(201, model="other", micros=10**9, at_ms=NOW_MS + 999))
    await add(db, charge, charge_row(202, account_id="bob", micros=10**9, at_ms=NOW_MS + 999))
    shown = (await key.get(f"{POINTS}/estimate", params={"model": "GPT-4"})).json()
    assert (shown["input_tokens"], shown["output_tokens"]) == (500, 50)
    assert (shown["points"], shown["p50"], shown["p95"]) == (18, 0.05, 0.095)
    query = {"model": "GPT-4", "input_tokens": 0, "output_tokens": 1}
    named = (await key.get(f"{POINTS}/estimate", params=query)).json()
    assert (named["points"], named["p95"]) == (0.06, 0.095)


async def test_unknown_models_share_a_price_but_no_history(
    key: httpx.AsyncClient, db: Database
) -> None:
    await add(db, price, price_row("*", 1_000_000, 1_000_000))
    await add(db, charge, charge_row(1, model="new-one"), charge_row(2, model="new-two"))
    shown = (await key.get(f"{POINTS}/estimate", params={"model": "New-One"})).json()
    assert (shown["p50"], shown["p95"]) == (0.001, 0.001)


async def test_a_change_of_price_rate_or_alias_applies_at_once(
    key: httpx.AsyncClient, db: Database
) -> None:
    async def points_of(model: str) -> Any:
        query = {"model": model, "input_tokens": 1000}
        answer = await key.get(f"{POINTS}/estimate", params=query)
        return answer.json().get("points", answer.status_code)

    assert [await points_of(model) for model in ("gpt-4", "four", "usd")] == [30, 404, 404]
    await add(db, price, price_row("GPT-4", 31_000_000_000, 0))
    await add(db, price_alias, {"name": "Four", "model": "GPT-4"})
    await add(db, price, price_row("usd", 1_000_000, 0, currency="usd"))
    assert [await points_of(model) for model in ("gpt-4", "four", "usd")] == [31, 31, 422]
    rate_row = {"micros_per_usd": 10_000_000_000, "created_ms": 0, "actor": "", "reason": ""}
    await add(db, rate, rate_row)
    assert await points_of("usd") == 10
    await add(db, rate, rate_row | {"micros_per_usd": 20_000_000_000})
    await add(db, price, price_row("GPT-4", 1, 1, is_active=False))
    assert [await points_of(model) for model in ("usd", "gpt-4")] == [20, 404]


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ({}, 400, "model"),
        ({"model": "unknown", "input_tokens": 1}, 404, "unknown"),
        ({"model": "gpt-4"}, 422, "input_tokens"),
        ({"model": "gpt-4", "input_tokens": -1}, 400, "input_tokens"),
        ({"model": "gpt-4", "input_tokens": "1.5"}, 400, "input_tokens"),
        ({"model": "gpt-4", "input_tokens": "１"}, 400, "input_tokens"),
        ({"model": "gpt-4", "output_tokens": 10_000_001}, 400, "output_tokens"),
        ({"model": "gpt-4", "input_tokens": 1, "inputTokens": 2}, 400, "twice"),
        ({"model": "gpt-4", "input_tokens": 1, "user_id": "bob"}, 403, "somebody else"),
    ],
)
async def test_an_estimate_of_nothing_sensible_is_refused(
    key: httpx.AsyncClient, query: dict[str, Any], status: int, named: str
) -> None:
    answer = await key.get(f"{POINTS}/estimate", params=query)
    assert answer.status_code == status
    assert named in answer.json()["error"]["message"]


async def test_a_balance_is_checked_before_a_use(key: httpx.AsyncClient, db: Database) -> None:
    """To the last micro-point: exactly enough is enough."""
    for body, expected in (
        ({"inputTokens": 1000, "outputTokens": 500}, (True, 100, 60, 0)),
        ({"input_tokens": 1000, "output_tokens": 500}, (True, 100, 60, 0)),
        ({"inputTokens": 2000, "outputTokens": 667}, (False, 100, 100.02, 0.02)),
        ({"inputTokens": 0, "outputTokens": 0}, (True, 100, 0, 0)),
    ):
        answer = await key.post(f"{POINTS}/check-balance", json={"model": "GPT-4", **body})
        shown = answer.json()
        assert list(shown) == ["canProceed", "balance", "estimated", "shortfall"]
        assert tuple(shown.values()) == expected
    async with db.writing() as tx:
        await tx.execute(sa.update(wallet).values(held_micros=50_000_000, leased_micros=50_000_000))
    body = {"model": "GPT-4", "inputTokens": 1000, "outputTokens": 500}
    shown = (await key.post(f"{POINTS}/check-balance", json=body)).json()
    assert shown == {"canProceed": False, "balance": 50, "estimated": 60, "shortfall": 10}


async def test_a_debt_stops_what_costs_and_not_what_is_free(
    key: httpx.AsyncClient, db: Database
) -> None:
    async with db.writing() as tx:
        await tx.execute(sa.update(wallet).values(balance_micros=-5_000_000))
    for tokens, expected in ((0, (True, -5, 0, 0)), (100, (False, -5, 3, 8))):
        body = {"model": "GPT-4", "inputTokens": tokens, "outputTokens": 0}
        shown = (await key.post(f"{POINTS}/check-balance", json=body)).json()
        assert tuple(shown.values()) == expected


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"model": ""}, 400),
        ({"model": "GPT-4"}, 400),
        ({"model": "GPT-4", "inputTokens": -1}, 400),
        ({"model": "GPT-4", "inputTokens": 1.5}, 400),
        ({"model": "GPT-4", "inputTokens": "many"}, 400),
        ({"model": "GPT-4", "inputTokens": 10_000_001}, 400),
        ({"model": "GPT-4", "inputTokens": 1, "input_tokens": 1}, 400),
        ({"model": "GPT-4", "tokens": 1}, 400),
        ({"model": "GPT-4", "userId": "bob"}, 403),
        ({"model": "unknown"}, 404),
    ],
)
async def test_a_question_that_is_not_clear_is_refused(
    key: httpx.AsyncClient, body: dict[str, Any], status: int
) -> None:
    answer = await key.post(f"{POINTS}/check-balance", json=body)
    assert answer.status_code == status


async def test_what_is_no_json_is_refused(key: httpx.AsyncClient) -> None:
    for content in (b"[1]", b"{", b"\xff", b'"x"'):
        answer = await key.post(f"{POINTS}/check-balance", content=content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


async def test_the_history_has_the_seeds_fields_newest_first(
    key: httpx.AsyncClient, db: Database
) -> None:
    await add(db, charge, charge_row(2, refunded_micros=500), charge_row(3))
    await add(db, past_usage, past_row(1))
    shown = (await key.get(f"{POINTS}/history")).json()
    assert (shown["total"], shown["page"], shown["page_size"]) == (3, 1, 20)
    assert [one["consumptionId"] for one in shown["items"]] == ["cons_3", "cons_2", "past_1"]
    assert shown["items"][1] == {
        "consumptionId": "cons_2",
        "model": "gpt-4",
        "input_tokens": 20,
        "output_tokens": 2,
        "total_tokens": 22,
        "input_cost": 0.0012,
        "output_cost": 0.0008,
        "points": 0.002,
        "refunded": 0.0005,
        "balance_after": 8.999998,
        "conversation_id": "c2",
        "message_id": "m2",
        "source": "webhook",
        "timestamp": "2026-02-11T08:53:20.002Z",
    }
    assert shown["items"][2]["balance_after"] is None
    paged = (await key.get(f"{POINTS}/history", params={"page": 2, "pageSize": 2})).json()
    assert [one["message_id"] for one in paged["items"]] == ["p1"]
    beyond = (await key.get(f"{POINTS}/history", params={"page": 9})).json()
    assert (beyond["items"], beyond["total"]) == ([], 3)


async def test_the_history_is_narrowed_by_days_times_and_model(
    key: httpx.AsyncClient, db: Database
) -> None:
    day_ms = 86_400_000
    rows = [charge_row(n, at_ms=NOW_MS + n * day_ms) for n in range(1, 5)]
    await add(db, charge, *rows, charge_row(9, model="other"))

    async def found(**query: str) -> list[str]:
        answer = await key.get(f"{POINTS}/history", params=query)
        return [one["message_id"] for one in answer.json()["items"]]

    assert await found(**{"from": "2026-02-13", "to": "2026-02-14"}) == ["m3", "m2"]
    assert await found(**{"from": "2026-02-14T08:53:20Z"}) == ["m4", "m3"]
    assert await found(to="2026-02-12T16:53:20+08:00") == ["m9"]
    assert await found(model="OTHER") == ["m9"]
    for bad in (
        {"from": "yesterday"},
        {"from": "2026-02-30"},
        {"to": "2026-02-14T08:53:20"},
        {"page": "0"},
        {"page_size": "201"},
        {"page": "x"},
    ):
        assert (await key.get(f"{POINTS}/history", params=bad)).status_code == 400


async def test_the_balance_is_told_after_everything_is_settled(
    key: httpx.AsyncClient, db: Database, clerk: StoreClerk
) -> None:
    async with db.writing() as tx:
        await tx.execute(sa.update(wallet).values(held_micros=1_500_000, leased_micros=7))
    answer = await key.get(f"{POINTS}/balance")
    assert answer.json() == {
        "user_id": "ann",
        "balance": 100,
        "balance_micros": 100_000_000,
        "held": 1.5,
        "held_micros": 1_500_000,
        "available": 98.5,
        "available_micros": 98_500_000,
    }
    assert clerk.seen[-1][0].NAME == "settle" and "x-tallygate-stale" not in answer.headers
    clerk.stale = ["node two"]
    answer = await key.get(f"{POINTS}/balance")
    assert answer.headers["x-tallygate-stale"] == "node two"


async def test_the_admin_token_names_whose_points_it_means(
    key: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    """It belongs to nobody: a guess at whose would be a wrong bill."""
    body = {"model": "GPT-4", "inputTokens": 1, "outputTokens": 1}
    estimate = {"model": "GPT-4", "input_tokens": "1"}
    for query, status in (({}, 400), ({"user_id": "ann"}, 200), ({"userId": "nobody"}, 404)):
        for path, more in (("balance", {}), ("history", {}), ("estimate", estimate)):
            answer = await api.get(f"{POINTS}/{path}", params=more | query)
            assert answer.status_code == status, (path, query)
        answer = await api.post(f"{POINTS}/check-balance", params=query, json=body)
        assert answer.status_code == status
        answer = await api.post(f"{POINTS}/check-balance", json=body | query)
        assert answer.status_code == status


async def test_a_session_may_ask_and_those_who_look_at_everybody_may_name_one(
    key: httpx.AsyncClient, parts: Parts, clerk: StoreClerk
) -> None:
    wanted = OpenSession(account_id="bob", hash=hash_of("c"), expires_ms=1 << 50)
    await clerk.command(wanted, ACTOR)
    async with connect(parts, cookie=f"{COOKIE}=c", **{"x-csrf-token": token_for("c")}) as bob:
        assert (await bob.get(f"{POINTS}/balance")).json()["user_id"] == "bob"
        of_ann = {"user_id": "ann"}
        assert (await bob.get(f"{POINTS}/balance", params=of_ann)).status_code == 403
        await clerk.command(PatchUser(id="bob", role="viewer"), ACTOR)
        assert (await bob.get(f"{POINTS}/balance", params=of_ann)).json()["user_id"] == "ann"
        body = {"model": "GPT-4", "inputTokens": 1}
        assert (await bob.post(f"{POINTS}/check-balance", json=body)).status_code == 200
        forged = await bob.post(f"{POINTS}/check-balance", json=body, headers={"x-csrf-token": "x"})
        assert forged.status_code == 403


async def test_a_key_that_opens_nothing_else_opens_no_points(
    key: httpx.AsyncClient, parts: Parts, clerk: StoreClerk, api: httpx.AsyncClient
) -> None:
    """Deactivated, expired, from another address, of nobody: as at the gateway."""
    end_ms = parts.database.system_clock_ms()
    cases = [
        (CreateOwnKey(account_id="ann", expires_ms=end_ms), "key_expired"),
        (CreateOwnKey(account_id="ann", addresses=["192.0.2.0/24"]), "address_not_allowed"),
    ]
    for wanted, code in cases:
        secret = (await clerk.command(wanted, ACTOR))["secret"]
        answer = await key.get(f"{POINTS}/balance", headers={"authorization": f"Bearer {secret}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)
    allowed = {"authorization": f"Bearer {secret}", "x-forwarded-for": "192.0.2.7"}
    assert (await key.get(f"{POINTS}/balance", headers=allowed)).status_code == 200
    nobodys = (await api.post("/admin/keys", json={})).json()["key"]
    answer = await key.get(f"{POINTS}/balance", headers={"authorization": f"Bearer {nobodys}"})
    assert answer.status_code == 403
    await clerk.command(PatchUser(id="ann", is_active=False), ACTOR)
    answer = await key.get(f"{POINTS}/balance")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "key_inactive")


async def test_a_key_of_somebody_without_an_account_is_told_so(
    parts: Parts, api: httpx.AsyncClient
) -> None:
    secret = (await api.post("/admin/keys", json={"user_id": "ghost"})).json()["key"]
    async with connect(parts, **{"X-API-Key": secret}) as ghost:
        for path in (f"{POINTS}/balance", f"{POINTS}/history", "/api/user"):
            assert (await ghost.get(path)).status_code == 404
