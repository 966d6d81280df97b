"""/api/models, /api/exchange-rate and the calculator, as PRODUCT.md has them."""

import json

import httpx2 as httpx
import pytest

from tallygate.core.money import MICROS
from tallygate.store import prices
from tallygate.store.database import Database
from tests.control.clerk import StoreClerk

pytestmark = pytest.mark.anyio

GPT = {
    "model_name": "gpt-4",
    "input_token_price": 30,
    "output_token_price": "60",
    "currency": "points",
    "per_tokens": 1000,
}
HOUR_MS = 3_600_000
NOW = "2026-02-11T08:53:20.000Z"


@pytest.fixture(autouse=True)
async def rate(db: Database) -> None:
    async with db.writing() as tx:
        await prices.insert_rate(tx, 10_000 * MICROS, now_ms=1, actor="setup", reason="first")


async def test_a_new_model_is_201_and_another_version_200(api: httpx.AsyncClient) -> None:
    made = await api.post("/api/models", json={**GPT, "reason": "start"})
    assert made.status_code == 201
    assert made.json() == {
        "model_name": "gpt-4",
        "version": "1",
        "input_token_price": "30",
        "output_token_price": "60",
        "cache_read_token_price": None,
        "cache_write_token_price": None,
        "request_price": "0",
        "currency": "points",
        "per_tokens": 1000,
        "is_active": True,
        "effective_from": NOW,
        "reason": "start",
        "created_at": NOW,
        "admin_id": "admin",
        "source": "operator",
        "aliases": [],
        "next_effective_from": None,
    }
    again = await api.post("/api/models", json={**GPT, "output_token_price": 61.5})
    assert again.status_code == 200
    assert again.json()["output_token_price"] == "61.5"
    assert (await api.get("/api/models")).json() == {
        "items": [again.json()],
        "total": 1,
        "next": None,
    }


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"0.1", "0.1"),
        (b'"0.10"', "0.1"),
        (b"1e-9", "0.000000001"),
        (b'"8E-7"', "0.0000008"),
        (b"0.123456789", "0.123456789"),
        (b"-0", "0"),
        (b"123456.123456789", "123456.123456789"),
    ],
)
async def test_a_price_is_taken_digit_by_digit(
    api: httpx.AsyncClient, written: bytes, shown: str
) -> None:
    """A float would make 0.1 of it what 0.1 is not."""
    body = json.dumps({**GPT, "input_token_price": "HERE"}).encode()
    made = await api.post("/api/models", content=body.replace(b'"HERE"', written))
    assert made.json()["input_token_price"] == shown


async def test_prices_are_in_dollars_for_a_thousand_tokens_unless_they_say_otherwise(
    api: httpx.AsyncClient,
) -> None:
    """As the seed's table has them."""
    body = {"model_name": "m", "input_token_price": "0.03", "output_token_price": "0.06"}
    made = (await api.post("/api/models", json=body)).json()
    assert (made["currency"], made["per_tokens"], made["is_active"]) == ("usd", 1000, True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"input_token_price": -1}, "input_token_price"),
        ({"input_token_price": "-0.1"}, "input_token_price"),
        ({"input_token_price": None}, "input_token_price"),
        ({"input_token_price": True}, "input_token_price"),
        ({"input_token_price": []}, "input_token_price"),
        ({"input_token_price": ""}, "input_token_price"),
        ({"input_token_price": "1,5"}, "input_token_price"),
        ({"input_token_price": "9" * 70}, "input_token_price"),
        ({"input_token_price": 1e300}, "input_token_price"),
        ({"output_token_price": "0.0000000001"}, "output_token_price"),
        ({"cache_read_token_price": "free"}, "cache_read_token_price"),
        ({"cache_write_token_price": {}}, "cache_write_token_price"),
        ({"request_price": None}, "request_price"),
        ({"currency": "eur"}, "currency"),
        ({"currency": "USD"}, "currency"),
        ({"per_tokens": 100}, "per_tokens"),
        ({"per_tokens": "1000"}, "per_tokens"),
        ({"is_active": 1}, "is_active"),
        ({"effective_from": "2026-03-01"}, "effective_from"),
        ({"effective_from": "2026-03-01T00:00:00"}, "effective_from"),
        ({"effective_from": "2096-03-01T00:00:00Z"}, "effective_from"),
        ({"reason": "x" * 1001}, "reason"),
        ({"model_name": ""}, "model_name"),
        ({"model_name": " m"}, "model_name"),
        ({"model_name": "m" * 257}, "model_name"),
        ({"model_name": 7}, "model_name"),
        ({"price": 1}, "price"),
        ({"inputTokenPrice": 1}, "inputTokenPrice"),
    ],
)
async def test_a_bad_price_is_refused_naming_the_field(
    api: httpx.AsyncClient, change: dict, named: str
) -> None:
    refused = await api.post("/api/models", json={**GPT, **change})
    assert refused.status_code == 400
    assert named in refused.json()["error"]["message"]
    assert (await api.get("/api/models")).json()["total"] == 0


@pytest.mark.parametrize("field", ["model_name", "input_token_price", "output_token_price"])
async def test_a_price_without_what_makes_it_one_is_refused(
    api: httpx.AsyncClient, field: str
) -> None:
    body = {name: value for name, value in GPT.items() if name != field}
    refused = await api.post("/api/models", json=body)
    assert refused.status_code == 400 and field in refused.json()["error"]["message"]


async def test_a_name_with_slashes_is_the_rest_of_the_path(api: httpx.AsyncClient) -> None:
    """«deepseek-ai/DeepSeek-V3» is one model's name, and so is «a b%»."""
    for name, path in (
        ("deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-V3"),
        ("a b%", "a%20b%25"),
        ("模型/一", "%E6%A8%A1%E5%9E%8B/%E4%B8%80"),
        ("x/history", "x/history"),
    ):
        await api.post("/api/models", json={**GPT, "model_name": name})
        changed = await api.patch(f"/api/models/{path}", json={"input_token_price": "7"})
        assert (changed.status_code, changed.json()["model_name"]) == (200, name)
        versions = (await api.get(f"/api/models/{path}/history")).json()
        assert [one["input_token_price"] for one in versions["items"]] == ["7", "30"]
        assert [one["state"] for one in versions["items"]] == ["current", "past"]
        if not name.endswith("/history"):
            assert (await api.get(f"/api/models/{path}")).json() == changed.json()


async def test_a_patch_merges_and_null_means_as_input(api: httpx.AsyncClient) -> None:
    await api.post("/api/models", json={**GPT, "cache_read_token_price": 3, "request_price": 1})
    off = (await api.patch("/api/models/GPT-4", json={"is_active": False})).json()
    assert (off["is_active"], off["cache_read_token_price"], off["request_price"]) == (
        False,
        "3",
        "1",
    )
    dear = await api.patch("/api/models/gpt-4", json={"cache_read_token_price": None})
    assert dear.json()["cache_read_token_price"] is None
    same = await api.patch("/api/models/gpt-4", json={})
    assert same.json() == dear.json()


async def test_what_is_not_there_is_not_found(api: httpx.AsyncClient) -> None:
    """Also where there is a price for unknown models: that one is not theirs."""
    await api.post("/api/models", json={**GPT, "model_name": "*"})
    assert (await api.patch("/api/models/m", json={"is_active": False})).status_code == 404
    assert (await api.get("/api/models/m")).status_code == 404
    assert (await api.get("/api/models/m/history")).status_code == 404
    assert (await api.delete("/api/models/*/aliases/m")).status_code == 404


async def test_a_version_to_come_is_announced(api: httpx.AsyncClient, clerk: StoreClerk) -> None:
    """The list shows what counts now and when it ends; the history shows every version."""
    await api.post("/api/models", json=GPT)
    for price, at in ((90, "2026-04-01T00:00:00Z"), (80, "2026-04-01T08:00:00+08:00")):
        body = {**GPT, "input_token_price": price, "effective_from": at}
        made = (await api.post("/api/models", json=body)).json()
        assert made["effective_from"] == "2026-04-01T00:00:00.000Z"
    (listed,) = (await api.get("/api/models")).json()["items"]
    assert listed["input_token_price"] == "30"
    assert listed["next_effective_from"] == "2026-04-01T00:00:00.000Z"
    versions = (await api.get("/api/models/gpt-4/history")).json()["items"]
    assert [(one["input_token_price"], one["state"]) for one in versions] == [
        ("80", "upcoming"),
        ("90", "replaced"),
        ("30", "current"),
    ]


async def test_a_long_list_comes_in_pages(api: httpx.AsyncClient) -> None:
    for number in range(3):
        await api.post("/api/models", json={**GPT, "model_name": f"m-{number}"})
    first = (await api.get("/api/models?limit=2")).json()
    last = (await api.get(f"/api/models?limit=2&cursor={first['next']}")).json()
    names = [one["model_name"] for one in (*first["items"], *last["items"])]
    assert (names, last["next"], first["total"]) == (["m-0", "m-1", "m-2"], None, 3)
    assert (await api.get("/api/models?limit=0")).status_code == 400


async def test_other_names_are_given_moved_and_taken_away(api: httpx.AsyncClient) -> None:
    await api.post("/api/models", json=GPT)
    await api.post("/api/models", json={**GPT, "model_name": "b"})
    made = await api.post("/api/models/gpt-4/aliases", json={"alias": "openai/four"})
    assert (made.status_code, made.json()) == (201, {"name": "openai/four", "model": "gpt-4"})
    assert (await api.get("/api/models/OpenAI/Four")).json()["aliases"] == ["openai/four"]
    assert (await api.delete("/api/models/b/aliases/openai/four")).status_code == 404
    assert (await api.post("/api/models/b/aliases", json={"alias": "GPT-4"})).status_code == 409
    assert (await api.post("/api/models/b/aliases", json={"alias": ""})).status_code == 400
    clash = await api.post("/api/models", json={**GPT, "model_name": "openai/four"})
    assert clash.status_code == 409
    assert (await api.delete("/api/models/gpt-4/aliases/openai/four")).status_code == 200
    assert (await api.get("/api/models/openai/four")).status_code == 404


async def test_the_rate_is_a_number_of_points(api: httpx.AsyncClient) -> None:
    """200 for an equal rate too; every other one is another version with its reason."""
    shown = (await api.get("/api/exchange-rate")).json()
    assert shown == {
        "version": "1",
        "rate": 10000,
        "rate_micros": 10_000_000_000,
        "reason": "first",
        "updated_at": "1970-01-01T00:00:00.001Z",
        "admin_id": "setup",
    }
    equal = await api.put("/api/exchange-rate", json={"rate": "10000.0", "reason": "again"})
    assert (equal.status_code, equal.json()) == (200, shown)
    changed = await api.put("/api/exchange-rate", json={"rate": 7.25, "reason": "because"})
    assert (changed.status_code, changed.json()["rate"]) == (200, 7.25)
    history = (await api.get("/api/exchange-rate/history")).json()
    assert history["total"] == 2 and history["next"] is None
    assert history["items"][0] == {
        "version": "2",
        "old_rate": 10000,
        "old_rate_micros": 10_000_000_000,
        "new_rate": 7.25,
        "new_rate_micros": 7_250_000,
        "admin_id": "admin",
        "reason": "because",
        "timestamp": NOW,
    }
    assert history["items"][1]["old_rate"] is None


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"rate": 0}, {"rate": -1}, {"rate": "x"}, {"rate": None}, {"rate": 1e-7}),
        *({"rate": 1e10}, {"rate": True}, {"rate": 1, "reason": 5}, {"rate": 1, "currency": "usd"}),
    ],
)
async def test_a_bad_rate_is_refused(api: httpx.AsyncClient, body: dict) -> None:
    refused = await api.put("/api/exchange-rate", json=body)
    assert refused.status_code == 400
    assert (await api.get("/api/exchange-rate")).json()["rate"] == 10000


async def test_the_calculator_shows_every_part(api: httpx.AsyncClient) -> None:
    """What the operator sees is what the gateway and the webhook will charge."""
    await api.post("/api/models", json=GPT)
    body = {"model": "GPT-4", "input_tokens": 1500, "output_tokens": 800}
    assert (await api.post("/api/prices/calculate", json=body)).json() == {
        "model": "GPT-4",
        "model_name": "gpt-4",
        "price_version": "1",
        "rate_version": "1",
        "currency": "points",
        "parts": [
            {"name": "input_tokens", "count": 1500, "cost": "45"},
            {"name": "cache_read_tokens", "count": 0, "cost": "0"},
            {"name": "cache_write_tokens", "count": 0, "cost": "0"},
            {"name": "output_tokens", "count": 800, "cost": "48"},
            {"name": "request", "count": 1, "cost": "0"},
        ],
        "total": "93",
        "points": 93,
        "points_micros": 93_000_000,
    }
    dollars = (await api.post("/api/prices/calculate", json={**body, "currency": "usd"})).json()
    assert (dollars["total"], dollars["points"]) == ("0.0093", 93)
    assert [part["cost"] for part in dollars["parts"]] == ["0.0045", "0", "0", "0.0048", "0"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"model": "unknown"}, 422, "unknown_model"),
        ({"model": "off"}, 422, "unknown_model"),
        ({"model": "later"}, 422, "unknown_model"),
        ({"input_tokens": -1}, 400, "bad_request"),
        ({"input_tokens": 1.5}, 400, "bad_request"),
        ({"input_tokens": 10**13}, 400, "bad_request"),
        ({"cache_read_tokens": 2}, 400, "bad_request"),
        ({"currency": "eur"}, 400, "bad_request"),
        ({"tokens": 1}, 400, "unknown_field"),
        ({"model": None}, 400, "bad_request"),
    ],
)
async def test_the_calculator_refuses_what_can_not_be_charged(
    api: httpx.AsyncClient, change: dict, status: int, code: str
) -> None:
    await api.post("/api/models", json=GPT)
    await api.post("/api/models", json={**GPT, "model_name": "off", "is_active": False})
    later = {**GPT, "model_name": "later", "effective_from": "2026-04-01T00:00:00Z"}
    await api.post("/api/models", json=later)
    body = {"model": "gpt-4", "input_tokens": 1, "output_tokens": 1, **change}
    refused = await api.post("/api/prices/calculate", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)


async def test_prices_are_the_operators(stranger: httpx.AsyncClient) -> None:
    for method, path in (
        *(("GET", "/api/models"), ("POST", "/api/models"), ("PATCH", "/api/models/m")),
        *(("GET", "/api/models/m/history"), ("PUT", "/api/exchange-rate")),
        *(("GET", "/api/exchange-rate"), ("GET", "/api/exchange-rate/history")),
        *(("POST", "/api/prices/calculate"), ("DELETE", "/api/models/m/aliases/n")),
    ):
        assert (await stranger.request(method, path)).status_code == 401, path


async def test_a_repeated_post_makes_one_version(api: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "one"}
    for _ in range(2):
        made = await api.post("/api/models", json=GPT, headers=headers)
        assert made.status_code == 201
    assert (await api.get("/api/models/gpt-4/history")).json()["total"] == 1
    clash = await api.post("/api/models", json={**GPT, "per_tokens": 1000000}, headers=headers)
    assert clash.status_code == 409


async def test_models_are_searched_narrowed_and_sorted(api: httpx.AsyncClient) -> None:
    """By what a token costs, whatever the price is for; another name finds a model, too."""
    for name, price, per_tokens, more in (
        ("Alpha", "3", 1000, {}),
        ("beta", "5", 1_000_000, {"is_active": False}),
        ("gamma", "4", 1_000_000, {}),
        ("delta", "1", 1000, {"currency": "points"}),
    ):
        terms = {"model_name": name, "input_token_price": price, "output_token_price": "0"}
        await api.post("/api/models", json={**terms, "per_tokens": per_tokens, **more})
    await api.post("/api/models/gamma/aliases", json={"alias": "Third"})

    async def names(query: str) -> list[str]:
        page = (await api.get(f"/api/models?{query}")).json()
        assert page["total"] == len(page["items"])
        return [one["model_name"] for one in page["items"]]

    assert await names("sort=input_token_price") == ["delta", "gamma", "beta", "Alpha"]
    assert await names("sort=-input_token_price") == ["Alpha", "beta", "gamma", "delta"]
    assert await names("sort=model_name") == ["Alpha", "beta", "delta", "gamma"]
    assert await names("q=THIRD") == ["gamma"] == await names("q=amm")
    assert await names("is_active=false") == ["beta"]
    assert await names("currency=points") == ["delta"]
    assert await names("q=a&currency=usd&is_active=true&sort=-model_name") == ["gamma", "Alpha"]
    for query in ("sort=price", "currency=eur", "is_active=1"):
        assert (await api.get(f"/api/models?{query}")).status_code == 400
