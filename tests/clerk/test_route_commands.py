"""Routes as the clerk keeps them: checked, audited without secrets, told to every worker."""

from typing import Any

import pytest

from tallygate.core.commands import CreateKey, KeyView
from tallygate.core.errors import Code, Refusal
from tallygate.core.limits import Limit
from tallygate.core.ports import Reload
from tallygate.core.route_commands import (
    DeleteRoute,
    HeaderSpec,
    RouteLimitSpec,
    RouteView,
    SaveRoute,
)
from tallygate.core.routes import Route
from tallygate.core.shares import Share, Shared
from tallygate.store import audit, limits, routes
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import MASTER_KEY, Node, until

pytestmark = pytest.mark.anyio

PORT = 8787


def wanted(path: str = "/api/test", **changes: Any) -> SaveRoute:
    values = {"id": None, "path": path, "backend_url": "http://10.0.0.7:9000/base"}
    return SaveRoute(**(values | changes))


async def save(node: Node, **changes: Any) -> RouteView:
    return await node.command(wanted(**changes), into=RouteView)


async def refusal(node: Node, **changes: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await node.command(wanted(**changes))
    return caught.value


async def loaded(node: Node) -> tuple[Route, ...]:
    async with node.db.reading() as tx:
        found, shut = await routes.load(tx, MASTER_KEY)
    assert shut == []
    return found


async def test_a_route_is_kept_changed_and_deleted(any_node: Node) -> None:
    """On both stores, and gateways are told each time."""
    made = await save(any_node, scope="read", methods=["GET"], path="/api/test/")
    assert (made.path, made.scope, made.methods) == ("/api/test", "read", ["GET"])
    (route,) = await loaded(any_node)
    assert (route.id, route.path, route.scope) == (made.id, "/api/test", "read")
    changed = await any_node.command(SaveRoute(id=made.id, rewrite="/v2", scope=""), into=RouteView)
    assert (changed.rewrite, changed.scope, changed.methods) == ("/v2", "", ["GET"])
    await any_node.command(SaveRoute(id=made.id, is_active=False), into=RouteView)
    assert await loaded(any_node) == ()
    await any_node.command(DeleteRoute(id=made.id), into=RouteView)
    for gone in (DeleteRoute(id=made.id), SaveRoute(id=made.id, scope="x")):
        with pytest.raises(Refusal) as caught:
            await any_node.command(gone)
        assert caught.value.code is Code.NOT_FOUND


async def test_host_and_path_are_one_routes_only(any_node: Node) -> None:
    """Overlapping is what the longest match is for; which of two equal ones wins nobody knows."""
    first = await save(any_node)
    assert (await refusal(any_node)).code is Code.CONFLICT
    assert (await refusal(any_node, path="/api/test/")).code is Code.CONFLICT
    await save(any_node, path="/api/test/deeper")
    await save(any_node, host="Tools.Example.com")
    assert (await refusal(any_node, host="tools.example.com")).code is Code.CONFLICT
    other = await save(any_node, path="/api/other")
    with pytest.raises(Refusal) as caught:
        await any_node.command(SaveRoute(id=other.id, path="/api/test"))
    assert caught.value.code is Code.CONFLICT
    assert {one.path for one in await loaded(any_node)} == {
        *("/api/test", "/api/test/deeper", "/api/other")
    }
    assert first.id in {one.id for one in await loaded(any_node)}


@pytest.mark.parametrize(
    ("path", "is_free"),
    [
        *(("/api/test", True), ("/api", True), ("/apis/tokens", True), ("/v1beta", True)),
        *(("/", False), ("/admin", False), ("/admin/keys", False), ("/api/tokens", False)),
        *(("/api/usage", False), ("/api/usage-log", False), ("/api/usage/x", False)),
        *(("/v1", False), ("/v1/chat", False), ("/console", False), ("/healthz", False)),
        *(("/token-dashboard", False), ("/dify/x", False), ("/internal", False)),
    ],
)
async def test_a_path_of_ours_is_refused_unless_the_route_has_a_host(
    node: Node, path: str, is_free: bool
) -> None:
    """A backend must not be able to stand where the console or the API is."""
    if is_free:
        await save(node, path=path)
    else:
        assert (await refusal(node, path=path)).code is Code.BAD_REQUEST
        made = await save(node, path=path, host="own.test")
        with pytest.raises(Refusal):
            await node.command(SaveRoute(id=made.id, host=""))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "api",
        "/a//b",
        "/a/../b",
        "/a?b",
        "/a#b",
        "/a%2fb",
        "/a b",
        "/ä",
        "/a\n",
        "/" + "x" * 600,
    ],
)
async def test_a_path_that_no_request_could_have_is_refused(node: Node, path: str) -> None:
    assert (await refusal(node, path=path)).code is Code.BAD_REQUEST


@pytest.mark.parametrize(
    "url",
    [
        *("", "b", "ftp://b", "http://", "http:///x", "http://u:p@b", "http://b?x", "http://b#x"),
        *("http://b:0", "http://b:99999", "http://b/a/../c", "http://b/ x", "//b", "http://[x"),
    ],
)
async def test_a_backend_that_is_no_plain_url_is_refused_and_not_repeated(
    node: Node, url: str
) -> None:
    """It may hold a password."""
    refused = await refusal(node, backend_url=url)
    assert refused.code is Code.BAD_REQUEST
    assert "u:p" not in refused.message


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        *(("http://127.0.0.1:9000", True), ("http://192.168.1.5:8787", True)),
        *(("http://localhost:9000", True), ("http://[::1]:9000", True)),
        *(("http://127.0.0.1:8787", False), ("http://localhost:8787/x", False)),
        *(("http://127.9.9.9:8787", False), ("http://[::1]:8787", False)),
        *(("http://[::ffff:127.0.0.1]:8787", False), ("https://gate.example.com", False)),
        *(("http://console.example.com", False), ("http://169.254.169.254/latest", False)),
        *(("http://[fe80::1]:80", False), ("http://0.0.0.0:9000", False)),
        *(("http://[fd00:ec2::254]", False), ("http://100.100.100.200", False)),
    ],
)
async def test_a_route_never_leads_to_metadata_or_back_to_us(
    make_node: MakeNode, url: str, is_allowed: bool
) -> None:
    """Private services are what routes are for; a cloud's credentials and a circle are not."""
    node = await make_node(
        port=PORT, public_url="https://gate.example.com", console_host="console.example.com"
    )
    if is_allowed:
        await save(node, backend_url=url)
    else:
        assert (await refusal(node, backend_url=url)).code is Code.IMPOSSIBLE


@pytest.mark.parametrize(
    "changes",
    [
        *({"methods": ["GET", "FETCH"]}, {"methods": ["get"]}, {"methods": ["GET", "GET"]}),
        *({"host": "a b"}, {"host": "a.test:80"}, {"host": "*.test"}, {"host": "-a.test"}),
        *({"rewrite": "x"}, {"rewrite": "/a/../b"}, {"rewrite": "/x", "strip_prefix": True}),
        *({"connect_ms": 0}, {"total_ms": -1}, {"first_byte_ms": 1 << 40}, {"scope": "x" * 600}),
        {"request_headers": HeaderSpec(add={"host": "x"})},
        {"request_headers": HeaderSpec(add={"x a": "x"})},
        {"request_headers": HeaderSpec(add={"x": "a\r\nevil: 1"})},
        {"request_headers": HeaderSpec(add={"x": None})},
        {"request_headers": HeaderSpec(rename={"x": "content-length"})},
        {"request_headers": HeaderSpec(rename={"x": "transfer-encoding"})},
        {"response_headers": HeaderSpec(add={"connection": "x"})},
        {"response_headers": HeaderSpec(add={"x": None})},
        {"response_headers": HeaderSpec(remove=[f"x-{n}" for n in range(100)])},
        {"limits": [RouteLimitSpec(amount=1, dimension="tokens")]},
        {"limits": [RouteLimitSpec(amount=1, per="team")]},
        {"limits": [RouteLimitSpec(amount=1, span="week")]},
        {"limits": [RouteLimitSpec(amount=-1)]},
        {"limits": [RouteLimitSpec(amount=1, zone="Mars/Base")]},
        {"limits": [RouteLimitSpec(amount=1)] * 33},
        {"credentials": "x" * 201},
        {"credentials": "a\0b"},
        {"credential_query": "key"},
        {"credential_header": "x-key: {secret}"},
        {"credentials": "cards", "credential_query": "a&b"},
        {"credentials": "cards", "credential_header": "{secret}"},
        {"credentials": "cards", "credential_header": "x-key: secret"},
        {"credentials": "cards", "credential_header": "x-key: {secret}{secret}"},
        {"credentials": "cards", "credential_header": "x-key: {secret}\r\nevil: 1"},
        {"credentials": "cards", "credential_header": "host: {secret}"},
        {"credentials": "cards", "credential_header": "x: {secret}", "credential_query": "key"},
        {
            "credentials": "cards",
            "request_headers": HeaderSpec(add={"authorization": "Basic abc"}),
        },
    ],
)
async def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    node: Node, changes: dict[str, Any]
) -> None:
    assert (await refusal(node, **changes)).code is Code.BAD_REQUEST
    assert await loaded(node) == ()


async def test_headers_that_are_added_rest_sealed_and_are_never_answered(any_node: Node) -> None:
    """Mostly they are the backend's own credential."""
    spec = HeaderSpec(add={"authorization": "Bearer s3cret", "x-team": "blue"})
    made = await save(any_node, request_headers=spec)
    assert made.request_headers.add == {"authorization": None, "x-team": None}
    (route,) = await loaded(any_node)
    assert route.request_headers.add == {"authorization": "Bearer s3cret", "x-team": "blue"}
    async with any_node.db.reading() as tx:
        rows = await audit.page(tx, limit=10)
        columns = routes._rows.c
        row = (await tx.execute(columns.rules.table.select())).one()
    assert "s3cret" not in str(rows)
    assert "s3cret" not in row.rules
    assert b"s3cret" not in bytes(row.sealed)


async def test_what_a_list_showed_can_be_sent_back_without_losing_a_header(any_node: Node) -> None:
    """A value of null keeps what is there; a name that is left out goes."""
    made = await save(any_node, request_headers=HeaderSpec(add={"x-a": "1", "x-b": "2"}))
    kept = HeaderSpec(add={"x-a": None, "x-c": "3"})
    await any_node.command(SaveRoute(id=made.id, request_headers=kept))
    (route,) = await loaded(any_node)
    assert route.request_headers.add == {"x-a": "1", "x-c": "3"}
    await any_node.command(SaveRoute(id=made.id, scope="x"))
    (route,) = await loaded(any_node)
    assert route.request_headers.add == {"x-a": "1", "x-c": "3"}


async def test_another_master_key_takes_one_route_down_and_no_other(node: Node) -> None:
    await save(node, request_headers=HeaderSpec(add={"x-a": "1"}))
    await save(node, path="/api/plain")
    async with node.db.reading() as tx:
        found, shut = await routes.load(tx, bytes(32))
    assert [one.path for one in found] == ["/api/plain"]
    assert shut == ["/api/test"]


async def test_limits_keep_their_counters_when_a_route_is_saved_again(any_node: Node) -> None:
    """An equal limit is the same limit; another amount moves it, and tokens' shares with it."""
    both = [RouteLimitSpec(amount=5), RouteLimitSpec(amount=2, span="minute", per="token")]
    made = await save(any_node, limits=both)
    (template,) = made.token_limits
    share = await share_of(any_node, template.id, 41)
    assert share is not None
    assert (share.amount, share.span) == (2, template.span)
    assert await share_of(any_node, template.id, 41) == share
    other = await share_of(any_node, template.id, 42)
    assert other is not None
    assert other.id != share.id
    again = await any_node.command(SaveRoute(id=made.id, limits=both), into=RouteView)
    assert again.limits == made.limits
    assert again.token_limits == made.token_limits
    both[1].amount = 9
    await any_node.command(SaveRoute(id=made.id, limits=both), into=RouteView)
    moved = await share_of(any_node, template.id, 41)
    assert moved is not None
    assert (moved.id, moved.amount) == (share.id, 9)
    await any_node.command(SaveRoute(id=made.id, limits=[]), into=RouteView)
    assert await share_of(any_node, template.id, 41) is None
    async with any_node.db.reading() as tx:
        assert await limits.of_subjects(tx, [(routes.SHARE, f"{template.id}:41")]) == []


async def share_of(node: Node, limit_id: int, key_id: int) -> Limit | None:
    if not node.workers:
        await node.worker(slot=0)
    (worker,) = node.workers
    count = len([one for one in worker.messages if isinstance(one, Shared)]) + 1
    worker.channel.send(Share(count, limit_id, key_id))
    shared: Shared = await worker.hear(Shared, count)
    return shared.limit


async def test_a_change_reaches_workers_with_all_routes(node: Node) -> None:
    """Whole, so that a worker that missed one is right again with the next."""
    worker = await node.worker(slot=0)
    await save(node)
    await save(node, path="/api/other")
    await until(lambda: len(node.clerk.providers.snapshot.routes) == 2)
    reload: Reload = await worker.hear(Reload)
    assert reload.snapshot.routes
    late = await node.worker(slot=1)
    assert len(late.welcome.snapshot.routes) == 2


async def test_a_key_of_tokens_is_made_with_its_own_prefix(node: Node) -> None:
    made = await node.command(CreateKey(kind="ntk", label="n8n", scopes=["read"]), into=KeyView)
    assert made.secret is not None
    assert made.secret.startswith("ntk_")
    assert (made.daily_limit, made.has_daily_limit) == (None, False)
