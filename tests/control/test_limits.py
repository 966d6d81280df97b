"""Limits in the API: of keys, users and teams; points as decimals, the rest as whole numbers."""

import httpx2 as httpx
import pytest

pytestmark = pytest.mark.anyio

POINTS = {"dimension": "points", "span": "month", "amount": 12.5, "zone": "Asia/Taipei"}


async def test_points_are_limited_in_decimals_and_shown_with_their_micros(
    api: httpx.AsyncClient,
) -> None:
    made = await api.post("/api/keys", json={"limits": [POINTS]})
    assert made.status_code == 201
    assert made.json()["limits"] == [POINTS | {"amount_micros": 12_500_000}]
    key = made.json()["id"]
    body = {"limits": [{"dimension": "points", "amount": "0.000001"}]}
    changed = await api.patch(f"/api/keys/{key}", json=body)
    assert changed.json()["limits"][0]["amount_micros"] == 1
    assert '"amount":0.000001,' in changed.text
    unlimited = {"limits": [{"dimension": "points", "amount": None}]}
    [shown] = (await api.patch(f"/api/keys/{key}", json=unlimited)).json()["limits"]
    assert shown["amount"] is None and "amount_micros" not in shown


@pytest.mark.parametrize(
    "limit",
    [
        {"dimension": "points", "amount": "0.0000001"},
        {"dimension": "points", "amount": -1},
        {"dimension": "points", "amount": "-0.5"},
        {"dimension": "points", "amount": 2**53},
        {"dimension": "points", "amount": "9007199254.740993"},
        {"dimension": "points", "amount": "many"},
        {"dimension": "points", "amount": "NaN"},
        {"dimension": "points", "amount": True},
        {"dimension": "points"},
        {"dimension": "tokens", "amount": 1.5},
        {"dimension": "requests", "amount": "5"},
        {"dimension": "requests", "amount": -1},
        {"dimension": "smiles", "amount": 1},
        {"amount": 1, "zone": "Mars/Olympus"},
    ],
)
async def test_what_is_no_limit_is_refused_and_nothing_is_made(
    api: httpx.AsyncClient, limit: dict[str, object]
) -> None:
    assert (await api.post("/api/keys", json={"limits": [limit]})).status_code == 400
    await api.post("/api/teams", json={"id": "red", "name": "Red"})
    answer = await api.put("/api/teams/red/limits", json={"limits": [limit]})
    assert answer.status_code == 400
    assert (await api.get("/api/teams/red/limits")).json() == {"limits": []}
    assert (await api.get("/api/keys")).json()["total"] == 0


@pytest.mark.parametrize("subject", ["users/ann", "teams/red"])
async def test_users_and_teams_have_limits_of_their_own(
    api: httpx.AsyncClient, subject: str
) -> None:
    """What is left out is deleted; each change is audited with what it was before."""
    path = f"/api/{subject}/limits"
    for method, body in (("GET", None), ("PUT", {"limits": []})):
        assert (await api.request(method, path, json=body)).status_code == 404
    await api.post("/api/users", json={"id": "ann"})
    await api.post("/api/teams", json={"id": "red", "name": "Red"})
    assert (await api.get(path)).json() == {"limits": []}
    requests = {"dimension": "requests", "span": "minute", "amount": 10}
    answer = await api.put(path, json={"limits": [requests, POINTS]})
    shown = [requests | {"zone": "UTC"}, POINTS | {"amount_micros": 12_500_000}]
    assert answer.status_code == 200
    assert answer.json() == (await api.get(path)).json() == {"limits": shown}
    assert (await api.put(path, json={"limits": [POINTS]})).json() == {"limits": shown[1:]}
    kind = subject.partition("/")[0][:-1]
    trail = (await api.get("/api/audit", params={"action": f"{kind}.limits"})).json()["items"]
    assert [len(one["after"]["limits"]) for one in trail] == [1, 2]
    assert len(trail[0]["before"]["limits"]) == 2
