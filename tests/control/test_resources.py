"""/api: keys, providers, nodes, the audit log; pages and metrics."""

import httpx2 as httpx
import pytest

from tallygate.store import nodes
from tallygate.store.database import Database
from tests.control.clerk import StoreClerk

pytestmark = pytest.mark.anyio

PROVIDER = {"name": "one", "base_url": "https://api.example.com/v1", "secret": "sk-very-secret"}


async def test_a_key_with_everything_is_made_and_shown(api: httpx.AsyncClient) -> None:
    """What the seed could not do: limits of every kind, expiry, models, addresses."""
    body = {
        "label": "team",
        "daily_limit": 10,
        "limits": [{"dimension": "tokens", "span": "month", "amount": 5, "zone": "Asia/Taipei"}],
        "expires_at": "2027-01-01T08:00:00+08:00",
        "models": ["deepseek-*"],
        "addresses": ["192.0.2.1", "2001:db8::/32"],
        "scopes": ["chat"],
    }
    made = await api.post("/api/keys", json=body)
    assert made.status_code == 201
    shown = made.json()
    assert shown.pop("secret").startswith("roc_")
    assert shown["expires_at"] == "2027-01-01T00:00:00.000Z"
    assert shown["addresses"] == ["192.0.2.1/32", "2001:db8::/32"]
    assert shown["limits"] == body["limits"]
    assert (await api.get("/api/keys/1")).json() == shown
    assert (await api.get("/api/keys")).json() == {"items": [shown], "total": 1, "next": None}


async def test_a_rotated_key_keeps_its_id(api: httpx.AsyncClient) -> None:
    """Limits, counters and history hang on the id; only the secret is new."""
    old = (await api.post("/api/keys", json={})).json()
    new = (await api.post(f"/api/keys/{old['secret']}/rotate", json={"grace_s": 60})).json()
    assert new["id"] == old["id"] and new["secret"] != old["secret"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"expires_at": "2027-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"addresses": ["192.0.2.1/24"]}, "addresses"),
        ({"addresses": ["fe80::1%eth0"]}, "addresses"),
        (
            {"limits": [{"span": "week", "amount": 1}]},
            "`limits[0].span`: use one of minute, hour, day, month, total, not 'week'",
        ),
        ({"kind": "ntk"}, "`kind`: use one of roc, not 'ntk'"),
        ({"is_active": 2}, "is_active"),
        ({"limits": [{"amount": 1, "extra": 2}]}, "limits[0].extra"),
        ({"limits": [{"amount": 1, "zone": "Mars/Olympus"}]}, "limits"),
        ({"limits": [{}]}, "amount"),
        ({"models": [""]}, "models"),
        ({"grace": 1}, "grace"),
    ],
)
async def test_a_bad_key_is_refused_naming_the_field(
    api: httpx.AsyncClient, body: dict, named: str
) -> None:
    """The refusal is all that its reader has."""
    answer = await api.post("/api/keys", json=body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]


async def test_a_key_of_a_team_that_is_none_is_refused(api: httpx.AsyncClient) -> None:
    """As with users: what a slip in a name would leave is a key that no team's limits hold."""
    answer = await api.post("/api/keys", json={"team_id": "rde"})
    assert answer.status_code == 422
    assert "rde" in answer.json()["error"]["message"]
    await api.post("/api/teams", json={"id": "red", "name": "Red"})
    assert (await api.post("/api/keys", json={"team_id": "red"})).json()["team_id"] == "red"


async def test_an_ipv4_network_written_as_ipv6_is_the_ipv4_network(api: httpx.AsyncClient) -> None:
    """Its clients are seen by their IPv4 addresses: as written it would let in nobody at all."""
    written = ["::ffff:192.0.2.7", "::ffff:10.0.0.0/104", "2001:db8::/32", "::/0"]
    made = (await api.post("/api/keys", json={"addresses": written})).json()
    assert made["addresses"] == ["192.0.2.7/32", "10.0.0.0/8", "2001:db8::/32", "::/0"]


async def test_lists_are_paged_to_their_end(api: httpx.AsyncClient) -> None:
    """Following `next` shows every item once."""
    for number in range(5):
        await api.post("/api/keys", json={"label": str(number)})
    labels, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/api/keys", params=query)).json()
        labels += [one["label"] for one in page["items"]]
        assert page["total"] == 5
        if (cursor := page["next"]) is None:
            break
    assert labels == ["0", "1", "2", "3", "4"]
    for query in ({"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"cursor": "-1"}):
        assert (await api.get("/api/keys", params=query)).status_code == 400


async def test_a_provider_is_made_changed_and_removed_without_its_secret_coming_back(
    api: httpx.AsyncClient,
) -> None:
    """A secret goes in and never out, not even into the audit log."""
    made = await api.post("/api/providers", json=PROVIDER)
    assert (made.status_code, made.json()["has_secret"]) == (201, True)
    again = await api.post("/api/providers", json=PROVIDER)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    changed = await api.patch("/api/providers/one", json={"weight": 3, "models": ["m"]})
    assert (changed.json()["weight"], changed.json()["models"]) == (3, ["m"])
    assert changed.json()["base_url"] == PROVIDER["base_url"]
    everything = (await api.get("/api/providers")).text + (await api.get("/api/audit")).text
    assert "very-secret" not in everything
    assert (await api.delete("/api/providers/one")).status_code == 200
    assert (await api.delete("/api/providers/one")).status_code == 404
    assert (await api.patch("/api/providers/one", json={})).status_code == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"base_url": "ftp://example.com"}, 400),
        ({"base_url": "https://user:hunter2@example.com"}, 400),
        ({"base_url": "https://example.com/v1?x=1"}, 400),
        ({"base_url": "https://"}, 400),
        ({"base_url": "http://[::1"}, 400),
        ({"base_url": "https://exa mple.com"}, 400),
        ({"name": "a/b"}, 400),
        ({"name": "demo"}, 422),
        ({"secret": "with\nnewline"}, 400),
        ({"weight": 0}, 400),
        ({"weight": True}, 400),
        ({"protocol": "gopher"}, 400),
        ({"passthrough": ["/v1/../admin"]}, 400),
        ({"colour": "red"}, 400),
    ],
)
async def test_a_bad_provider_is_refused(api: httpx.AsyncClient, change: dict, status: int) -> None:
    """Nothing is forwarded to a place that was mistyped, and no password is repeated."""
    answer = await api.post("/api/providers", json={**PROVIDER, **change})
    assert answer.status_code == status, answer.text
    assert "hunter2" not in answer.text


async def test_the_audit_log_says_who_what_and_from_where(api: httpx.AsyncClient) -> None:
    """The question after an incident."""
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "req_1"}
    await api.post("/api/providers", json=PROVIDER, headers=headers)
    await api.patch("/api/providers/one", json={"weight": 2})
    page = (await api.get("/api/audit", params={"limit": 1})).json()
    assert (page["total"], page["items"][0]["action"]) == (2, "provider.save")
    (older,) = (await api.get("/api/audit", params={"cursor": page["next"]})).json()["items"]
    assert (older["actor"], older["address"], older["request_id"]) == (
        "admin",
        "203.0.113.9",
        "req_1",
    )
    assert older["at"] == "2026-02-11T08:53:20.000Z"


async def test_nodes_are_listed_and_given_up(api: httpx.AsyncClient, db: Database) -> None:
    """A node that will not come back holds units until someone says so."""
    async with db.writing() as tx:
        await nodes.register_node(tx, "abc", "berlin", 1_770_800_000_000)
    (node,) = (await api.get("/api/nodes")).json()["items"]
    assert (node["uuid"], node["name"], node["retired_at"]) == ("abc", "berlin", None)
    assert (await api.post("/api/nodes/abc/retire")).json()["node"] == "abc"
    assert (await api.post("/api/nodes/abc/retire")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/charges?user_id=a%00b", None),
        ("GET", "/api/user/points/history?model=%00&user_id=ann", None),
        ("POST", "/api/user/redeem", {"code": "x", "user_id": "a\0b"}),
        ("POST", "/api/user/points/check-balance", {"model": "m", "userId": "\0"}),
        ("POST", "/api/tokens", {"name": "n", "team_id": "\0"}),
        ("PUT", "/api/exchange-rate", {"rate": 1, "reason": "\\\0"}),
    ],
)
async def test_no_nul_reaches_a_store(
    api: httpx.AsyncClient, method: str, path: str, body: dict | None
) -> None:
    """PostgreSQL keeps no text with one: it would be an error of ours and not of the caller's."""
    answer = await api.request(method, path, json=body)
    assert answer.status_code == 400 and "NUL" in answer.json()["error"]["message"]


async def test_a_text_that_only_speaks_of_nul_is_taken(api: httpx.AsyncClient) -> None:
    made = await api.post("/api/keys", json={"label": "\\u0000"})
    assert (made.status_code, made.json()["label"]) == (201, "\\u0000")


async def test_metrics_are_prometheus_text(api: httpx.AsyncClient) -> None:
    """A scraper that gets JSON records nothing and says nothing."""
    answer = await api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "tallygate_clerk_journal_lag_bytes 7" in answer.text


async def test_the_start_page_says_whether_this_is_a_demo(
    api: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    """A demo that is taken for a model is a disappointment; one that lingers is worse."""
    assert "demo/echo" in (await stranger.get("/")).text
    await api.post("/api/providers", json=PROVIDER)
    await api.delete("/api/providers/one")
    page = await stranger.get("/")
    assert "demo/echo" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_docs_page_describes_every_call_without_scripts(
    stranger: httpx.AsyncClient,
) -> None:
    """It must work on a closed network, and show what there is."""
    document = (await stranger.get("/openapi.json")).json()
    page = (await stranger.get("/docs")).text
    for path in document["paths"]:
        assert path in page
    assert "<script" not in page and "http://" not in page and "https://" not in page


async def test_a_change_without_a_clerk_leaves_reading_possible(
    api: httpx.AsyncClient, clerk: StoreClerk
) -> None:
    """The store can be read while the clerk restarts."""
    clerk.is_down = True
    assert (await api.get("/api/providers")).status_code == 200
    assert (await api.post("/api/providers", json=PROVIDER)).status_code == 503
