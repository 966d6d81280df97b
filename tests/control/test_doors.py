"""Who may come in, and how every refusal looks."""

import httpx2 as httpx
import pytest
import structlog

from tallygate.control.authentication import ADDRESSES_MAX, GUESSES_MAX, GuessBudget
from tests.control.clerk import StoreClerk
from tests.control.conftest import ADMIN_TOKEN, Clock

pytestmark = pytest.mark.anyio

GUARDED = [
    ("GET", "/admin/keys"),
    ("POST", "/admin/keys"),
    ("PATCH", "/admin/keys/1"),
    ("DELETE", "/admin/keys/1"),
    ("GET", "/admin/usage"),
    ("POST", "/admin/usage/reset"),
    ("GET", "/api/keys"),
    ("POST", "/api/keys"),
    ("GET", "/api/keys/1"),
    ("PATCH", "/api/keys/1"),
    ("DELETE", "/api/keys/1"),
    ("POST", "/api/keys/1/rotate"),
    ("GET", "/api/providers"),
    ("POST", "/api/providers"),
    ("PATCH", "/api/providers/a"),
    ("DELETE", "/api/providers/a"),
    ("GET", "/api/nodes"),
    ("POST", "/api/nodes/a/retire"),
    ("GET", "/api/audit"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_nothing_opens_without_the_admin_token(
    stranger: httpx.AsyncClient, clerk: StoreClerk, method: str, path: str
) -> None:
    """One forgotten guard is a list of everyone's keys."""
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"X-Admin-Token": "wrong"}):
        answer = await stranger.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert clerk.seen == []


@pytest.mark.parametrize("path", ["/admin/keys", "/api/keys", "/metrics"])
async def test_an_api_key_is_recognised_and_not_allowed(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient, path: str
) -> None:
    """401 would send its holder looking for a typing slip; it is no guess at the token either."""
    key = (await api.post("/admin/keys", json={})).json()["key"]
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"X-Admin-Token": key},
        {"X-API-Key": key},
        {"X-Trial-Key": key},
        {"Authorization": "Bearer wrong", "X-API-Key": key},
    ):
        answer = await stranger.get(path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
    assert (await api.get("/admin/keys", headers={"X-API-Key": key})).status_code == 200
    assert (await api.delete(f"/admin/keys/{key}")).status_code == 200
    answer = await stranger.get(path, headers={"X-API-Key": key})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


async def test_the_token_opens_in_either_header(stranger: httpx.AsyncClient) -> None:
    """The seed takes both, and scripts use both."""
    for headers in (
        {"Authorization": f"Bearer {ADMIN_TOKEN}"},
        {"Authorization": f"bearer  {ADMIN_TOKEN}"},
        {"X-Admin-Token": ADMIN_TOKEN},
        {"Authorization": "Basic eDp5", "X-Admin-Token": ADMIN_TOKEN},
    ):
        assert (await stranger.get("/admin/keys", headers=headers)).status_code == 200


async def test_guessing_is_slowed_down_for_that_address_only(
    stranger: httpx.AsyncClient, clock: Clock
) -> None:
    """A flood of guesses learns nothing, and locks out nobody elsewhere."""
    guess = {"X-Admin-Token": "guess", "X-Forwarded-For": "203.0.113.9"}
    for _ in range(GUESSES_MAX):
        assert (await stranger.get("/admin/keys", headers=guess)).status_code == 401
    right = {"X-Admin-Token": ADMIN_TOKEN, "X-Forwarded-For": "203.0.113.9"}
    refused = await stranger.get("/admin/keys", headers=right)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    elsewhere = {**right, "X-Forwarded-For": "203.0.113.10"}
    assert (await stranger.get("/admin/keys", headers=elsewhere)).status_code == 200
    clock.now_s += 1.5
    assert (await stranger.get("/admin/keys", headers=right)).status_code == 200


def test_remembered_addresses_are_bounded(clock: Clock) -> None:
    """Guesses from a million addresses must not fill the memory."""
    budget = GuessBudget(clock)
    for number in range(ADDRESSES_MAX + 100):
        budget.spend(str(number))
    assert len(budget) == ADDRESSES_MAX


async def test_a_missing_token_is_no_guess(stranger: httpx.AsyncClient) -> None:
    """A monitor without a token must not lock its operator out."""
    for _ in range(GUESSES_MAX + 5):
        assert (await stranger.get("/admin/keys")).status_code == 401
    assert (
        await stranger.get("/admin/keys", headers={"X-Admin-Token": ADMIN_TOKEN})
    ).status_code == 200


async def test_what_is_not_there_is_refused_in_the_same_shape(api: httpx.AsyncClient) -> None:
    """One error shape for all of it: clients parse one."""
    for method, path, status, code in (
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/admin/nothing", 404, "not_found"),
        ("PUT", "/admin/keys", 405, "method_not_allowed"),
        ("GET", "/admin/keys/", 405, "method_not_allowed"),
    ):
        answer = await api.request(method, path)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code), path
        assert set(error) == {"code", "message", "request_id"}


async def test_the_gateways_request_id_is_kept(api: httpx.AsyncClient) -> None:
    """One id leads from the client through both logs to the audit row."""
    answer = await api.get("/nothing", headers={"X-Request-Id": "req_7"})
    assert answer.headers["x-request-id"] == answer.json()["error"]["request_id"] == "req_7"
    bad = await api.get("/nothing", headers={"X-Request-Id": "x" * 200})
    assert bad.json()["error"]["request_id"].startswith("req_")


async def test_a_key_in_a_path_never_reaches_the_log(api: httpx.AsyncClient) -> None:
    """Logs are copied to places where keys must not be."""
    with structlog.testing.capture_logs() as lines:
        await api.delete("/admin/keys/roc_thisIsTheKey")
    (line,) = [one for one in lines if one["event"] == "request"]
    assert "thisIsTheKey" not in str(lines)
    assert (line["route"], line["status"]) == ("/admin/keys/{key:path}", 404)


async def test_an_error_of_our_own_hides_its_details(
    api: httpx.AsyncClient, clerk: StoreClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed inside is for the log; the caller gets the id to find it by."""

    async def broken(*_: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(clerk, "command", broken)
    with structlog.testing.capture_logs() as lines:
        answer = await api.post("/admin/keys", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "hunter2" not in answer.text
    assert any(one["event"] == "request_failed" for one in lines)
