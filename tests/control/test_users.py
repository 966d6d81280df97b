"""/api/users, /api/teams, /api/user: people as operators keep them and as they keep themselves."""

from collections.abc import AsyncIterator

import httpx2 as httpx
import msgspec
import pytest

from tallygate.control.parts import Parts
from tallygate.core import budget, credential_notices
from tallygate.store import accounts, notices
from tallygate.store.database import Database
from tests.control.clerk import StoreClerk
from tests.control.conftest import connect

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"


async def signed_in(parts: Parts, api: httpx.AsyncClient, id_: str, role: str) -> httpx.AsyncClient:
    body = {"id": id_, "password": PASSWORD, "role": role}
    assert (await api.post("/api/users", json=body)).status_code == 201
    client = connect(parts)
    answer = await client.post("/api/session", json={"id": id_, "password": PASSWORD})
    client.headers["x-csrf-token"] = answer.json()["csrf_token"]
    return client


@pytest.fixture
async def member(parts: Parts, api: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    client = await signed_in(parts, api, "ann", "member")
    yield client
    await client.aclose()


@pytest.fixture
async def operator(parts: Parts, api: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    client = await signed_in(parts, api, "olga", "operator")
    yield client
    await client.aclose()


async def test_an_account_is_made_shown_changed_and_never_shows_a_password(
    api: httpx.AsyncClient, db: Database
) -> None:
    body = {"id": "ann", "name": "Ann", "email": "Ann@x.example", "password": PASSWORD}
    made = await api.post("/api/users", json=body)
    assert made.status_code == 201
    shown = made.json()
    assert shown.pop("created_at").endswith("Z")
    assert shown == {
        "id": "ann",
        "name": "Ann",
        "email": "ann@x.example",
        "role": "member",
        "is_active": True,
        "language": None,
        "has_password": True,
        "has_oidc": False,
        "balance": 0,
        "balance_micros": 0,
    }
    change = {"name": "Anne", "email": None, "role": "viewer", "is_active": False}
    changed = (await api.patch("/api/users/ann", json=change)).json()
    assert {name: changed[name] for name in change} == change
    assert (await api.get("/api/users/ann")).json() == changed
    gone = (await api.patch("/api/users/ann", json={"password": None})).json()
    assert gone["has_password"] is False
    nameless = (await api.post("/api/users", json={})).json()
    assert nameless["id"].startswith("usr_")
    listed = await api.get("/api/users")
    assert [one["id"] for one in listed.json()["items"]] == ["ann", nameless["id"]]
    audited = (await api.get("/api/audit")).text
    for text in (made.text, listed.text, audited):
        assert "argon2" not in text and PASSWORD not in text


async def test_what_is_taken_is_a_conflict_and_what_is_bad_is_named(api: httpx.AsyncClient) -> None:
    await api.post("/api/users", json={"id": "ann", "email": "ann@x.example"})
    for body, status, named in (
        ({"id": "ann"}, 409, "id"),
        ({"email": "ANN@x.example"}, 409, "email"),
        ({"id": "a/b"}, 400, "id"),
        ({"id": ""}, 400, "id"),
        ({"email": "nobody"}, 400, "email"),
        ({"role": "owner"}, 400, "role"),
        ({"password": "short"}, 400, "password"),
        ({"username": "x"}, 400, "username"),
    ):
        answer = await api.post("/api/users", json=body)
        assert answer.status_code == status, body
        assert named in answer.json()["error"]["message"]
        assert answer.json()["error"]["param"] == named  # a form shows it beside the field
    for path in ("/api/users/nobody", "/api/users/usr_0"):
        missing = await api.get(path)
        assert missing.status_code == 404
        assert "param" not in missing.json()["error"]
        assert (await api.patch(path, json={"name": "x"})).status_code == 404
    assert (await api.delete("/api/users/ann")).status_code == 405


async def test_the_same_call_sent_again_is_answered_alike_password_and_all(
    api: httpx.AsyncClient, db: Database
) -> None:
    """A hash is another one each time, and a repeated call must be recognised all the same."""
    again = {"Idempotency-Key": "retry-1"}
    body = {"id": "ann", "password": PASSWORD}
    first = await api.post("/api/users", json=body, headers=again)
    second = await api.post("/api/users", json=body, headers=again)
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    other = await api.post("/api/users", json=body | {"password": "x" * 9}, headers=again)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    async with db.reading() as tx:
        login = await accounts.find_login(tx, id_="ann")
        assert login is not None and "argon2" not in repr(login)


async def test_a_list_of_people_is_searched_and_paged(api: httpx.AsyncClient) -> None:
    for number in range(5):
        await api.post("/api/users", json={"id": f"u{number}", "name": f"Name {number}"})
    await api.post("/api/users", json={"id": "boss", "role": "admin", "email": "b@x.example"})

    async def found(**query: str) -> list[str]:
        page = (await api.get("/api/users", params=query)).json()
        return [one["id"] for one in page["items"]]

    assert await found(q="name 3") == ["u3"]
    assert await found(q="X.EXAMPLE") == ["boss"]
    assert await found(role="admin") == ["boss"]
    assert await found(is_active="false") == []
    seen: list[str] = []
    cursor: str | None = "0"
    while cursor is not None:
        page = (await api.get("/api/users", params={"limit": 4, "cursor": cursor})).json()
        assert page["total"] == 6
        seen, cursor = seen + [one["id"] for one in page["items"]], page["next"]
    assert sorted(seen) == sorted({*seen}) == ["boss", "u0", "u1", "u2", "u3", "u4"]


async def test_an_operator_keeps_members_and_cannot_become_more(
    operator: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    """Every way up is closed: roles, and the password and address of whoever is above."""
    await api.post("/api/users", json={"id": "boss", "role": "admin"})
    assert (await operator.post("/api/users", json={"id": "bob"})).status_code == 201
    assert (await operator.patch("/api/users/bob", json={"name": "Bob"})).status_code == 200
    for method, path, body in (
        ("POST", "/api/users", {"role": "viewer"}),
        ("PATCH", "/api/users/bob", {"role": "admin"}),
        ("PATCH", "/api/users/olga", {"role": "admin"}),
        ("PATCH", "/api/users/boss", {"password": PASSWORD}),
        ("PATCH", "/api/users/boss", {"email": "olga@x.example"}),
        ("PATCH", "/api/users/boss", {"is_active": False}),
    ):
        answer = await operator.request(method, path, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), body
    audited = (await api.get("/api/audit", params={"actor": "user:olga"})).json()["items"]
    actions = [(one["action"], one["subject"]) for one in audited]
    assert actions == [
        *(("user.patch", "user:bob"), ("user.create", "user:bob"), ("session.open", "user:olga")),
    ]


async def test_teams_are_kept_with_their_members(api: httpx.AsyncClient) -> None:
    made = await api.post("/api/teams", json={"name": "Blue"})
    assert made.status_code == 201
    team = f"/api/teams/{made.json()['id']}"
    await api.post("/api/users", json={"id": "ann", "name": "Ann"})
    added = await api.post(f"{team}/members", json={"user_id": "ann"})
    assert (added.status_code, added.json()["members"]) == (201, 1)
    assert (await api.post(f"{team}/members", json={"user_id": "ann"})).status_code == 409
    assert (await api.post(f"{team}/members", json={"user_id": "bob"})).status_code == 404
    assert (await api.get(f"{team}/members")).json()["items"] == [
        {"user_id": "ann", "name": "Ann", "email": None}
    ]
    assert (await api.patch(team, json={"name": "Green"})).json()["name"] == "Green"
    assert [one["name"] for one in (await api.get("/api/teams")).json()["items"]] == ["Green"]
    assert (await api.delete(f"{team}/members/bob")).status_code == 404
    assert (await api.delete(f"{team}/members/ann")).json()["members"] == 0
    assert (await api.delete(team)).json() == {"deleted": True}
    for path in (team, f"{team}/members"):
        assert (await api.get(path)).status_code == 404
    assert (await api.post("/api/teams", json={})).status_code == 400


async def test_a_member_makes_rotates_and_deletes_keys_of_their_own(
    member: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    body = {"label": "laptop", "daily_limit": 5, "addresses": ["192.0.2.1"]}
    made = await member.post("/api/user/keys", json=body)
    assert made.status_code == 201
    shown = made.json()
    secret = shown.pop("secret")
    assert (shown["user_id"], shown["daily_limit"]) == ("ann", 5)
    assert shown["addresses"] == ["192.0.2.1/32"]
    assert (await member.get("/api/user/keys")).json()["items"] == [shown]
    rotated = (await member.post(f"/api/user/keys/{shown['id']}/rotate", json={})).json()
    assert rotated["id"] == shown["id"] and rotated["secret"] != secret
    operators = (await api.post("/api/keys", json={"label": "other"})).json()
    for method, path in (("POST", "{}/rotate"), ("DELETE", "{}")):
        for name in (operators["id"], operators["secret"]):
            path_of = f"/api/user/keys/{path.format(name)}"
            assert (await member.request(method, path_of)).status_code == 404
    assert (await member.delete(f"/api/user/keys/{shown['id']}")).json() == {"deleted": True}
    assert (await member.get("/api/user/keys")).json()["total"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"daily_limit": 201},
        {"daily_limit": None},
        {"daily_limit": -1},
        {"scopes": ["passthrough"]},
        {"user_id": "bob"},
        {"team_id": "t"},
        {"kind": "ntk"},
        {"expires_at": "2027-01-01T00:00:00"},
    ],
)
async def test_a_member_gives_no_key_more_than_members_have(
    member: httpx.AsyncClient, body: dict[str, object]
) -> None:
    answer = await member.post("/api/user/keys", json=body)
    assert answer.status_code == 400
    assert (await member.get("/api/user/keys")).json()["total"] == 0


async def test_people_see_themselves_and_their_teams(
    member: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    team = (await api.post("/api/teams", json={"name": "Blue"})).json()
    await api.post(f"/api/teams/{team['id']}/members", json={"user_id": "ann"})
    shown = (await member.get("/api/user")).json()
    assert shown["user"]["id"] == "ann"
    assert shown["teams"] == [{"id": team["id"], "name": "Blue"}]


async def test_the_audit_log_says_who_by_account_and_is_filtered(
    member: httpx.AsyncClient, api: httpx.AsyncClient, clerk: StoreClerk
) -> None:
    """An account may be called anything: only its prefix keeps it apart from the admin token."""
    await api.post("/api/users", json={"id": "admin", "name": "admin"})
    await api.patch("/api/users/ann", json={"name": "Ann"})
    clerk.now_ms += 86_400_000
    await member.post("/api/user/keys", json={}, headers={"x-forwarded-for": "203.0.113.5"})

    async def found(**query: str) -> list[tuple[str, str | None, str]]:
        page = (await api.get("/api/audit", params=query)).json()
        assert page["total"] == len(page["items"])
        return [(one["actor"], one["actor_name"], one["action"]) for one in page["items"]]

    assert await found(actor="user:ann") == [
        ("user:ann", "Ann", "key.create"),
        ("user:ann", "Ann", "session.open"),
    ]
    assert [one[2] for one in await found(actor="admin")] == [
        *("user.patch", "user.create", "user.create"),
    ]
    assert [one[2] for one in await found(action="user")] == [
        *("user.patch", "user.create", "user.create"),
    ]
    assert await found(action="us") == []
    assert len(await found(action="user.create", subject="user:admin")) == 1
    assert [one[2] for one in await found(**{"from": "2026-02-12"})] == ["key.create"]
    assert len(await found(to="2026-02-11")) == 4
    assert (await api.get("/api/audit", params={"from": "soon"})).status_code == 400
    last = (await api.get("/api/audit", params={"limit": 1})).json()
    assert last["items"][0]["address"] == "203.0.113.5" and last["total"] == 5


async def test_people_see_warnings_about_their_own_money_in_their_language(
    api: httpx.AsyncClient, member: httpx.AsyncClient, db: Database
) -> None:
    """Nobody else's, and nothing that is for operators."""
    told = [budget.low_balance(name, 5_000_000, 10_000_000) for name in ("ann", "bob")]
    other = msgspec.structs.replace(told[0], kind="keeper.failed")
    async with db.writing() as tx:
        await notices.insert(tx, [*told, other], 1_000)
    [item] = (await member.get("/api/user/notices")).json()["items"]
    assert item["title"] == "Your balance is low: 5 points"
    assert (item["data"]["balance"], item["data"]["balance_micros"]) == (5, 5_000_000)
    assert item["is_mailed"] is False
    changed = await member.patch("/api/user", json={"language": "zh-TW"})
    assert (changed.status_code, changed.json()["language"]) == (200, "zh-TW")
    assert (await member.get("/api/session")).json()["language"] == "zh-TW"
    page = (await member.get("/api/user/notices")).json()
    assert (page["total"], page["items"][0]["title"]) == (1, "餘額不足提醒：剩餘 5 點")
    simplified = await member.get("/api/user/notices", params={"language": "zh-CN"})
    assert simplified.json()["items"][0]["title"] == "余额不足提醒：剩余 5 点"
    assert (await api.get("/api/user/notices")).status_code == 400
    assert (await api.get("/api/users/ann")).json()["language"] == "zh-TW"


async def test_what_one_has_seen_is_known_in_every_browser_and_is_nobody_elses(
    api: httpx.AsyncClient, member: httpx.AsyncClient, parts: Parts, db: Database
) -> None:
    """Kept by the account: whoever changes browsers must not be told the same twice."""
    told = [budget.low_balance("ann", level, 10_000_000) for level in (5_000_000, 4_000_000)]
    async with db.writing() as tx:
        await notices.insert(tx, [*told, budget.low_balance("bob", 1, 2)], 1_000)
    path = "/api/user/notices/seen"
    newest, older = (await member.get("/api/user/notices")).json()["items"]
    assert (newest["is_seen"], older["is_seen"]) == (False, False)
    assert (await member.get(path)).json() == {"new": 2}
    assert (await member.put(path, json={"id": older["id"]})).json() == {"new": 1}
    async with connect(parts) as other:
        credentials = {"id": "ann", "password": PASSWORD}
        other.headers["x-csrf-token"] = (await other.post("/api/session", json=credentials)).json()[
            "csrf_token"
        ]
        assert (await other.get(path)).json() == {"new": 1}
        beyond = {"id": "9" * 18}  # what will be told later stays new all the same
        assert (await other.put(path, json=beyond)).json() == {"new": 0}
    async with db.writing() as tx:
        await notices.insert(tx, [budget.low_balance("ann", 1, 2)], 2_000)
    assert (await member.get(path)).json() == {"new": 1}
    seen = [one["is_seen"] for one in (await member.get("/api/user/notices")).json()["items"]]
    assert seen == [False, True, True]
    async with db.reading() as tx:
        assert await notices.count_unseen(tx, "bob", [budget.LOW_BALANCE]) == 1
    actions = [one["action"] for one in (await api.get("/api/audit")).json()["items"]]
    assert actions.count("own_notices.see") == 2, "what changes nothing is not told"


@pytest.mark.parametrize(
    "bad", [{}, {"id": 5}, {"id": "x"}, {"id": "9" * 19}, {"id": "1", "to": 1}]
)
async def test_a_seen_notice_that_is_no_id_is_refused(
    member: httpx.AsyncClient, api: httpx.AsyncClient, bad: dict[str, object]
) -> None:
    assert (await member.put("/api/user/notices/seen", json=bad)).status_code == 400
    assert (await api.put("/api/user/notices/seen", json={"id": "1"})).status_code == 400
    assert (await api.get("/api/user/notices/seen")).status_code == 400


async def test_operators_read_notices_in_their_own_language_or_in_the_one_asked_for(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, db: Database
) -> None:
    """The admin token has none of its own, and reads what was written."""
    async with db.writing() as tx:
        await notices.insert(tx, [credential_notices.idle(None, 1)], 1_000)

    async def title(client: httpx.AsyncClient, **params: str) -> str:
        (item,) = (await client.get("/api/notices", params=params)).json()["items"]
        return str(item["title"])

    assert await title(operator) == await title(api) == "The credential keeper has never run"
    assert await title(api, language="zh-CN") == "凭证刷新从未运行"
    assert (await api.patch("/api/users/olga", json={"language": "zh-TW"})).status_code == 200
    assert await title(operator) == "憑證刷新從未執行"
    assert await title(operator, language="en") == await title(api)


@pytest.mark.parametrize("language", ["tlh", "", 1, "EN"])
async def test_a_language_is_one_of_those_that_we_speak(
    member: httpx.AsyncClient, api: httpx.AsyncClient, language: object
) -> None:
    assert (await member.patch("/api/user", json={"language": language})).status_code == 400
    assert (await api.patch("/api/users/ann", json={"language": language})).status_code == 400
    assert (await member.patch("/api/user", json={"language": None})).json()["language"] is None
