"""Wallets over the API: exact numbers in and out, and refusals that say what is wrong."""

import json
from dataclasses import replace

import httpx2 as httpx
import pytest

from tallygate.control.authentication import GuessBudget
from tallygate.control.parts import Parts
from tallygate.core.commands import Settle
from tallygate.store.database import Database
from tests.control.clerk import StoreClerk
from tests.control.conftest import ADMIN_TOKEN, Clock, connect
from tests.control.test_users import signed_in
from tests.store.purse import POINT, differences, make_account, make_charge, make_team

WALLET = "/api/users/alice/wallet"


@pytest.fixture(autouse=True)
async def alice(db: Database) -> None:
    await make_account(db)


async def post(api: httpx.AsyncClient, path: str, **body: object) -> httpx.Response:
    return await api.post(path, json=body)


async def test_points_are_exact_numbers_with_their_micros_beside_them(
    api: httpx.AsyncClient,
) -> None:
    """Neither 0.1 + 0.2 nor a whole number ever shows a float's doubt."""
    for points in ("0.1", "0.2"):
        raw = f'{{"points": {points}, "reason": "paid"}}'
        assert (await api.post(f"{WALLET}/top-up", content=raw)).status_code == 200
    answer = await api.get(WALLET)
    assert '"balance":0.3,"balance_micros":300000' in answer.text
    await post(api, f"{WALLET}/top-up", points="9007199254.040991")
    shown = (await api.get(WALLET)).text
    assert '"balance":9007199254.340991,"balance_micros":9007199254340991' in shown
    await post(api, f"{WALLET}/adjust", points="-7199254.340991")
    body = (await api.get(WALLET)).json()
    assert (body["user_id"], body["balance"]) == ("alice", 9_000_000_000)
    assert (body["held"], body["held_micros"], body["warn_below"]) == (0, 0, None)


async def test_a_balance_has_everything_that_was_answered(
    api: httpx.AsyncClient, clerk: StoreClerk
) -> None:
    """A stale node is named, as in the usage report."""
    clerk.stale = ["berlin"]
    answer = await api.get(WALLET)
    assert Settle() in [arguments for arguments, _ in clerk.seen]
    assert answer.headers["x-tallygate-stale"] == "berlin"
    clerk.is_down = True
    assert (await api.get(WALLET)).headers["x-tallygate-stale"] == "this-node"


@pytest.mark.parametrize(
    "points",
    [
        '"ten"',
        '"1_000"',
        '"\uff11"',
        "0.0000001",
        '"NaN"',
        '"Infinity"',
        "1e400",
        '""',
        "true",
        "null",
        "[]",
        "1e300",
    ],
)
async def test_what_is_no_number_of_points_is_refused_by_name(
    api: httpx.AsyncClient, points: str
) -> None:
    answer = await api.post(f"{WALLET}/top-up", content=f'{{"points": {points}}}')
    assert answer.status_code == 400 and "points" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("top-up", {"points": 0}, 400),
        ("top-up", {"points": -1}, 400),
        ("top-up", {}, 400),
        ("top-up", {"points": 1, "force": True}, 400),
        ("adjust", {"points": 0}, 400),
        ("adjust", {"points": -1}, 402),
        ("grant", {"points": 1, "expires_at": "2020-01-01T00:00:00Z"}, 400),
        ("grant", {"points": 1, "expires_at": "2030-01-01T00:00:00"}, 400),
        ("grant", {"points": 1, "category": "gift"}, 400),
        ("holds", {"points": 1, "owner": "n8n"}, 402),
        ("holds", {"points": 1}, 400),
        ("holds", {"points": 1, "owner": "n8n", "expires_in_s": 0}, 400),
    ],
)
async def test_a_change_that_makes_no_sense_is_refused(
    api: httpx.AsyncClient, path: str, body: dict[str, object], status: int
) -> None:
    assert (await api.post(f"{WALLET}/{path}", json=body)).status_code == status
    assert (await api.get(f"{WALLET}/ledger")).json() == {"items": [], "total": 0, "next": None}


async def test_users_and_ids_that_are_not_there_are_not_found(api: httpx.AsyncClient) -> None:
    for path in ("", "/ledger", "/grants", "/holds"):
        assert (await api.get(f"/api/users/bob/wallet{path}")).status_code == 404
    for path, body in (
        ("/api/users/bob/wallet/top-up", {"points": 1}),
        ("/api/users/bob/wallet/grant", {"points": 1}),
        ("/api/grants/9/void", {}),
        ("/api/holds/9/capture", {}),
        ("/api/holds/x/release", {}),
        ("/api/charges/cons_9/refund", {}),
        ("/api/charges/nonsense/refund", {}),
        ("/api/redeem-batches/9/void", {}),
    ):
        assert (await api.post(path, json=body)).status_code == 404, path


async def test_an_id_of_dify_may_hold_any_character(api: httpx.AsyncClient, db: Database) -> None:
    """`user_id` is whatever Dify's operator chose; a slash is among it."""
    await make_account(db, "org/team 用户?#1")
    path = "/api/users/org%2Fteam%20%E7%94%A8%E6%88%B7%3F%231/wallet"
    assert (await post(api, f"{path}/top-up", points=1)).json()["user_id"] == "org/team 用户?#1"
    assert (await api.get(f"{path}/ledger")).json()["total"] == 1


async def test_the_ledger_is_read_page_by_page_newest_first(api: httpx.AsyncClient) -> None:
    for number in range(1, 6):
        await post(api, f"{WALLET}/top-up", points=number, reason=f"order {number}")
    first = (await api.get(f"{WALLET}/ledger?limit=2")).json()
    assert [one["points"] for one in first["items"]] == [5, 4] and first["total"] == 5
    second = (await api.get(f"{WALLET}/ledger?limit=9&cursor={first['next']}")).json()
    assert [one["reason"] for one in second["items"]] == ["order 3", "order 2", "order 1"]
    assert second["next"] is None and second["items"][-1]["balance_micros"] == POINT
    assert second["items"][0]["kind"] == "top_up" and second["items"][0]["actor"] == "admin"


async def test_the_ledger_is_narrowed_and_read_in_either_order(api: httpx.AsyncClient) -> None:
    """Pages of every order meet without a gap; a filter's total counts what it matches."""
    for number in range(1, 5):
        await post(api, f"{WALLET}/top-up", points=number)
    await post(api, f"{WALLET}/adjust", points=-1)

    async def points(query: str) -> list[int]:
        found, cursor = [], ""
        while True:
            page = (await api.get(f"{WALLET}/ledger?limit=2&{query}{cursor}")).json()
            found += [one["points"] for one in page["items"]]
            if page["next"] is None:
                assert page["total"] == len(found)
                return found
            cursor = f"&cursor={page['next']}"

    assert await points("sort=-at") == [-1, 4, 3, 2, 1]
    assert await points("sort=at") == [1, 2, 3, 4, -1]
    assert await points("kind=top_up&sort=at") == [1, 2, 3, 4]
    assert await points("kind=refund") == []
    assert await points("from=2026-02-11&to=2026-02-11") == [-1, 4, 3, 2, 1]
    assert await points("to=2026-02-10") == [] == await points("from=2026-02-12")
    for query in ("kind=gift", "sort=points", "from=yesterday"):
        answer = await api.get(f"{WALLET}/ledger?{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


async def test_a_repeated_call_is_answered_as_the_first_time(api: httpx.AsyncClient) -> None:
    once = {"idempotency-key": "order-7"}
    sent = {"points": 5}
    first, again = [await api.post(f"{WALLET}/top-up", json=sent, headers=once) for _ in range(2)]
    assert first.text == again.text and again.json()["balance"] == 5
    other = await api.post(f"{WALLET}/top-up", json={"points": 6}, headers=once)
    assert other.status_code == 409


async def test_a_grant_is_made_listed_and_voided(api: httpx.AsyncClient) -> None:
    made = await post(
        api,
        f"{WALLET}/grant",
        points="2.5",
        priority=-3,
        category="paid",
        expires_at="2030-01-01T00:00:00Z",
    )
    assert (made.json()["balance"], made.json()["granted"]) == (2.5, 2.5)
    (listed,) = (await api.get(f"{WALLET}/grants")).json()["items"]
    assert listed["id"] == made.json()["grant_id"]
    assert (listed["expires_at"], listed["left"]) == ("2030-01-01T00:00:00.000Z", 2.5)
    void = await post(api, f"/api/grants/{listed['id']}/void", reason="by mistake")
    assert (void.json()["left"], void.json()["voided_at"] is None) == (0, False)
    assert (await post(api, f"/api/grants/{listed['id']}/void")).status_code == 409


async def test_a_hold_is_placed_captured_and_refunded(api: httpx.AsyncClient, db: Database) -> None:
    """The whole life of money that an automation sets aside."""
    await post(api, f"{WALLET}/top-up", points=10)
    held = await post(api, f"{WALLET}/holds", points=6, owner="n8n", reason="render")
    assert held.status_code == 201 and held.json()["state"] == "open"
    hold = f"/api/holds/{held.json()['id']}"
    assert (await post(api, f"{hold}/capture", owner="zapier")).status_code == 403
    assert (await post(api, f"{hold}/capture", points=7)).status_code == 422
    captured = (await post(api, f"{hold}/capture", points="1.5", owner="n8n")).json()
    assert captured["state"] == "captured"
    assert (await post(api, f"{hold}/release")).status_code == 409
    refund = f"/api/charges/{captured['charge_id']}/refund"
    part = (await post(api, refund, points=1, reason="half of it")).json()
    assert (part["refunded"], part["state"], part["balance"]) == (1, "charged", 9.5)
    whole = (await post(api, refund)).json()
    assert (whole["refunded"], whole["refunded_in_all"], whole["state"]) == (0.5, 1.5, "refunded")
    assert (await post(api, refund)).status_code == 422
    (listed,) = (await api.get(f"{WALLET}/holds")).json()["items"]
    assert listed["charge_id"] == captured["charge_id"]
    assert await differences(db) == []


async def test_a_charge_is_named_as_it_was_answered_or_by_its_number(
    api: httpx.AsyncClient, db: Database
) -> None:
    await post(api, f"{WALLET}/top-up", points=1000)
    await make_charge(db, 5)
    assert (await post(api, "/api/charges/cons_5/refund", points=1)).status_code == 200
    assert (await post(api, "/api/charges/5/refund", points=1)).status_code == 200
    entry = (await api.get(f"{WALLET}/ledger")).json()["items"][0]
    assert (entry["kind"], entry["charge_id"]) == ("refund", "cons_5")


async def test_codes_are_shown_once_and_redeemed_once(api: httpx.AsyncClient, db: Database) -> None:
    made = await post(api, "/api/redeem-batches", count=2, points=3, label="spring")
    assert made.status_code == 201
    batch, codes = made.json(), made.json()["codes"]
    done = await post(api, "/api/user/redeem", user_id="alice", code=codes[0].lower())
    assert (done.json()["points"], done.json()["balance"]) == (3, 3)
    assert (await post(api, "/api/user/redeem", user_id="alice", code=codes[0])).status_code == 422
    (listed,) = (await api.get("/api/redeem-batches")).json()["items"]
    assert (listed["redeemed"], listed["count"], "codes" in listed) == (1, 2, False)
    shown = (await api.get(f"/api/redeem-batches/{batch['id']}/codes")).text
    assert json.loads(shown)["items"][0]["user_id"] == "alice"
    assert not any(code in shown for code in codes)
    assert (await post(api, f"/api/redeem-batches/{batch['id']}/void")).status_code == 200
    assert (await post(api, "/api/user/redeem", user_id="alice", code=codes[1])).status_code == 422
    assert (await post(api, "/api/user/redeem", code=codes[1])).status_code == 400
    assert await differences(db) == []


async def test_guessing_codes_is_slowed_down_for_account_and_address(
    parts: Parts, clock: Clock, db: Database
) -> None:
    """Neither many accounts from one address nor many addresses for one account go faster."""
    for number in range(9):
        await make_account(db, f"user-{number}")
    parts = replace(parts, code_guesses=GuessBudget(clock, 3, 1 / 60))
    admin = {"X-Admin-Token": ADMIN_TOKEN}

    async def guess(user: str, address: str, code: str = "tgr_guess") -> int:
        async with connect(parts, **admin, **{"x-forwarded-for": address}) as api:
            said = await post(api, "/api/user/redeem", user_id=user, code=code)
        if said.status_code == 429:
            assert 1 <= int(said.headers["retry-after"]) <= 60
        return said.status_code

    assert [await guess("alice", f"192.0.2.{number}") for number in range(4)] == [422] * 3 + [429]
    tries = [await guess(f"user-{number}", "192.0.2.99") for number in range(4)]
    assert tries == [422, 422, 422, 429]
    clock.now_s += 60
    assert await guess("alice", "192.0.2.50") == 422
    async with connect(parts, **admin) as api:
        made = await post(api, "/api/redeem-batches", count=5, points=1)
    for code in made.json()["codes"]:  # good codes are no guesses
        assert await guess("user-8", "192.0.2.77", code) == 200
    assert await guess("bob", "192.0.2.77") == 422  # whoever is not there has no good code either


async def test_budgets_are_made_listed_changed_and_deleted(
    api: httpx.AsyncClient, db: Database
) -> None:
    await make_team(db, "red", "alice")
    made = await post(api, "/api/budgets", points=100, span="month", user_id="alice")
    assert made.status_code == 201 and made.json()["spent"] == 0
    await post(api, "/api/budgets", points=5, span="day", team_id="red", zone="Asia/Taipei")
    budget = f"/api/budgets/{made.json()['id']}"
    listed = (await api.get("/api/budgets?team_id=red")).json()["items"]
    assert [(one["team_id"], one["zone"]) for one in listed] == [("red", "Asia/Taipei")]
    changed = await api.patch(budget, json={"points": "50.5"})
    assert changed.json()["points_micros"] == 50_500_000
    assert (await api.delete(budget)).status_code == 200
    for gone in (await api.delete(budget), await api.patch(budget, json={"points": 1})):
        assert gone.status_code == 404
    assert (await api.get("/api/budgets")).json()["total"] == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"points": 1, "span": "day"}, 400),
        ({"points": 1, "span": "day", "user_id": "alice", "team_id": "red"}, 400),
        ({"points": 1, "span": "hour", "user_id": "alice"}, 400),
        ({"points": 0, "span": "day", "user_id": "alice"}, 400),
        ({"points": 1, "span": "day", "user_id": "alice", "zone": "Mars/Base"}, 400),
        ({"points": 1, "span": "day", "user_id": "bob"}, 404),
        ({"points": 1, "span": "day", "team_id": "red"}, 404),
    ],
)
async def test_a_budget_that_makes_no_sense_is_refused(
    api: httpx.AsyncClient, body: dict[str, object], status: int
) -> None:
    assert (await api.post("/api/budgets", json=body)).status_code == status


async def test_warnings_are_told_and_listed(api: httpx.AsyncClient) -> None:
    """A warning level is set, a charge crosses it, and the operator finds the notice."""
    await post(api, f"{WALLET}/top-up", points=10)
    level = await api.patch(WALLET, json={"warn_below": 5, "floor": "-2.5"})
    assert (level.json()["warn_below"], level.json()["floor"]) == (5, -2.5)
    held = await post(api, f"{WALLET}/holds", points=6, owner="n8n")
    await post(api, f"/api/holds/{held.json()['id']}/capture")
    (notice,) = (await api.get("/api/notices?user_id=alice")).json()["items"]
    assert (notice["kind"], notice["state"], notice["data"]["balance"]) == (
        "wallet.low",
        "waiting",
        4,
    )
    assert (await api.get("/api/notices?user_id=bob")).json()["total"] == 0
    assert (await api.patch(WALLET, json={"warn_below": None})).json()["warn_below"] is None
    assert (await api.patch(WALLET, json={"floor": 1})).status_code == 400


async def test_nobody_but_the_operator_moves_money(stranger: httpx.AsyncClient) -> None:
    for method, path in (
        ("get", WALLET),
        ("post", f"{WALLET}/top-up"),
        ("post", "/api/charges/1/refund"),
        ("post", "/api/redeem-batches"),
        ("post", "/api/user/redeem"),
        ("get", "/api/notices"),
    ):
        assert (await stranger.request(method, path)).status_code == 401


async def test_people_redeem_for_themselves_alone(parts: Parts, api: httpx.AsyncClient) -> None:
    """A member who could name others could also use up the guesses of those."""
    made = await post(api, "/api/redeem-batches", count=4, points=3)
    codes = made.json()["codes"]
    for role in ("member", "viewer", "operator"):
        client = await signed_in(parts, api, role, role)
        own = await post(client, "/api/user/redeem", code=codes.pop())
        assert (own.json()["user_id"], own.json()["balance"]) == (role, 3)
        named = await post(client, "/api/user/redeem", user_id="alice", code=codes[0])
        assert named.status_code == 403
        await client.aclose()
    assert (await api.get(WALLET)).json()["balance"] == 0


async def test_members_look_at_no_wallet_and_viewers_change_none(
    parts: Parts, api: httpx.AsyncClient
) -> None:
    """Also their own is changed by operators alone."""
    calls = (
        ("post", f"{WALLET}/top-up", {"points": 1}),
        ("post", f"{WALLET}/adjust", {"points": 1}),
        ("post", f"{WALLET}/grant", {"points": 1}),
        ("patch", WALLET, {"floor": -1}),
        ("post", f"{WALLET}/holds", {"points": 1, "owner": "x"}),
        ("post", "/api/charges/1/refund", {}),
        ("post", "/api/holds/1/release", {}),
        ("post", "/api/grants/1/void", {}),
        ("post", "/api/redeem-batches", {"count": 1, "points": 1}),
        ("post", "/api/budgets", {"points": 1, "span": "day", "user_id": "alice"}),
    )
    for role, reads in (("member", 403), ("viewer", 200)):
        client = await signed_in(parts, api, role, role)
        for path in (WALLET, f"{WALLET}/ledger", "/api/budgets", "/api/notices"):
            assert (await client.get(path)).status_code == reads, path
        for method, path, body in calls:
            assert (await client.request(method, path, json=body)).status_code == 403, path
        await client.aclose()
