"""/api/usage over real rows: what charts, lists and exports are told, and who may ask."""

import csv
import io
import json
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa

from tallygate.control import usage_charts, usage_export, usage_money, usage_tops
from tallygate.control.parts import Parts
from tallygate.core.account_commands import CreateUser
from tallygate.core.rollup import roll
from tallygate.core.wallet_commands import TopUpWallet
from tallygate.store import budgets, keys, rollup_sweep, rollups, teams, usage_rows
from tallygate.store.database import Database
from tallygate.store.money_schema import budget, charge, wallet
from tallygate.store.rollup_schema import RANKED
from tallygate.store.schema import api_key, usage
from tests.control.clerk import StoreClerk
from tests.control.conftest import connect
from tests.control.test_roles import ACTOR, PASSWORD
from tests.store.purse import POINT, charge_row
from tests.store.uses import HOUR_MS, insert, use

pytestmark = pytest.mark.anyio

NOW_MS = 1_770_800_000_000  # 2026-02-11T08:53:20Z, a Wednesday
DAY_MS = 24 * HOUR_MS
PATHS = (
    *("series", "top-tokens", "top-routes", "top-models", "heatmap", "unused", "latency", "errors"),
    *("hot", "forecast", "advice", "overview", "export"),
)


async def make_keys(db: Database) -> None:
    async with db.writing() as tx:
        await teams.insert(tx, "t1", "Blue", NOW_MS)
        for label, user_id, team_id in (("n8n", "", "t1"), ("cron", "ann", ""), ("idle", "", "")):
            key_id = await keys.insert_key(
                tx,
                kind="ntk",
                label=label,
                now_ms=NOW_MS - 90 * DAY_MS,
                user_id=user_id,
                team_id=team_id,
            )
            if label == "cron":
                await keys.touch_last_used(tx, {key_id: NOW_MS - 40 * DAY_MS})


async def add(db: Database, *rows: dict[str, Any], is_summed: bool = True) -> None:
    async with db.writing() as tx:
        await insert(tx, list(rows))
    if not is_summed:
        return
    async with db.reading() as tx:
        mark = await rollups.read_mark(tx)
    async with db.writing() as tx:
        if not mark.zone:
            await rollup_sweep.set_zone(tx, mark, "UTC")
            mark = await rollups.read_mark(tx)
    async with db.reading() as tx:
        upto_id = int(await tx.scalar(sa.select(sa.func.max(usage.c.id))))
        groups = await rollups.read_groups(tx, mark.usage_id, upto_id)
    async with db.writing() as tx:
        assert await rollups.write(tx, mark, upto_id, roll(groups, mark.zone), NOW_MS)


@pytest.fixture
async def used(db: Database) -> Database:
    """Two keys in use, today and before; some of it in sums, some not yet."""
    await make_keys(db)
    await add(
        db,
        *(use(at_ms=NOW_MS - n * DAY_MS, duration_ms=100) for n in range(3)),
        use(at_ms=NOW_MS - 2 * HOUR_MS, key_id=2, route="/api/test", model="", status=502),
    )
    await add(db, use(at_ms=NOW_MS - 1000, key_id=2, charge_micros=1_500_000), is_summed=False)
    return db


async def get(api: httpx.AsyncClient, path: str) -> Any:
    answer = await api.get(f"/api/usage/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_series_has_every_day_and_every_use(api: httpx.AsyncClient, used: Database) -> None:
    """Also days without a use, and the use of a second ago."""
    found = await get(api, "series")
    assert (found["zone"], found["by"], found["is_complete"]) == ("UTC", "day", True)
    assert (found["from"], found["to"]) == ("2026-02-05T00:00:00.000Z", "2026-02-12T00:00:00.000Z")
    assert [one["uses"] for one in found["items"]] == [0, 0, 0, 0, 1, 1, 3]
    today = found["items"][-1]
    assert (today["label"], today["errors"], today["points"]) == ("2026-02-11", 1, 1.5)
    assert (today["points_micros"], today["error_rate"]) == (1_500_000, 0.3333)
    assert found["total"]["uses"] == 5


async def test_a_series_by_hour_ends_with_this_hour(api: httpx.AsyncClient, used: Database) -> None:
    found = await get(api, "series?hours=3")
    assert [one["label"][-5:] for one in found["items"]] == ["06:00", "07:00", "08:00"]
    assert [one["uses"] for one in found["items"]] == [1, 0, 2]
    assert len((await get(api, "series?days=2&by=hour"))["items"]) == 48


async def test_questions_are_narrowed_by_key_team_route_and_model(
    api: httpx.AsyncClient, used: Database
) -> None:
    """By ids and by the names that people know them by."""
    for query, uses in (
        ("token=1", 3),
        ("token=cron", 2),
        ("team=Blue", 3),
        ("team=t1&token=2", 0),
        ("route=/api/test", 1),
        ("model=m1", 4),
        ("token=2&model=m1", 1),
        ("route=/nothing", 0),
    ):
        assert (await get(api, f"series?{query}"))["total"]["uses"] == uses, query


async def test_the_most_used_come_first(api: httpx.AsyncClient, used: Database) -> None:
    """With names, shares, and how many there are in all."""
    found = await get(api, "top-tokens?limit=1")
    (first,) = found["items"]
    assert (first["token"]["label"], first["uses"], first["share"]) == ("n8n", 3, 0.6)
    assert (first["token"]["team"], found["used"]) == ("Blue", 2)
    by_points = await get(api, "top-tokens?rank=points")
    assert [one["token"]["label"] for one in by_points["items"]] == ["cron"]
    routes = await get(api, "top-routes")
    assert [(one["name"], one["uses"]) for one in routes["items"]] == [
        ("/v1/chat/completions", 4),
        ("/api/test", 1),
    ]
    assert [one["name"] for one in (await get(api, "top-models"))["items"]] == ["m1"]


async def test_the_heatmap_has_the_hours_of_a_week(api: httpx.AsyncClient, used: Database) -> None:
    found = await get(api, "heatmap")
    assert [len(day) for day in found["cells"]] == [24] * 7
    assert found["cells"][2][8] == 2 and found["cells"][0][8] == 1
    assert found["busiest"][0] == {"weekday": 2, "hour": 8, "uses": 2}


async def test_idle_keys_are_found(api: httpx.AsyncClient, used: Database) -> None:
    """The seed's questions: never used, and unused for thirty days."""
    found = await get(api, "unused")
    assert [one["label"] for one in found["never"]] == ["n8n", "idle"]  # rows alone touch no key
    assert [one["label"] for one in found["idle"]] == ["cron"]
    assert (found["never_total"], found["idle_total"], found["days"]) == (2, 1, 30)
    assert (await get(api, "unused?days=50"))["idle_total"] == 0


async def test_latency_and_errors_say_where(api: httpx.AsyncClient, used: Database) -> None:
    found = await get(api, "latency")
    assert found["overall"]["timed"] == 5
    assert found["routes"][0]["name"] == "/v1/chat/completions"
    assert 56 <= found["overall"]["p99_ms"] <= 100
    errors = await get(api, "errors")
    assert errors["overall"]["server_errors"] == 1
    assert [one["name"] for one in errors["routes"]] == ["/api/test"]
    assert [one["token"]["label"] for one in errors["tokens"]] == ["cron"]
    assert sum(one["server_errors"] for one in errors["items"]) == 1


async def test_what_is_hot_ended_within_a_minute(api: httpx.AsyncClient, used: Database) -> None:
    found = await get(api, "hot")
    assert [(one["route"], one["uses"]) for one in found["items"]] == [
        ("/v1/chat/completions", 2)  # one began a second ago, one now
    ]
    assert found["is_complete"]


async def test_the_overview_is_one_call(api: httpx.AsyncClient, used: Database) -> None:
    """Today, yesterday, the week, a day's hours, and the most used."""
    found = await get(api, "overview")
    assert (found["today"]["uses"], found["yesterday"]["uses"]) == (3, 1)
    assert (found["active_keys"], found["charged_elsewhere"]) == (2, 0)
    assert (len(found["trend"]), len(found["hours"])) == (7, 24)
    assert found["top_tokens"][0]["token"]["label"] == "cron"


async def test_nothing_used_has_answers_too(api: httpx.AsyncClient) -> None:
    """The first look after the first start."""
    for path in PATHS:
        assert (await api.get(f"/api/usage/{path}")).status_code == 200, path


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("series?days=0", "days"),
        ("series?days=x", "days"),
        ("series?days=99999", "days"),
        ("series?days=-1", "days"),
        ("series?hours=1.5", "hours"),
        ("series?by=week", "by"),
        ("series?by=hour&days=90", "days"),
        ("top-tokens?limit=0", "limit"),
        ("top-tokens?rank=name", "rank"),
        ("series?route=%00", "route"),
        ("export?format=xml", "format"),
        ("export?per=planet", "per"),
        ("export?month=2026-13", "month"),
        ("export?month=2026", "month"),
        ("export?from=yesterday", "from"),
        ("export?to=2026-01-01", "to"),
        ("export?from=2026-02-02&to=2026-02-01", "to"),
        ("export?per=user&from=1990-01-01", "from"),
    ],
)
async def test_bad_questions_are_refused_by_name(
    api: httpx.AsyncClient, path: str, param: str
) -> None:
    """400, and which parameter it was; never an empty chart that looks like no use."""
    answer = await api.get(f"/api/usage/{path}")
    assert answer.status_code == 400, answer.text
    assert f"`{param}`" in answer.json()["error"]["message"]


async def test_unknown_names_are_not_found(api: httpx.AsyncClient, used: Database) -> None:
    for query in ("token=nobody", "token=999", "team=Red"):
        assert (await api.get(f"/api/usage/series?{query}")).status_code == 404, query


async def lines(api: httpx.AsyncClient, query: str) -> list[dict[str, Any]]:
    answer = await api.get(f"/api/usage/export?{query}")
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/csv"):
        return list(csv.DictReader(io.StringIO(answer.text)))
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_an_export_has_every_use_in_order(
    api: httpx.AsyncClient, used: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pieces it is read in; several uses of one moment are each there once."""
    monkeypatch.setattr(usage_rows, "PAGE_ROWS", 2)
    await add(used, *(use(at_ms=NOW_MS - HOUR_MS, request_id=f"same{n}") for n in range(5)))
    for shape in ("csv", "jsonl"):
        found = await lines(api, f"format={shape}")
        assert len(found) == 10
        assert [one["time"] for one in found] == sorted(one["time"] for one in found)
        same = [one["request_id"] for one in found if one["request_id"].startswith("same")]
        assert same == [f"same{n}" for n in range(5)]
    (one,) = await lines(api, "format=jsonl&token=2&model=m1")
    assert (one["token"], one["points"], one["input_tokens"]) == ("cron", "1.5", 3)


async def test_an_export_per_month_adds_up(api: httpx.AsyncClient, used: Database) -> None:
    """Per token, user and team; a month is one of the operator's zone."""
    await add(used, use(at_ms=NOW_MS - 20 * DAY_MS, key_id=2))  # in January
    per_token = await lines(api, "per=token&format=jsonl&days=40")
    assert [(one["month"], one["name"], one["model"], one["uses"]) for one in per_token] == [
        ("2026-01", "cron", "m1", 1),
        ("2026-02", "n8n", "m1", 3),
        ("2026-02", "cron", "", 1),
        ("2026-02", "cron", "m1", 1),
    ]
    per_user = await lines(api, "per=user&month=2026-02")
    assert [(one["id"], one["model"], one["uses"], one["points"]) for one in per_user] == [
        ("", "m1", "3", "0"),
        ("ann", "", "1", "0"),
        ("ann", "m1", "1", "1.5"),
    ]
    per_team = await lines(api, "per=team&from=2026-02-10&to=2026-02-10")
    assert [(one["name"], one["uses"]) for one in per_team] == [("Blue", "1")]


async def test_an_export_holds_no_formula(api: httpx.AsyncClient, used: Database) -> None:
    """A client names its own agent, and an operator opens the file in a spreadsheet."""
    await add(used, use(at_ms=NOW_MS - 5000, agent='=HYPERLINK("http://evil")', model="+1"))
    cells = [cell for row in await lines(api, "") for cell in row.values() if cell]
    assert not [cell for cell in cells if cell[0] in "=+-@"]
    assert "'+1" in cells


async def test_members_see_their_own_keys_only(
    parts: Parts, clerk: StoreClerk, used: Database
) -> None:
    """Whatever they ask for; viewers see everything, keys and strangers nothing."""
    clients = {}
    for name, role in (("ann", "member"), ("eve", "member"), ("vic", "viewer")):
        hash_ = await parts.sign_in.passwords.hash(PASSWORD)
        await clerk.command(CreateUser(id=name, role=role, password_hash=hash_), ACTOR)
        clients[name] = connect(parts)
        signed_in = await clients[name].post(
            "/api/session", json={"id": name, "password": PASSWORD}
        )
        assert signed_in.status_code == 201
    uses = {
        name: (await get(client, "series"))["total"]["uses"] for name, client in clients.items()
    }
    assert uses == {"ann": 2, "eve": 0, "vic": 5}
    ann, eve = clients["ann"], clients["eve"]
    assert (await get(ann, "series?token=2"))["total"]["uses"] == 2
    assert (await ann.get("/api/usage/series?token=1")).status_code == 404
    assert (await ann.get("/api/usage/series?token=n8n")).status_code == 404
    assert (await get(ann, "series?team=Blue"))["total"]["uses"] == 0
    assert [one["token"]["label"] for one in (await get(ann, "top-tokens"))["items"]] == ["cron"]
    assert len(await lines(ann, "format=jsonl")) == 2
    assert [one["label"] for one in (await get(ann, "unused"))["idle"]] == ["cron"]
    assert (await get(ann, "overview"))["active_keys"] == 1
    for path in PATHS:
        answer = await eve.get(f"/api/usage/{path}")
        assert answer.status_code == 200 and "n8n" not in answer.text, path
        assert "cron" not in answer.text, path
    async with connect(parts) as stranger:
        assert {(await stranger.get(f"/api/usage/{path}")).status_code for path in PATHS} == {401}


async def test_a_forecast_says_when_money_ends(
    api: httpx.AsyncClient, clerk: StoreClerk, db: Database
) -> None:
    """By what was spent of it in the window; a budget by its own window."""
    await clerk.command(CreateUser(id="ann", role="member"), ACTOR)
    await clerk.command(TopUpWallet(account_id="ann", micros=10 * POINT), ACTOR)
    month_ms = 29 * DAY_MS
    spent = charge_row(-1, "ann", 1, micros=2 * POINT, at_ms=NOW_MS - DAY_MS)
    async with db.writing() as tx:
        await tx.execute(sa.update(wallet).values(created_ms=NOW_MS - 10 * DAY_MS))
        await tx.execute(sa.insert(charge), spent)
        for amount in (3 * POINT, 100 * POINT):
            await budgets.insert(tx, "user", "ann", "month", "UTC", amount, NOW_MS - month_ms)
        february_s = 1_769_904_000
        await tx.execute(sa.update(budget).values(spent_micros=2 * POINT, window_s=february_s))
    found = await get(api, "forecast")
    (balance,) = found["balances"]
    assert (balance["user_id"], balance["spent"], balance["days_left"]) == ("ann", 2, 50.0)
    soon, far = found["budgets"]
    assert (soon["amount"], soon["lasts"], far["lasts"]) == (3, False, True)
    assert 5 < soon["days_left"] < 6


async def test_advice_names_what_costs_less_and_may_be_used(
    api: httpx.AsyncClient, db: Database
) -> None:
    """Of models that are used here; a key's own list of models holds."""
    await make_keys(db)
    for name, price in (("m1", 10), ("m2", 1), ("unused-here", 0)):
        body = {"model_name": name, "input_token_price": price, "output_token_price": price}
        made = await api.post("/api/models", json={**body, "currency": "points"})
        assert made.status_code == 201, made.text
    async with db.writing() as tx:
        await tx.execute(sa.update(api_key).where(api_key.c.id == 2).values(models='["m1"]'))
    await add(db, use(at_ms=NOW_MS), use(at_ms=NOW_MS, key_id=2), use(at_ms=NOW_MS, model="m2"))
    (one,) = (await get(api, "advice"))["items"]
    assert (one["token"]["label"], one["model"], one["uses"]) == ("n8n", "m1", 1)
    assert [(c["model"], c["saved_percent"]) for c in one["cheaper"]] == [("m2", 90.0)]


def test_what_keys_are_ranked_by_is_in_an_index() -> None:
    """Of a month PostgreSQL then reads a few numbers for each key and day, not whole rows."""
    ranked_by = {name for names in usage_tops.RANKS.values() for name in names}
    assert ranked_by | set(usage_charts.BROKEN) | set(usage_money.MIX) == set(RANKED)


def test_the_columns_of_exports_are_a_promise() -> None:
    """Scripts read them by name: they are only added to."""
    assert usage_export.USE_COLUMNS[:3] == ("time", "token_id", "token")
    assert usage_export.SUM_COLUMNS[:5] == ("month", "id", "name", "model", "uses")
