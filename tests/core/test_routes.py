"""Which route a request takes and whether it may: shared vectors, and what holds for any table."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.keys import hash_key
from tallygate.core.paths import OWN, OWN_APIS, is_own
from tallygate.core.routes import STATUS, Route, RouteTable, Token, Why, decide, without_port

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "contract" / "route-vectors.json").read_text("utf-8"))
CASES = [
    pytest.param(group, case, id=f"{group['name']}: {case['name']}")
    for group in VECTORS["groups"]
    for case in group["requests"]
]

segments = st.lists(st.sampled_from(["a", "b", "ab", "c.d", "api"]), max_size=5)


def as_path(parts: list[str]) -> str:
    return "/" + "/".join(parts)


def route_of(number: int, given: dict[str, Any]) -> Route:
    return Route(number, **{**given, "methods": tuple(given["methods"])})


@pytest.mark.parametrize(("group", "case"), CASES)
def test_every_shared_vector_is_decided_as_it_says(group: Any, case: Any) -> None:
    """The edge worker is held to the same file, so both gates let the same requests through."""
    table = RouteTable(route_of(number, one) for number, one in enumerate(group["routes"], 1))
    tokens = {
        one["token"]: Token(
            scopes=tuple(one["scopes"]),
            is_active=one["is_active"],
            expires_ms=one["expires_ms"],
            addresses=None if (nets := one.get("addresses")) is None else tuple(nets),
        )
        for one in group["tokens"]
    }
    verdict = decide(
        table,
        tokens,
        method=case["method"],
        host=case["host"],
        target=case["target"],
        headers=case["headers"],
        address=case.get("address", "127.0.0.1"),
        now_ms=group["now_ms"],
    )
    expected = case["verdict"]
    assert (verdict.why, verdict.status) == (expected["why"], expected["status"])
    assert (verdict.route, verdict.forwarded) == (expected["route"], expected["forwarded"])


def test_the_shared_file_names_our_own_paths_as_the_code_does() -> None:
    """The edge reads them there."""
    assert VECTORS["own"] == {"first": sorted(OWN), "api": sorted(OWN_APIS)}


def test_the_shared_file_says_how_each_verdict_is_answered() -> None:
    """The edge reads statuses and codes there."""
    refusals = {why: one["status"] for why, one in VECTORS["refusals"].items()}
    assert refusals == {why.value: status for why, status in STATUS.items() if why is not Why.OK}
    assert {
        case["verdict"]["why"] for group in VECTORS["groups"] for case in group["requests"]
    } == {why.value for why in Why}, "each verdict has a case"


def test_the_shared_file_knows_tokens_by_their_hash() -> None:
    """The edge is told hashes only."""
    for one in (token for group in VECTORS["groups"] for token in group["tokens"]):
        assert hash_key(one["token"].encode()).hex() == one["token_hash"]


@given(st.lists(segments, max_size=12), segments)
def test_the_match_is_the_longest_path_that_covers_the_request(
    paths: list[list[str]], asked: list[str]
) -> None:
    """However many overlap: compared with looking at each route by itself."""
    table = RouteTable(Route(1, as_path(parts), "http://b", host="h") for parts in paths)
    covering = [parts for parts in paths if parts == asked[: len(parts)]]
    found = table.match("h", as_path(asked))
    if not covering:
        assert found is None
    else:
        assert found is not None
        assert found.path == as_path(max(covering, key=len))


@given(segments)
def test_a_route_without_a_host_never_takes_a_path_of_ours(asked: list[str]) -> None:
    """Not even the route of everything: its backend could play the console."""
    table = RouteTable([Route(1, "/", "http://b"), Route(2, "/api", "http://b")])
    for path in (as_path(asked), as_path(["api", "tokens", *asked]), as_path(["v1", *asked])):
        assert (table.match("h", path) is None) == is_own(path)


def test_a_thousand_routes_cost_as_many_look_ups_as_the_path_has_segments() -> None:
    """Matching must not slow down with the number of routes."""
    asked: list[str] = []

    class Watched(dict[str, Route]):
        def get(self, key: str, default: Any = None) -> Any:
            asked.append(key)
            return super().get(key, default)

    table = RouteTable(Route(n, f"/services/team-{n}/api", "http://b") for n in range(1000))
    table._anywhere.routes = Watched(table._anywhere.routes)
    found = table.match("h", "/services/team-7/api/v2/things/9")
    assert found is not None
    assert found.id == 7
    assert asked == ["/services/team-7/api"]
    assert table.match("h", "/elsewhere/x/y/z") is None
    assert len(asked) <= 1 + 4


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("a.test", "a.test"),
        ("A.Test:80", "a.test"),
        ("a.test:", "a.test"),
        ("[::1]", "[::1]"),
        ("[::1]:8787", "[::1]"),
        ("a.test.", "a.test"),
        ("", ""),
    ],
)
def test_a_host_is_read_without_its_port(sent: str, name: str) -> None:
    """The port is the listener's; the same service answers on any."""
    assert without_port(sent) == name


def test_what_a_route_adds_is_not_shown() -> None:
    """A header that is added is mostly the backend's own credential."""
    route = msgspec.json.decode(
        b'[1,"/a","http://b","",[],"",false,"",[[],{},{"authorization":"Bearer s3cret"}]]',
        type=Route,
    )
    assert "s3cret" not in repr(route)
    assert "s3cret" not in repr(route.request_headers)
