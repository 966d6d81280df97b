"""/admin/keys as the seed's users know it."""

import httpx2 as httpx
import pytest

from tests.control.clerk import StoreClerk

pytestmark = pytest.mark.anyio


async def make(api: httpx.AsyncClient, **body: object) -> dict:
    answer = await api.post("/admin/keys", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_key_is_made_listed_changed_and_deleted(api: httpx.AsyncClient) -> None:
    """The contract of the seed, field by field: scripts written for it keep working."""
    made = await make(api, label="测试用户", daily_limit=100)
    assert set(made) == {"key", "label", "created_at", "daily_limit"}
    assert made["key"].startswith("roc_") and made["created_at"] == 1_770_800_000_000
    listed = (await api.get("/admin/keys")).json()
    assert listed == [{**made, "is_active": 1}]
    changed = await api.patch(f"/admin/keys/{made['key']}", json={"is_active": 0, "label": "x"})
    assert changed.json() == {**made, "label": "x", "is_active": 0}
    assert (await api.delete(f"/admin/keys/{made['key']}")).status_code == 200
    assert (await api.get("/admin/keys")).json() == []
    again = await api.delete(f"/admin/keys/{made['key']}")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "not_found")


async def test_zero_null_and_absent_limits_differ(api: httpx.AsyncClient) -> None:
    """0 lets nothing through, null everything, and absent is the operator's default."""
    assert (await make(api, daily_limit=0))["daily_limit"] == 0
    assert (await make(api, daily_limit=None))["daily_limit"] is None
    assert (await make(api))["daily_limit"] == 200
    assert (await make(api, daily_limit=2**53 - 1))["daily_limit"] == 2**53 - 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"daily_limit": true}', "daily_limit"),
        ('{"daily_limit": "5"}', "daily_limit"),
        ('{"daily_limit": 1.5}', "daily_limit"),
        ('{"daily_limit": -1}', "daily_limit"),
        ('{"daily_limit": 9007199254740992}', "daily_limit"),
        ('{"label": 5}', "label"),
        ('{"user_id": []}', "user_id"),
        ('{"surprise": 1}', "surprise"),
        ("[]", "object"),
        ("null", "object"),
        ("{", "JSON"),
        ('{"label": "\\ud800"}', "JSON"),
    ],
)
async def test_a_bad_body_is_refused_naming_the_field(
    api: httpx.AsyncClient, clerk: StoreClerk, body: str, field: str
) -> None:
    """Whoever reads the refusal must know what to send instead, and nothing was made."""
    answer = await api.post("/admin/keys", content=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert field in error["message"] and error["request_id"]
    assert clerk.seen == []


async def test_json_is_read_whatever_its_content_type(api: httpx.AsyncClient) -> None:
    """curl -d says form-encoded, and everyone uses curl -d."""
    for kind in ("application/x-www-form-urlencoded", "text/plain", "nonsense"):
        answer = await api.post(
            "/admin/keys", content='{"label":"a"}', headers={"content-type": kind}
        )
        assert answer.json()["label"] == "a"
    assert (await api.post("/admin/keys")).status_code == 200


async def test_a_key_is_named_by_itself_or_by_its_id_with_any_characters(
    api: httpx.AsyncClient, clerk: StoreClerk
) -> None:
    """Imported keys have whatever characters someone once chose."""
    for path in ("a%2Fb", "a%3Fb%23c", "%E6%B5%8B%20x", "17", "a/b/c"):
        assert (await api.delete(f"/admin/keys/{path}")).status_code == 404
    named = [arguments.key for arguments, _ in clerk.seen]
    assert named == ["a/b", "a?b#c", "测 x", "17", "a/b/c"]


async def test_without_sealed_copies_the_list_is_masked_and_has_ids(
    api: httpx.AsyncClient, masked_api: httpx.AsyncClient
) -> None:
    """An operator who does not want whole keys in a list still has to name them."""
    made = await make(api, label="secret")
    (shown,) = (await masked_api.get("/admin/keys")).json()
    assert made["key"] not in shown["key"] and shown["key"].endswith(made["key"][-4:])
    assert (await masked_api.delete(f"/admin/keys/{shown['id']}")).status_code == 200
    assert (await api.get("/admin/keys")).json() == []


async def test_the_same_idempotency_key_makes_one_key(api: httpx.AsyncClient) -> None:
    """A retried creation must not leave a second key behind that nobody knows of."""
    headers = {"Idempotency-Key": "once"}
    first = await api.post("/admin/keys", json={"label": "a"}, headers=headers)
    second = await api.post("/admin/keys", json={"label": "a"}, headers=headers)
    assert first.json() == second.json()
    other = await api.post("/admin/keys", json={"label": "b"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    long = await api.post("/admin/keys", headers={"Idempotency-Key": "x" * 256})
    assert long.status_code == 400
    assert len((await api.get("/admin/keys")).json()) == 1


async def test_a_body_that_is_too_large_is_refused(api: httpx.AsyncClient) -> None:
    """Everything that is buffered is bounded."""
    answer = await api.post("/admin/keys", content=b" " * (1 << 20) + b"{} ")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


async def test_a_missing_clerk_is_said_and_can_be_tried_again(
    api: httpx.AsyncClient, clerk: StoreClerk
) -> None:
    """503 with Retry-After: the change did not happen and may be sent again."""
    clerk.is_down = True
    answer = await api.post("/admin/keys", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["code"] == "store_unavailable"
