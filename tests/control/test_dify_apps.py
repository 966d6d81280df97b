"""/api/dify/apps, and the receiver of Dify's tracing export."""

import gzip
import json

import httpx2 as httpx
import pytest
import sqlalchemy as sa

from tallygate.control.parts import Parts
from tallygate.store import dify_apps, dify_traces
from tallygate.store.database import Database
from tallygate.store.money_schema import dify_trace
from tests.control.clerk import MASTER_KEY, StoreClerk
from tests.fakes import langfuse as says
from tests.fakes.dify_answers import MODEL, Ids

pytestmark = pytest.mark.anyio

APP = {"name": "helpdesk", "api_url": "https://dify.example", "api_key": "app-very-secret"}
IDS = Ids(1)


async def make(api: httpx.AsyncClient, **more: object) -> dict:
    made = await api.post("/api/dify/apps", json=APP | more)
    assert made.status_code == 201, made.text
    return dict(made.json())


async def test_an_app_is_made_and_its_key_never_shown(api: httpx.AsyncClient, db: Database) -> None:
    made = await make(api, model=MODEL, hold_points=2.5)
    secret = made["tracing"].pop("secret_key")
    assert made["tracing"]["public_key"].startswith("pk-lf-") and len(secret) > 40
    assert (made["path"], made["api_url"]) == ("/dify/apps/helpdesk/v1", "https://dify.example/v1")
    assert (made["hold_points"], made["hold_micros"]) == (2.5, 2_500_000)
    assert (made["instance"], made["billed_by"], made["has_api_key"]) == ("dify", "dify", True)
    [listed] = (await api.get("/api/dify/apps")).json()["items"]
    assert listed["tracing"].pop("secret_key") is None
    assert listed == made
    kept = (await api.get("/api/audit")).text
    assert "dify_app.save" in kept
    for secret_text in (secret, "app-very-secret"):
        assert secret_text not in kept
    async with db.reading() as tx:
        [app], shut = await dify_apps.load(tx, MASTER_KEY, None)
    assert (app.secret, shut) == ("app-very-secret", [])
    assert "app-very-secret" not in repr(app)


async def test_an_app_is_changed_and_deleted(api: httpx.AsyncClient, db: Database) -> None:
    await make(api)
    changed = await api.patch(
        "/api/dify/apps/helpdesk", json={"billed_by": "gateway", "api_key": "app-other"}
    )
    assert (changed.status_code, changed.json()["billed_by"]) == (200, "gateway")
    async with db.reading() as tx:
        [app], _ = await dify_apps.load(tx, MASTER_KEY, None)
    assert app.secret == "app-other"
    await api.patch("/api/dify/apps/helpdesk", json={"is_active": False})
    async with db.reading() as tx:
        assert await dify_apps.load(tx, MASTER_KEY, None) == ((), [])
    assert (await api.delete("/api/dify/apps/helpdesk")).status_code == 200
    assert (await api.delete("/api/dify/apps/helpdesk")).status_code == 404
    assert (await api.patch("/api/dify/apps/helpdesk", json={})).status_code == 404


async def test_a_key_sealed_under_another_master_key_leaves_only_its_app_out(
    api: httpx.AsyncClient, db: Database
) -> None:
    await make(api)
    async with db.reading() as tx:
        assert await dify_apps.load(tx, b"x" * 32, None) == ((), ["helpdesk"])


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"name": "a b"}, "name"),
        ({"api_url": "ftp://dify.example"}, "api_url"),
        ({"api_url": "https://me:pass@dify.example/v1"}, "api_url"),
        ({"api_url": "https://dify.example/v1?x=1"}, "api_url"),
        ({"api_key": "with blank"}, "api_key"),
        ({"billed_by": "nobody"}, "billed_by"),
        ({"hold_points": -1}, "hold_points"),
        ({"hold_points": "0.0000001"}, "hold_points"),
        ({"hold_points": "NaN"}, "hold_points"),
        ({"color": "red"}, "color"),
    ],
)
async def test_a_bad_app_is_refused_naming_the_field(
    api: httpx.AsyncClient, body: dict, named: str
) -> None:
    refused = await api.post("/api/dify/apps", json=APP | body)
    assert refused.status_code == 400
    assert named in refused.json()["error"]["message"]
    assert "pass@" not in refused.text
    assert (await api.get("/api/dify/apps")).json()["total"] == 0


async def test_names_are_taken_once(api: httpx.AsyncClient) -> None:
    await make(api)
    assert (await api.post("/api/dify/apps", json=APP)).status_code == 409


async def test_apps_are_the_operators_only(stranger: httpx.AsyncClient) -> None:
    for method, path in (("GET", ""), ("POST", ""), ("POST", "/helpdesk/tracing")):
        assert (await stranger.request(method, f"/api/dify/apps{path}")).status_code == 401


# --- tracing ---


async def pair_of(api: httpx.AsyncClient) -> dict[str, str]:
    pair = (await make(api))["tracing"]
    return says.basic(pair["public_key"], pair["secret_key"])


async def taken(db: Database) -> list[dify_traces.Trace]:
    async with db.writing() as tx:
        return await dify_traces.due(tx, 1 << 60, 100)


async def test_a_connection_is_tested_as_dify_does(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    """Dify asks for the project and shows its id; without one it refuses the setting."""
    pair = await pair_of(api)
    assert (await stranger.get("/api/public/health")).json()["status"] == "OK"
    project = (await stranger.get("/api/public/projects", headers=pair)).json()["data"][0]
    assert project["name"] == "helpdesk" and project["id"]
    for wrong in ({}, says.basic("pk", "sk"), {"authorization": "Basic ???"}):
        refused = await stranger.get("/api/public/projects", headers=wrong)
        assert refused.status_code == 401


async def test_each_delivery_adds_to_its_trace(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, db: Database
) -> None:
    """Dify sends every use of a model by itself, and some again."""
    pair = await pair_of(api)
    events = says.chatflow(IDS, "ann")
    for one in [*events, events[1]]:
        answer = await stranger.post("/api/public/ingestion", json=says.batch(one), headers=pair)
        assert answer.status_code == 207
        assert answer.json() == {"successes": [{"id": one["id"], "status": 201}], "errors": []}
    [trace] = await taken(db)
    assert (trace.told.account_id, trace.told.message_id) == ("ann", IDS.message)
    found = [(used.model, used.input_tokens) for used in trace.told.observations]
    assert found == [("deepseek-chat", 400), (MODEL, 1033), ("", 1433)]


async def test_a_settled_trace_is_due_again_only_for_what_is_new(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, db: Database
) -> None:
    pair = await pair_of(api)
    first, second = says.generation(IDS, 1), says.generation(IDS, 2)

    async def send(event: dict) -> None:
        await stranger.post("/api/public/ingestion", json=says.batch(event), headers=pair)

    await send(says.trace(IDS, "ann"))
    assert await taken(db) == []  # nothing has been used yet
    await send(first)
    async with db.writing() as tx:
        await dify_traces.settled(tx, await dify_traces.due(tx, 1 << 60, 100))
    await send(first)
    assert await taken(db) == []
    await send(second)
    assert [len(one.told.observations) for one in await taken(db)] == [2]


@pytest.mark.parametrize("is_zipped", [False, True])
async def test_spans_are_taken_in_protobuf(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, db: Database, is_zipped: bool
) -> None:
    pair = await pair_of(api) | {"content-type": "application/x-protobuf"}
    found = says.span_attributes(IDS, "ann", MODEL, (5, 7))
    body = says.spans_protobuf({"00000000000000a1": found})
    if is_zipped:
        pair, body = pair | {"content-encoding": "gzip"}, gzip.compress(body)
    answer = await stranger.post("/api/public/otel/v1/traces", content=body, headers=pair)
    assert (answer.status_code, answer.content) == (200, b"")
    [trace] = await taken(db)
    assert [used.output_tokens for used in trace.told.observations] == [7]


async def test_what_is_not_understood_is_refused_and_not_kept(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, db: Database
) -> None:
    pair = await pair_of(api)
    bomb = gzip.compress(b"0" * (20 << 20))
    for path, body, more, status in (
        ("ingestion", b"nonsense", {}, 400),
        ("otel/v1/traces", b"nonsense", {}, 400),
        ("otel/v1/traces", b"\xff\xff", {"content-type": "application/x-protobuf"}, 400),
        ("ingestion", b"nonsense", {"content-encoding": "gzip"}, 400),
        ("ingestion", bomb, {"content-encoding": "gzip"}, 413),
    ):
        answer = await stranger.post(f"/api/public/{path}", content=body, headers=pair | more)
        assert answer.status_code == status, (path, answer.text)
    async with db.reading() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(dify_trace)) == 0


async def test_a_renewed_pair_ends_the_old_one(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    old = await pair_of(api)
    renewed = await api.post("/api/dify/apps/helpdesk/tracing")
    assert renewed.status_code == 201
    new = renewed.json()["tracing"]
    assert (await stranger.get("/api/public/projects", headers=old)).status_code == 401
    new_pair = says.basic(new["public_key"], new["secret_key"])
    assert (await stranger.get("/api/public/projects", headers=new_pair)).status_code == 200
    assert (await api.post("/api/dify/apps/nobody/tracing")).status_code == 404


async def test_a_deactivated_app_takes_no_traces(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    pair = await pair_of(api)
    await api.patch("/api/dify/apps/helpdesk", json={"is_active": False})
    body = json.dumps(says.batch(says.generation(IDS, 1)))
    answer = await stranger.post("/api/public/ingestion", content=body, headers=pair)
    assert answer.status_code == 403


async def test_traces_wait_when_the_clerk_is_away(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, clerk: StoreClerk, parts: Parts
) -> None:
    """503 is what makes the sender try again; a 207 would lose them."""
    pair = await pair_of(api)
    clerk.is_down = True
    body = says.batch(says.trace(IDS, "ann"), says.generation(IDS, 1))
    answer = await stranger.post("/api/public/ingestion", json=body, headers=pair)
    assert answer.status_code == 503
