"""What Dify's tracing says, read out of Langfuse's batches and out of spans."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core import langfuse, otlp
from tallygate.core.dify_commands import ABSURD, TraceTold
from tests.fakes import langfuse as says
from tests.fakes.dify_answers import MODEL, SMALL_MODEL, Ids

IDS = Ids(1)
ENDED_MS = 1_770_796_802_500


def read(*events: Any) -> langfuse.Ingested:
    return langfuse.read_batch(json.dumps(says.batch(*events)).encode())


def one(*events: Any) -> TraceTold:
    [told] = read(*events).traces
    return told


def test_a_message_is_one_event_of_its_user() -> None:
    told = one(says.trace(IDS, "ann"), says.generation(IDS, 1))
    assert (told.account_id, told.message_id, told.run_id) == ("ann", IDS.message, "")
    assert told.conversation_id == IDS.conversation
    assert told.event_ms == ENDED_MS
    [used] = told.observations
    assert (used.model, used.input_tokens, used.output_tokens) == (MODEL, 1033, 128)
    assert not used.is_of_node


def test_a_chatflow_tells_of_its_nodes_and_of_both_its_ids() -> None:
    told = one(*says.chatflow(IDS, "ann"))
    assert (told.message_id, told.run_id) == (IDS.message, IDS.run)
    assert [(used.model, used.is_of_node) for used in told.observations] == [
        (SMALL_MODEL, True),
        (MODEL, True),
        ("", False),
    ]


def test_a_workflow_without_a_message_is_named_by_its_run() -> None:
    told = one(
        says.trace(IDS, "ann", is_workflow=True),
        says.generation(IDS, 1, trace_id=IDS.run, is_of_node=True),
    )
    assert (told.message_id, told.run_id) == ("", IDS.run)


def test_the_ids_are_difys_own_where_the_caller_made_up_the_trace() -> None:
    """Whoever calls Dify may name the trace; that must not make it somebody else's message."""
    told = one(says.trace(IDS, "ann", id="made-up"), says.generation(IDS, 1, trace_id="made-up"))
    assert (told.trace_id, told.message_id) == ("made-up", IDS.message)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"input": 5, "output": 7}, (5, 7)),
        ({"promptTokens": 5, "completionTokens": 7, "totalTokens": 12}, (5, 7)),
        ({"totalTokens": 12}, (12, 0)),
        ({"input": 5, "output": 7, "unit": "CHARACTERS"}, None),
        ({"input": "5", "output": 7.0}, (5, 7)),
        ({"input": None, "output": 7}, (0, 7)),
        ({"input": -5, "output": 7}, (ABSURD, 7)),
        ({"input": True, "output": 7}, (ABSURD, 7)),
        ({"input": 5, "output": 10**12}, (5, ABSURD)),
        ({"input": "8E-7", "output": 7}, (ABSURD, 7)),
        ({"input": 1.5, "output": [7]}, (ABSURD, ABSURD)),
        ({}, None),
        (None, None),
        ([1], None),
    ],
)
def test_tokens_are_read_in_any_words_and_nothing_else_is(usage: Any, counted: Any) -> None:
    """What is said and is no count is known as such: taken for nothing, it would be free."""
    told = read(says.trace(IDS, "ann"), says.generation(IDS, 1, usage=usage)).traces[0]
    found = [(used.input_tokens, used.output_tokens) for used in told.observations]
    assert found == ([counted] if counted else [])


def test_a_number_beyond_all_floats_spoils_no_other_event_of_its_batch() -> None:
    """A batch that is refused is not sent again: its other uses would be free."""
    both = says.batch(
        says.generation(IDS, 1, usage={"input": 12345, "output": 1}), says.generation(IDS, 2)
    )
    [trace] = langfuse.read_batch(json.dumps(both).replace("12345", "1e400").encode()).traces
    assert [used.input_tokens for used in trace.observations] == [ABSURD, 1033]


def test_every_event_is_answered_for_itself() -> None:
    """A sender whose events are not answered sends them again for ever."""
    found = read({"id": "a", "type": "score-create", "body": {}}, {"type": "x"}, 5, {"id": "b"})
    assert found.successes == [("a", 201)]
    assert [(id_, status) for id_, status, _ in found.errors] == [
        ("1", 400),
        ("2", 400),
        ("b", 400),
    ]
    assert found.traces == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"batch":{}}', b"\xff", b'{"batch":[}'])
def test_what_is_no_batch_is_refused(body: bytes) -> None:
    with pytest.raises(langfuse.BadBatch):
        langfuse.read_batch(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["id", "type", "body", "usage", "metadata", "tags"]), inner
            )
        ),
    )
)
def test_no_json_breaks_the_reader(value: Any) -> None:
    """It stands on the open port; whoever has a pair may send anything."""
    for kind in ("trace-create", "generation-create"):
        read({"id": "a", "type": kind, "body": value})
    read(value)


SPANS = {
    "00000000000000a1": says.span_attributes(IDS, "ann", SMALL_MODEL, (400, 20)),
    "00000000000000a2": says.span_attributes(IDS, "ann", MODEL, (1033, 128)),
}


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_spans_say_the_same_in_both_encodings(form: str) -> None:
    """Newer Dify servers send protobuf, collectors often JSON."""
    if form == "json":
        [told] = otlp.read_json(json.dumps(says.spans_json(SPANS)).encode())
    else:
        [told] = otlp.read_protobuf(says.spans_protobuf(SPANS))
    assert (told.account_id, told.message_id, told.run_id) == ("ann", IDS.message, IDS.run)
    assert (told.conversation_id, told.event_ms) == (IDS.conversation, ENDED_MS)
    found = [(used.id, used.model, used.input_tokens) for used in told.observations]
    assert found == [("00000000000000a1", SMALL_MODEL, 400), ("00000000000000a2", MODEL, 1033)]


def test_spans_of_anybody_else_are_named_by_their_trace() -> None:
    attributes = {
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 7,
        "user.id": "ann",
    }
    [told] = otlp.read_protobuf(says.spans_protobuf({"00000000000000a1": attributes}))
    assert told.message_id == "00000000-0000-0000-0000-000000000001"
    [used] = told.observations
    assert (used.model, used.input_tokens, used.output_tokens) == (MODEL, 5, 7)


@pytest.mark.parametrize("written", ["-5", "1.5", 10**12])
def test_a_span_with_a_count_that_can_not_be_says_so(written: object) -> None:
    """Taken for nothing, its input would be free."""
    spans = says.spans_json({"00000000000000a1": {"gen_ai.usage.input_tokens": 12345}})
    body = json.dumps(spans).replace('"12345"', "12345").replace("12345", json.dumps(written))
    [told] = otlp.read_json(body.encode())
    assert [used.input_tokens for used in told.observations] == [ABSURD]


@pytest.mark.parametrize(
    "body", [b"\n", b"\n\x05ab", b"\xff" * 20, b"\x0f", b"\n\x02\x12\x05", b"\x09\x01"]
)
def test_what_is_no_protobuf_is_refused(body: bytes) -> None:
    with pytest.raises(otlp.BadSpans):
        otlp.read_protobuf(body)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"resourceSpans":5}', b'{"resourceSpans":[5]}'])
def test_what_is_no_json_export_is_refused(body: bytes) -> None:
    with pytest.raises(otlp.BadSpans):
        otlp.read_json(body)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader_of_spans(body: bytes) -> None:
    for read_spans in (otlp.read_protobuf, otlp.read_json):
        try:
            read_spans(body)
        except otlp.BadSpans:
            continue
