"""GET /api/keys as the console's table asks it: filtered, sorted, page by page."""

import httpx2 as httpx
import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
async def made(api: httpx.AsyncClient) -> dict[str, str]:
    """Four keys; what is shown of each, by label."""
    shown = {}
    for label, limit, user in (
        ("beta", 20, "ann"),
        ("Alpha", 10, "bob"),
        ("100%_gamma", None, "ann"),
        ("delta", 0, ""),
    ):
        body = {"label": label, "daily_limit": limit, "user_id": user}
        answer = await api.post("/api/keys", json=body)
        assert answer.status_code == 201
        shown[label] = answer.json()["masked"]
        if label == "delta":
            await api.patch(f"/api/keys/{answer.json()['id']}", json={"is_active": False})
    return shown


async def labels(api: httpx.AsyncClient, **query: str) -> list[str]:
    answer = await api.get("/api/keys", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] >= len(answer.json()["items"])
    return [one["label"] for one in answer.json()["items"]]


async def test_keys_are_found_by_label_user_and_what_is_shown_of_them(
    api: httpx.AsyncClient, made: dict[str, str]
) -> None:
    """Whoever complains names one of the three."""
    assert await labels(api, q="ALPHA") == ["Alpha"]
    assert await labels(api, q="ann") == ["beta", "100%_gamma"]
    assert await labels(api, q=made["delta"][-4:]) == ["delta"]
    assert await labels(api, q="nobody") == []


async def test_what_is_looked_for_is_no_pattern(
    api: httpx.AsyncClient, made: dict[str, str]
) -> None:
    """A percent sign in a label is a percent sign."""
    assert await labels(api, q="%") == ["100%_gamma"]
    assert await labels(api, q="_gamma") == ["100%_gamma"]


async def test_filters_hold_together(api: httpx.AsyncClient, made: dict[str, str]) -> None:
    """Each narrows what the others leave."""
    assert await labels(api, is_active="false") == ["delta"]
    assert await labels(api, is_active="true", user_id="ann", q="gamma") == ["100%_gamma"]


async def test_keys_are_sorted_both_ways(api: httpx.AsyncClient, made: dict[str, str]) -> None:
    """A table that sorts one page only is wrong on every other."""
    expected = ["100%_gamma", "Alpha", "beta", "delta"]
    assert await labels(api, sort="label") == expected
    assert await labels(api, sort="-label") == expected[::-1]
    assert await labels(api) == list(made)


async def test_pages_hold_every_key_once(api: httpx.AsyncClient, made: dict[str, str]) -> None:
    """Equal ones must not change places between two pages."""
    seen: list[str] = []
    cursor: str | None = "0"
    while cursor is not None:
        query = {"sort": "-last_used", "limit": "1", "cursor": cursor}
        page = (await api.get("/api/keys", params=query)).json()
        assert page["total"] == len(made)
        seen += [one["label"] for one in page["items"]]
        cursor = page["next"]
    assert sorted(seen) == sorted(made)


@pytest.mark.parametrize("query", [{"sort": "secret"}, {"is_active": "perhaps"}, {"limit": "0"}])
async def test_nonsense_is_refused_and_named(api: httpx.AsyncClient, query: dict[str, str]) -> None:
    """A filter that is silently ignored shows what it was to hide."""
    answer = await api.get("/api/keys", params=query)
    assert answer.status_code == 400
    assert f"`{next(iter(query))}`" in answer.json()["error"]["message"]
