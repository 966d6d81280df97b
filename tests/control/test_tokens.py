"""/api/tokens and /api/routes, with the clerk's own commands behind them."""

import secrets
from typing import Any

import httpx2 as httpx
import pytest

from tallygate.clerk.commands import dispatch
from tallygate.clerk.commands.context import Context
from tallygate.core.account_commands import CreateTeam
from tallygate.core.commands import Arguments
from tallygate.core.keys import hash_key
from tallygate.core.paths import is_own
from tallygate.core.ports import Actor
from tallygate.store import keys
from tallygate.store.database import Database, Tx
from tests.control.clerk import OPTIONS, StoreClerk
from tests.control.conftest import connect

pytestmark = pytest.mark.anyio

ROUTE = {"path": "/api/test", "backend_url": "http://10.0.0.7:9000"}
ACTOR = Actor("test", "local", "req-1")


class OwnClerk(StoreClerk):
    """Runs every command as the clerk itself does."""

    async def _run(self, tx: Tx, arguments: Arguments) -> Any:
        context = Context(tx, self.now_ms, ACTOR, OPTIONS, secrets.token_bytes)
        return await dispatch.HANDLERS[type(arguments)](context, arguments)


@pytest.fixture
def clerk(db: Database) -> StoreClerk:
    return OwnClerk(db)


async def make(api: httpx.AsyncClient, name: str, **changes: Any) -> Any:
    made = await api.post("/api/tokens", json={"name": name, **changes})
    assert made.status_code == 201, made.text
    return made.json()


async def used(db: Database, token: Any, at_ms: int) -> None:
    async with db.writing() as tx:
        await keys.touch_last_used(tx, {int(token["id"]): at_ms})


async def names(api: httpx.AsyncClient, query: str) -> list[str]:
    answer = await api.get(f"/api/tokens?{query}")
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["items"]]


async def test_a_token_needs_only_a_name_and_is_shown_once(api: httpx.AsyncClient) -> None:
    """As the token manager has it; nobody who reads a list later can use what is in it."""
    made = await make(api, "n8n")
    token = made.pop("token")
    assert token.startswith("ntk_")
    assert made["token_hash"] == hash_key(token.encode()).hex()
    assert (made["name"], made["team_id"], made["scopes"]) == ("n8n", None, [])
    assert (made["expires_at"], made["last_used"], made["is_active"]) == (None, None, True)
    listed = (await api.get("/api/tokens")).json()
    assert listed == {"items": [made], "total": 1, "next": None}
    assert (await api.get(f"/api/tokens/{made['id']}")).json() == made
    assert (await api.get(f"/api/tokens/{token}")).json() == made


async def test_a_token_may_call_no_model_unless_it_says_so(api: httpx.AsyncClient) -> None:
    """It is handed to automations for private services; models cost the operator money."""
    assert (await make(api, "plain"))["models"] == []
    assert (await make(api, "some", models=["deepseek-chat"]))["models"] == ["deepseek-chat"]
    assert (await make(api, "all", models=None))["models"] is None


async def test_a_token_with_everything(api: httpx.AsyncClient, clerk: StoreClerk) -> None:
    await clerk.command(CreateTeam(id="7", name="blue"), ACTOR)
    body = {
        "team_id": 7,
        "scopes": ["api:read", "*"],
        "expires_at": "2027-01-01T08:00:00+08:00",
        "limits": [{"dimension": "requests", "span": "minute", "amount": 5, "zone": "UTC"}],
        "addresses": ["192.0.2.0/24"],
    }
    made = await make(api, "all", **body)
    assert (made["team_id"], made["expires_at"]) == ("7", "2027-01-01T00:00:00.000Z")
    assert (made["limits"], made["addresses"]) == (body["limits"], body["addresses"])
    changed = await api.patch(
        f"/api/tokens/{made['id']}",
        json={"name": "new", "team_id": None, "scopes": None, "is_active": False},
    )
    shown = changed.json()
    assert (shown["name"], shown["team_id"], shown["scopes"]) == ("new", None, [])
    assert (shown["is_active"], shown["limits"]) == (False, body["limits"])


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({}, 400, "name"),
        ({"name": ""}, 400, "name"),
        ({"name": 7}, 400, "name"),
        ({"name": "x", "team_id": "nobody"}, 422, "nobody"),
        ({"name": "x", "expires_at": "2027-01-01T00:00:00"}, 400, "expires_at"),
        ({"name": "x", "scopes": "read"}, 400, "scopes"),
        ({"name": "x", "scopes": [""]}, 400, "scopes"),
        ({"name": "x", "label": "x"}, 400, "label"),
    ],
)
async def test_a_bad_token_is_refused_naming_the_field(
    api: httpx.AsyncClient, body: Any, status: int, named: str
) -> None:
    answer = await api.post("/api/tokens", json=body)
    assert answer.status_code == status
    assert named in answer.json()["error"]["message"]
    assert (await api.get("/api/tokens")).json()["total"] == 0


async def test_tokens_are_sorted_and_cut_as_asked(api: httpx.AsyncClient, db: Database) -> None:
    """The seed's questions: recently used first, and never used before anything else upwards."""
    tokens = {name: await make(api, name) for name in ("c", "a", "b", "never")}
    for at_ms, name in enumerate(("b", "c", "a"), 1):
        await used(db, tokens[name], at_ms * 1000)
    assert await names(api, "sort=-last_used") == ["a", "c", "b", "never"]
    assert await names(api, "sort=last_used") == ["never", "b", "c", "a"]
    assert await names(api, "sort=name") == ["a", "b", "c", "never"]
    assert await names(api, "sort=-name") == ["never", "c", "b", "a"]
    assert await names(api, "") == ["c", "a", "b", "never"]
    first = (await api.get("/api/tokens?sort=-last_used&limit=3")).json()
    assert (first["total"], len(first["items"])) == (4, 3)
    rest = (await api.get(f"/api/tokens?sort=-last_used&limit=3&cursor={first['next']}")).json()
    assert [one["name"] for one in rest["items"]] == ["never"]
    assert rest["next"] is None
    assert (await api.get("/api/tokens?sort=secret")).status_code == 400
    assert (await api.get("/api/tokens?limit=0")).status_code == 400


async def test_last_used_only_moves_forward(api: httpx.AsyncClient, db: Database) -> None:
    token = await make(api, "a")
    for at_ms in (5000, 2000):
        await used(db, token, at_ms)
    shown = (await api.get(f"/api/tokens/{token['id']}")).json()
    assert shown["last_used"] == "1970-01-01T00:00:05.000Z"


async def test_tokens_are_found_by_team_and_by_name(
    api: httpx.AsyncClient, clerk: StoreClerk
) -> None:
    await clerk.command(CreateTeam(id="blue", name="Blue"), ACTOR)
    await make(api, "Nightly import", team_id="blue")
    await make(api, "100%")
    assert await names(api, "team=blue") == ["Nightly import"]
    assert await names(api, "name=IMPORT") == ["Nightly import"]
    assert await names(api, "name=%25") == ["100%"]


async def test_a_rotated_token_keeps_its_id_and_its_scopes(api: httpx.AsyncClient) -> None:
    old = await make(api, "a", scopes=["read"])
    new = (await api.post(f"/api/tokens/{old['id']}/rotate", json={"grace_s": 60})).json()
    assert new["token"].startswith("ntk_")
    assert (new["id"], new["scopes"]) == (old["id"], ["read"])
    assert new["token_hash"] != old["token_hash"]


async def test_keys_and_tokens_are_kept_apart(api: httpx.AsyncClient) -> None:
    """Whoever may manage the ones must not reach the others by their number."""
    key = (await api.post("/api/keys", json={"label": "key"})).json()
    token = await make(api, "token")
    assert (await api.get("/api/keys")).json()["total"] == 1
    assert (await api.get("/api/tokens")).json()["total"] == 1
    for call in (api.get, api.delete):
        assert (await call(f"/api/tokens/{key['id']}")).status_code == 404
    assert (await api.patch(f"/api/tokens/{key['id']}", json={})).status_code == 404
    assert (await api.delete(f"/api/tokens/{token['id']}")).json() == {"deleted": True}
    assert (await api.delete(f"/api/tokens/{token['id']}")).status_code == 404
    assert (await api.get("/api/tokens")).json()["total"] == 0


async def test_a_repeated_creation_makes_one_token(api: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "once"}
    answers = [
        (await api.post("/api/tokens", json={"name": "a"}, headers=headers)).json()
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert (await api.get("/api/tokens")).json()["total"] == 1


# --- routes ---


async def test_a_route_is_made_shown_changed_and_deleted(api: httpx.AsyncClient) -> None:
    made = await api.post("/api/routes", json=ROUTE)
    assert made.status_code == 201
    shown = made.json()
    assert (shown["path"], shown["backend_url"]) == ("/api/test", "http://10.0.0.7:9000")
    assert (shown["scope"], shown["methods"], shown["host"]) == (None, None, None)
    assert (shown["strip_prefix"], shown["is_active"]) == (False, True)
    assert (await api.get("/api/routes")).json() == {"items": [shown], "total": 1, "next": None}
    place = f"/api/routes/{shown['id']}"
    assert (await api.get(place)).json() == shown
    change = {"scope": "read", "methods": ["GET"], "strip_prefix": True, "total_ms": 1000}
    change |= {"credentials": "cards", "credential_header": "X-Key: {secret}"}
    changed = (await api.patch(place, json=change)).json()
    assert {name: changed[name] for name in change} == change
    assert changed["path"] == "/api/test"
    nothing = dict.fromkeys(("scope", "methods", "credentials", "credential_header"))
    cleared = (await api.patch(place, json=nothing)).json()
    assert {name: cleared[name] for name in nothing} == nothing
    assert (await api.delete(place)).json() == {"deleted": True}
    for answer in (await api.get(place), await api.delete(place), await api.patch(place, json={})):
        assert answer.status_code == 404
    assert (await api.get("/api/routes/x")).status_code == 404


async def test_what_a_route_shows_can_be_sent_back(api: httpx.AsyncClient) -> None:
    """A script reads, changes one thing and writes all: no credential may get lost by that."""
    headers = {"add": {"Authorization": "Bearer s3cret"}, "remove": ["X-Debug"]}
    limits = [{"span": "minute", "amount": 60, "per": "token"}]
    made = await api.post(
        "/api/routes", json=ROUTE | {"request_headers": headers, "limits": limits}
    )
    assert "s3cret" not in made.text
    shown = made.json()
    assert shown["request_headers"] == {
        "add": {"authorization": None},
        "remove": ["x-debug"],
        "rename": {},
    }
    id_, _ = shown.pop("id"), shown.pop("created_at")
    for limit in shown["limits"]:
        limit.pop("dimension")
    again = await api.patch(f"/api/routes/{id_}", json=shown)
    assert again.status_code == 200, again.text
    assert again.json()["request_headers"] == shown["request_headers"]
    assert "s3cret" not in (await api.get("/api/audit")).text


@pytest.mark.parametrize(
    ("change", "status", "named"),
    [
        ({"path": "/admin/x"}, 400, "path"),
        ({"path": "/api/usage-log"}, 400, "host"),
        ({"path": "/v1/x"}, 400, "path"),
        ({"path": "x"}, 400, "path"),
        ({"backend_url": "http://user:pass@b"}, 400, "backend_url"),
        ({"backend_url": "http://169.254.169.254"}, 422, "backend_url"),
        ({"methods": ["FETCH"]}, 400, "methods"),
        ({"limits": [{"amount": 1, "per": "team"}]}, 400, "limits"),
        ({"limits": [{"amount": 1, "zone": "Mars"}]}, 400, "limits"),
        ({"request_headers": {"add": {"Host": "x"}}}, 400, "host"),
        ({"rewrite": "/x", "strip_prefix": True}, 400, "rewrite"),
        ({"nonsense": 1}, 400, "nonsense"),
        ({"credential_query": "key"}, 400, "pool"),
        ({"credentials": "c", "credential_header": "x: y"}, 400, "{secret}"),
    ],
)
async def test_a_bad_route_is_refused_naming_the_field(
    api: httpx.AsyncClient, change: Any, status: int, named: str
) -> None:
    answer = await api.post("/api/routes", json=ROUTE | change)
    assert answer.status_code == status, answer.text
    message = answer.json()["error"]["message"]
    assert named in message
    assert "pass" not in message


async def test_overlapping_routes_are_fine_and_equal_ones_are_not(api: httpx.AsyncClient) -> None:
    assert (await api.post("/api/routes", json=ROUTE)).status_code == 201
    assert (await api.post("/api/routes", json=ROUTE)).status_code == 409
    for change in ({"path": "/api/test/deep"}, {"path": "/api"}, {"host": "a.test"}):
        assert (await api.post("/api/routes", json=ROUTE | change)).status_code == 201
    assert (await api.post("/api/routes", json=ROUTE | {"host": "A.TEST"})).status_code == 409


async def test_every_path_of_this_api_is_one_that_no_route_can_take(
    api: httpx.AsyncClient,
) -> None:
    """A new resource that is missing in the list could be shadowed by somebody's backend."""
    document = (await api.get("/openapi.json")).json()
    assert [path for path in document["paths"] if not is_own(path)] == []


async def test_without_the_admin_token_there_is_nothing(api: httpx.AsyncClient, parts: Any) -> None:
    token = (await make(api, "a"))["token"]
    async with connect(parts) as nobody, connect(parts, **{"X-API-Key": token}) as holder:
        for path in ("/api/tokens", "/api/routes"):
            assert (await nobody.get(path)).status_code == 401
            assert (await holder.get(path)).status_code == 403
