"""What a trace tells of a request: all that its entry knows, in OpenTelemetry's own words."""

from typing import Any

import msgspec
import pytest

from tallygate.core import otlp
from tallygate.core.dify import App
from tallygate.core.entry import Attempt, Charge, DifyUse, Entry, Outcome
from tallygate.core.genai_names import Sites
from tallygate.core.otlp_spans import (
    Kind,
    Span,
    encode_spans,
    parse_headers,
    rejected_of,
    request_body,
    traces_url,
)
from tallygate.core.provider import Protocol, Provider, Snapshot
from tallygate.core.routes import Route
from tallygate.core.traces import spans_of, trace_of
from tests.journal.samples import entry

DEEPSEEK = Provider(
    "cheap", Protocol.OPENAI, "https://api.deepseek.com/v1", "sk", aliases={"m": "deepseek-chat"}
)
OWN = Provider("own", Protocol.OPENAI, "http://10.0.0.7:8000/v1", "sk")
POOLED = Provider("shared#7", Protocol.ANTHROPIC, "https://api.anthropic.com/v1", "sk")
SNAPSHOT = Snapshot(
    1,
    (DEEPSEEK, OWN, msgspec.structs.replace(POOLED, parent="shared", credential_id=7)),
    (App("default", "dify", "https://api.dify.ai/v1", "sk"),),
    (
        Route(1, "/cards", "https://cards.internal:8443/api"),
        Route(2, "/twice", "http://one.internal", host="a.example"),
        Route(3, "/twice", "http://two.internal", host="b.example"),
    ),
)
SITES = Sites(SNAPSHOT)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def made(**changes: Any) -> Entry:
    known = {"provider": "cheap", "user_id": "ann", "counts": {"input_tokens": 11}} | changes
    return msgspec.structs.replace(entry("req_1"), **known)


def spans(one: Entry, team: str = "") -> list[Span]:
    return list(spans_of(one, trace_of(one, "node-1"), SITES, team))


def test_a_call_of_a_model_is_a_span_of_ours_and_one_of_the_provider_in_the_conventions_words() -> (
    None
):
    """What dashboards look for by name, and nothing by which anybody could get in."""
    counts = {"input_tokens": 11, "output_tokens": 7, "cache_read_tokens": 3, "requests": 1}
    own, asked = spans(made(counts=counts, charge=Charge(4, 5, 6, 1_250_000, 0)), "red")
    assert (own.name, own.kind, own.parent_id) == ("POST /v1/chat/completions", Kind.SERVER, "")
    assert own.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "user.id": "ann",
        "tallygate.request.id": "req_1",
        "tallygate.key.id": 1,
        "tallygate.team.id": "red",
        "tallygate.provider": "cheap",
        "tallygate.outcome": "ok",
        "tallygate.usage.source": "reported",
        "tallygate.first_byte_ms": 2,
        "tallygate.cost.micro_points": 1_250_000,
        "tallygate.cost.points": 1.25,
    }
    assert (asked.name, asked.kind) == ("chat deepseek-chat", Kind.CLIENT)
    assert (asked.trace_id, asked.parent_id) == (own.trace_id, own.span_id)
    assert (asked.start_ms, asked.end_ms) == (own.start_ms, own.end_ms) == (1_000, 1_005)
    assert asked.attributes == {
        "tallygate.request.id": "req_1",
        "tallygate.provider": "cheap",
        "server.address": "api.deepseek.com",
        "server.port": 443,
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "deepseek",
        "gen_ai.system": "deepseek",
        "gen_ai.request.model": "deepseek-chat",
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 3,
    }


def test_each_attempt_is_a_span_after_the_one_before_and_only_the_last_has_the_usage() -> None:
    tried = [Attempt("cheap", 503, 100), Attempt("own", 0, 250), Attempt("shared#7", 200, 900)]
    own, *asked = spans(made(attempts=tried, duration_ms=900, provider="shared"))
    assert [(one.start_ms, one.end_ms) for one in asked] == [
        (1_000, 1_100),
        (1_100, 1_350),
        (1_350, 1_900),
    ]
    assert [one.error for one in (own, *asked)] == ["", "503", "unreachable", ""]
    assert len({one.span_id for one in (own, *asked)}) == 4
    assert ["gen_ai.usage.input_tokens" in one.attributes for one in asked] == [False, False, True]
    last = asked[-1].attributes
    assert (last["tallygate.provider"], last["tallygate.credential.id"]) == ("shared", 7)
    assert last["gen_ai.provider.name"] == "anthropic"
    assert asked[1].attributes["server.address"] == "10.0.0.7"
    assert asked[1].attributes["gen_ai.provider.name"] == "own"


@pytest.mark.parametrize(
    ("changes", "ours", "upstreams"),
    [
        ({"status": 400, "outcome": Outcome.UPSTREAM_ERROR}, "", "400"),
        ({"status": 500, "outcome": Outcome.UPSTREAM_ERROR}, "500", "500"),
        ({"status": 502, "outcome": Outcome.UNREACHABLE}, "502", "unreachable"),
        ({"status": 504, "outcome": Outcome.UNREACHABLE}, "504", "timeout"),
        ({"outcome": Outcome.CUT}, "cut", "cut"),
        ({"outcome": Outcome.CLIENT_GONE}, "", ""),
        ({"outcome": Outcome.CLIENT_GONE, "status": 0}, "", ""),
    ],
)
def test_an_error_is_named_by_its_status_or_by_a_word(
    changes: dict[str, Any], ours: str, upstreams: str
) -> None:
    """Whose fault it was can be told from the two spans: a client's own mistake is none of ours."""
    own, asked = spans(made(**changes))
    assert (own.error, asked.error) == (ours, upstreams)
    for span in (own, asked):
        assert span.attributes.get("error.type", "") == span.error
    if changes["outcome"] is Outcome.UNREACHABLE:
        assert "http.response.status_code" not in asked.attributes, "nobody answered"


def test_a_request_to_a_private_service_names_its_backend_and_no_model() -> None:
    own, asked = spans(made(route="/cards", provider="", model="", counts={}, source=""))
    assert (own.name, asked.name) == ("HTTP /cards", "HTTP")
    assert asked.attributes["server.address"] == "cards.internal"
    assert asked.attributes["server.port"] == 8443
    assert not any(name.startswith("gen_ai") for name in asked.attributes)
    _, asked = spans(made(route="/twice", provider="", model="", counts={}, source=""))
    assert "server.address" not in asked.attributes, "two hosts have this path"


def test_a_path_that_is_passed_through_names_no_span() -> None:
    """Ids in paths would make as many names as there are requests."""
    own, asked = spans(made(route="/v1/files/file-abc123", model="", counts={}))
    assert (own.name, asked.name) == ("HTTP", "HTTP")
    assert own.attributes["url.path"] == "/v1/files/file-abc123"
    assert "http.route" not in own.attributes


@pytest.mark.parametrize(
    ("route", "operation"),
    [
        ("/v1/messages", "chat"),
        ("/v1/responses", "chat"),
        ("/v1/completions", "text_completion"),
        ("/v1/embeddings", "embeddings"),
        ("/dify/v1/chat-messages", "chat"),
        ("/dify/apps/desk/completion-messages", "text_completion"),
        ("/dify/v1/workflows/run", "invoke_workflow"),
    ],
)
def test_each_metered_path_is_an_operation(route: str, operation: str) -> None:
    _, asked = spans(made(route=route))
    assert asked.attributes["gen_ai.operation.name"] == operation


def test_a_call_of_dify_names_the_model_that_answered_and_its_conversation() -> None:
    event = DifyUse("dify", (), "conv-1", "msg-1", "gpt-4o", (), True)
    _, asked = spans(made(route="/dify/v1/chat-messages", provider="dify/default", event=event))
    assert asked.attributes["gen_ai.provider.name"] == "dify"
    assert asked.attributes["server.address"] == "api.dify.ai"
    assert asked.attributes["gen_ai.response.model"] == "gpt-4o"
    assert asked.attributes["gen_ai.conversation.id"] == "conv-1"


def test_a_clients_trace_is_gone_on_with() -> None:
    own, asked = spans(made(traceparent=PARENT))
    assert own.trace_id == asked.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert own.parent_id == "b7ad6b7169203331"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "nonsense",
        PARENT.upper(),
        PARENT + "0",
        "ff" + PARENT[2:],
        "00-" + "0" * 32 + PARENT[35:],
        PARENT[:36] + "0" * 16 + "-01",
    ],
)
def test_a_traceparent_that_is_none_begins_a_trace_of_its_own(bad: str) -> None:
    """The same one for the same request of the same node, and for no other."""
    trace = trace_of(made(traceparent=bad), "node-1")
    assert trace == trace_of(made(), "node-1")
    assert (len(trace.id), len(trace.span_id), trace.parent_id) == (32, 16, "")
    others = {trace_of(made(), "node-2"), trace_of(made(request_id="req_2"), "node-1")}
    assert len({one.id for one in others} | {trace.id}) == 3


def test_the_ratio_decides_by_the_traces_id_and_a_clients_sampled_trace_stays_whole() -> None:
    own = [trace_of(made(request_id=f"req_{number}"), "node-1") for number in range(2_000)]
    kept = [one for one in own if one.is_sampled(0.25)]
    assert 400 < len(kept) < 600
    assert all(one.is_sampled(0.5) for one in kept), "a larger share holds the smaller one"
    assert not any(one.is_sampled(0.0) for one in own) and all(one.is_sampled(1.0) for one in own)
    assert trace_of(made(traceparent=PARENT), "n").is_sampled(0.0)
    assert not trace_of(made(traceparent=PARENT[:-1] + "0"), "n").is_sampled(0.0)


def test_what_is_written_is_read_again_by_who_reads_others_exports() -> None:
    """Dify's exports are read by code of its own: both hold to the same encoding."""
    body = request_body({"service.name": "t"}, "1", [encode_spans(spans(made()))])
    (told,) = otlp.read_json(body)
    (used,) = told.observations
    assert (used.model, used.input_tokens) == ("deepseek-chat", 11)
    assert told.event_ms == 1_005


def test_headers_are_read_as_opentelemetry_writes_them_and_a_bad_one_is_not_quoted() -> None:
    found = parse_headers("Authorization=Basic%20YTpi==, x-scope = team ,,x-empty=")
    assert found == {"authorization": "Basic YTpi==", "x-scope": "team", "x-empty": ""}
    for bad in ("s3cret", "a b=s3cret", "a=s3cret%0d%0ab", "=s3cret"):
        with pytest.raises(ValueError, match="number 1 is no header") as error:
            parse_headers(bad)
        assert "s3cret" not in str(error.value)


def test_an_endpoint_is_that_of_all_signals_or_of_traces_alone() -> None:
    assert traces_url("http://c:4318/") == "http://c:4318/v1/traces"
    assert traces_url("https://c/otel/v1/traces") == "https://c/otel/v1/traces"


@pytest.mark.parametrize(
    ("answer", "rejected"),
    [
        (b"", 0),
        (b"{}", 0),
        (b"<html>", 0),
        (b'{"partialSuccess":{"rejectedSpans":"3"}}', 3),
        (b'{"partialSuccess":{"rejectedSpans":3,"errorMessage":"x"}}', 3),
        (b'{"partialSuccess":{"rejectedSpans":"x"}}', 0),
    ],
)
def test_a_collector_may_keep_a_part(answer: bytes, rejected: int) -> None:
    assert rejected_of(answer) == rejected
