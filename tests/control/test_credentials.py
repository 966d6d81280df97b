"""/api/credentials: secrets go in and never out; what is wrong is named before it is kept."""

import httpx2 as httpx
import pytest

pytestmark = pytest.mark.anyio

NEW = {
    "kind": "baoming",
    "name": "统一",
    "user": "张三",
    "secret": "s3cret-t0ken",
    "variables": {"base_url": "https://tool.example/api"},
}


async def test_a_credential_lives_from_creation_to_deletion(api: httpx.AsyncClient) -> None:
    """Made, listed, changed, asked for, deleted; the secret in no answer."""
    made = await api.post("/api/credentials", json=NEW)
    assert made.status_code == 201
    one = made.json()
    assert (one["state"], one["pool"], one["last_used"]) == ("fresh", "baoming", None)
    place = f"/api/credentials/{one['id']}"
    assert (await api.get(place)).json() == one
    assert (await api.get("/api/credentials")).json()["items"] == [one]
    changed = await api.patch(place, json={"name": "新", "pool": "cards"})
    assert (changed.json()["name"], changed.json()["pool"]) == ("新", "cards")
    again = await api.patch(place, json={"secret": "another-s3cret"})
    assert again.json()["state"] == "fresh"
    assert (await api.post(f"{place}/check")).status_code == 200
    assert (await api.post(f"{place}/restore")).status_code == 422
    assert (await api.delete(place)).json()["state"] == "deleted"
    assert (await api.get(place)).status_code == 404
    assert (await api.get("/api/credentials")).json()["total"] == 0
    gone = (await api.get("/api/credentials?state=deleted")).json()["items"]
    assert [row["id"] for row in gone] == [one["id"]]
    audit = (await api.get("/api/audit")).text
    for said in (made.text, again.text, audit):
        assert "s3cret" not in said
    assert "credential.delete" in audit


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"kind": "telnet"}, "telnet"),
        ({"variables": {}}, "base_url"),
        ({"variables": {"base_url": "ftp://s3cret@h"}}, "http"),
        ({"variables": {"base_url": "https://h", "color": "red"}}, "color"),
        ({"secret": ""}, "secret"),
        ({"secret": "two\nlines of s3cret"}, "one line"),
        ({"secret": '{"s3cret'}, "JSON"),
        ({"name": "\x1b[2J"}, "printable"),
        ({"colour": 1}, "colour"),
    ],
)
async def test_what_can_not_be_kept_is_named_and_not_repeated(
    api: httpx.AsyncClient, change: dict[str, object], word: str
) -> None:
    refused = await api.post("/api/credentials", json=NEW | change)
    assert refused.status_code == 400 and word in refused.json()["error"]["message"]
    assert "s3cret" not in refused.text
    assert (await api.get("/api/credentials")).json()["total"] == 0


async def test_the_same_secret_twice_is_a_conflict(api: httpx.AsyncClient) -> None:
    """Unless it is the same call sent again."""
    key = {"Idempotency-Key": "once"}
    first = await api.post("/api/credentials", json=NEW, headers=key)
    again = await api.post("/api/credentials", json=NEW, headers=key)
    assert first.json() == again.json() and again.status_code == 201
    other = await api.post("/api/credentials", json=NEW | {"name": "other"})
    assert other.status_code == 409


async def test_pages_follow_each_other(api: httpx.AsyncClient) -> None:
    for number in range(5):
        await api.post("/api/credentials", json=NEW | {"secret": f"t{number}"})
    found, cursor = [], ""
    while cursor is not None:
        page = (await api.get(f"/api/credentials?limit=2{cursor}")).json()
        assert page["total"] == 5
        found += [row["id"] for row in page["items"]]
        cursor = page["next"] and f"&cursor={page['next']}"
    assert len(found) == len(set(found)) == 5
    assert (await api.get("/api/credentials?state=happy")).status_code == 400


async def test_the_kinds_are_shown_with_what_they_need(api: httpx.AsyncClient) -> None:
    kinds = {kind["name"]: kind for kind in (await api.get("/api/credentials/kinds")).json()}
    assert set(kinds) == {"baoming", "oauth2", "bearer-probe", "openai-key"}
    assert kinds["openai-key"]["variables"] == {"base_url": "https://api.openai.com/v1"}
    assert kinds["oauth2"]["is_refreshed"] and not kinds["oauth2"]["is_probed"]


async def test_strangers_see_nothing(stranger: httpx.AsyncClient) -> None:
    for path in ("", "/kinds", "/1"):
        assert (await stranger.get(f"/api/credentials{path}")).status_code == 401
    assert (await stranger.post("/api/credentials", json=NEW)).status_code == 401
