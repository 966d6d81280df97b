"""What the edge is told, to the byte: the Worker's tests read the same shared file."""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core import edge, sealing
from tallygate.core.keys import hash_key
from tallygate.core.limits import Dimension, Limit
from tallygate.core.routes import HeaderRules, Route
from tallygate.core.usage_events import read_uses
from tallygate.core.usage_report import event_of
from tallygate.core.windows import Span, window_at

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "contract" / "edge-vectors.json").read_text("utf-8"))
KV = VECTORS["kv"]
KEY = edge.key_of(KV["secret"])
ROUTES = msgspec.convert(KV["routes"]["given"], list[Route])
SHUT = {route.id: route for route in msgspec.convert(KV["routes"]["shut"], list[Route])}

headers = st.dictionaries(st.text("abc-", min_size=1), st.text(), min_size=1, max_size=3)


def with_headers(added: dict[str, str]) -> Route:
    return Route(1, "/a", "http://b", request_headers=HeaderRules(add=added))


def test_routes_are_written_as_the_shared_file_has_them() -> None:
    """The Worker reads this very text."""
    assert edge.text_of(edge.routes_of(ROUTES, SHUT, KEY)) == KV["routes"]["text"]
    without = edge.text_of(edge.routes_of(ROUTES, SHUT, None))
    assert without == KV["routes"]["text_without_secret"]


@pytest.mark.parametrize("case", KV["tokens"], ids=lambda case: case["text"])
def test_tokens_are_written_as_the_shared_file_has_them(case: Any) -> None:
    assert edge.token_name(hash_key(case["token"].encode())) == case["name"]
    document = msgspec.json.decode(case["text"], type=edge.EdgeToken)
    assert edge.text_of(document) == case["text"]
    assert case["token"] not in case["name"] + case["text"]


@pytest.mark.parametrize(
    "case", VECTORS["windows"], ids=lambda case: f"{case['span']} {case['zone']}"
)
def test_windows_are_those_of_the_shared_file(case: Any) -> None:
    """A limit per day ends at the same midnight, whoever counts."""
    window = window_at(Span(case["span"]), case["zone"], case["now_s"])
    assert window == (case["start_s"], case["end_s"])


@given(headers)
def test_headers_go_sealed_and_open_only_with_the_secret_on_their_route(
    added: dict[str, str],
) -> None:
    """They are a backend's credential, and KV is somebody else's computer."""
    document = edge.routes_of([with_headers(added)], {}, KEY)
    rules = document.routes[0].request_headers
    assert rules is not None and rules.add == {}
    sealed = base64.b64decode(rules.sealed)
    opened = sealing.unseal(KEY, sealed, "edge.route:1")
    assert json.loads(opened) == added
    for key, purpose in ((edge.key_of("another"), "edge.route:1"), (KEY, "edge.route:2")):
        with pytest.raises(sealing.Unsealable):
            sealing.unseal(key, sealed, purpose)


@given(headers, headers)
def test_a_text_changes_with_what_it_says_and_never_by_itself(
    one: dict[str, str], other: dict[str, str]
) -> None:
    """Each change of a text is one of a thousand writes a day."""
    texts = [edge.text_of(edge.routes_of([with_headers(it)], {}, KEY)) for it in (one, other, one)]
    assert texts[0] == texts[2]
    assert (texts[0] == texts[1]) == (one == other)


def test_without_a_secret_no_header_leaves_and_its_route_is_withheld() -> None:
    """Left out, a shorter route would take its requests; sent without it, the backend's doors."""
    document = edge.routes_of([with_headers({"authorization": "s3cret"})], {}, None)
    assert document.routes[0].withheld == edge.HEADERS
    assert "s3cret" not in edge.text_of(document)


def test_what_the_edge_reports_is_taken_as_it_is() -> None:
    """The Worker's tests hold it to the same fields: a report that is refused is a use unseen."""
    (report,) = VECTORS["reports"]
    (use,) = read_uses(json.dumps([report]).encode(), 1 << 50, 100, b"")
    assert use.token.hex() == report["token_hash"]
    said = (use.route, use.at_ms, use.address, use.agent, use.status, use.duration_ms)
    names = ("route", "timestamp", "ip_address", "user_agent", "response_status")
    assert said == (*(report[name] for name in names), report["response_time_ms"])
    assert use.event == event_of(report["event_id"])


def test_the_edge_counts_requests_and_nothing_else() -> None:
    limits = [
        Limit(1, Dimension.REQUESTS, Span.DAY, "UTC", 5),
        Limit(2, Dimension.TOKENS, Span.DAY, "UTC", 5),
        Limit(3, Dimension.REQUESTS, Span.DAY, "UTC", None),
    ]
    assert [one.id for one in edge.limits_of(limits)] == [1]
