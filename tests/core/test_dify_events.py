"""What a delivery says: every form that is taken, in every notation, and every refusal by its code.

A count that is read wrongly is money of somebody's, so what can not be read exactly is refused.
"""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core import dify_events
from tallygate.core.charging import Event, Source
from tallygate.core.dify_events import EVENTS_MAX, Item, Rules, read
from tallygate.core.errors import Code
from tallygate.core.event_fields import TOKENS_MAX

NOW_MS = 1_770_800_000_000
DAY_MS = 86_400_000
RULES = Rules(30 * DAY_MS)
DATA = {
    "conversation_id": "conv_123",
    "message_id": "msg_456",
    "user_id": "user_789",
    "model_name": "gpt-4",
    "input_tokens": 1500,
    "output_tokens": 800,
    "total_tokens": 2300,
    "timestamp": "2026-02-11T08:50:00Z",
}
RAW = {  # Dify's own, with prices as it writes them
    "event": "message_end",
    "task_id": "t-1",
    "id": "9da2",
    "message_id": "9da2",
    "conversation_id": "4570",
    "created_at": NOW_MS // 1000,
    "metadata": {
        "usage": {
            "prompt_tokens": 1033,
            "prompt_unit_price": "0.001",
            "prompt_price": "8E-7",
            "completion_tokens": 128,
            "completion_price": "0.0002560",
            "total_tokens": 1161,
            "total_price": "0.0012890",
            "currency": "USD",
            "latency": 0.768,
        }
    },
}


def seed(**changes: Any) -> dict[str, Any]:
    """The seed's own example; None takes a field out."""
    data = {name: value for name, value in (DATA | changes).items() if value is not None}
    return {"event": "message_end", "data": data, "request_id": "req_abc123"}


def items(body: Any, rules: Rules = RULES) -> list[Item]:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(read(text, NOW_MS, rules).items)


def event(body: Any, rules: Rules = RULES) -> Event:
    [item] = items(body, rules)
    assert item.refusal is None, item.refusal
    assert item.event is not None
    return item.event


def code(body: Any, rules: Rules = RULES) -> Code:
    [item] = items(body, rules)
    assert item.event is None
    assert item.refusal is not None
    return item.refusal.code


def said(found: Event) -> tuple[Any, ...]:
    return found.aliases, found.account_id, found.model, found.counts


# --- forms ---


def test_the_seeds_own_example_is_read() -> None:
    """Whoever switches from the seed sends exactly this."""
    found = event(seed())
    assert found == Event(
        source=Source.WEBHOOK,
        instance="dify",
        aliases=(("message", "msg_456"),),
        account_id="user_789",
        model="gpt-4",
        counts={"input_tokens": 1500, "output_tokens": 800},
        event_ms=1_770_799_800_000,
        request_id="req_abc123",
        conversation_id="conv_123",
        message_id="msg_456",
    )


def test_camel_case_says_the_same() -> None:
    """The seed's other half writes it so."""
    camel = {
        "conversationId": "conv_123",
        "messageId": "msg_456",
        "userId": "user_789",
        "modelName": "gpt-4",
        "inputTokens": 1500,
        "outputTokens": 800,
        "totalTokens": 2300,
    }
    body = {"event": "message_end", "data": camel, "requestId": "req_abc123"}
    assert said(event(body)) == said(event(seed()))
    assert event(body).request_id == "req_abc123"
    assert said(event(camel)) == said(event(seed())), "also without an envelope"


def test_difys_own_message_end_is_read_without_a_model_or_a_user() -> None:
    """It names neither: the app says the model, and whoever delivers it the user."""
    found = event(RAW, Rules(RULES.age_ms_max, user="ann"))
    assert said(found) == (
        (("message", "9da2"),),
        "ann",
        "",
        {"input_tokens": 1033, "output_tokens": 128},
    )
    assert found.event_ms == NOW_MS
    assert event(RAW).account_id == ""
    assert event(RAW | {"user": "bob"}, Rules(None, user="ann")).account_id == "bob"


def test_a_finished_workflow_is_a_use_of_its_run() -> None:
    """Older servers know its total only, which counts as input; a failed one spent all the same."""
    body = {
        "event": "workflow_finished",
        "workflow_run_id": "run-1",
        "data": {"id": "run-1", "status": "failed", "total_tokens": 700, "created_at": 1770799000},
    }
    old = event(body)
    assert said(old) == ((("run", "run-1"),), "", "", {"input_tokens": 700, "output_tokens": 0})
    assert old.is_run
    body["data"] |= {"prompt_tokens": 500, "completion_tokens": 200}
    assert event(body).counts == {"input_tokens": 500, "output_tokens": 200}
    assert event(body | {"message_id": "m-1"}).aliases == (("message", "m-1"), ("run", "run-1"))


def test_a_message_that_was_a_run_bears_both_names() -> None:
    """Whichever source names only one of them is recognised."""
    body = seed(workflow_run_id="run-1")
    assert event(body).aliases == (("message", "msg_456"), ("run", "run-1"))


@pytest.mark.parametrize("wrapped", [seed(), {**DATA}, RAW])
def test_cloud_events_carry_any_of_the_forms(wrapped: dict[str, Any]) -> None:
    """Envelope and content may both say when and who; the content knows better."""
    envelope = {
        "specversion": "1.0",
        "type": "ai.dify.message_end",
        "source": "/dify/1",
        "id": "e-1",
        "subject": "sue",
        "time": "2026-02-11T08:52:00Z",
    }
    found = event({**envelope, "data": wrapped})
    inner = event(wrapped)
    assert found.aliases == inner.aliases
    assert found.counts == inner.counts
    assert found.account_id == (inner.account_id or "sue")
    if "timestamp" not in json.dumps(wrapped) and "created_at" not in json.dumps(wrapped):
        assert found.event_ms == 1_770_799_920_000


def test_a_cloud_event_without_a_message_is_known_by_source_and_id() -> None:
    """CloudEvents promise that these two are unique."""
    data = {"model": "m", "input_tokens": 1, "output_tokens": 2}
    envelope = {"specversion": "1.0", "type": "usage", "source": "/s", "id": "1", "subject": "u"}
    assert event({**envelope, "data": data}).aliases == (("event", "/s 1"),)
    assert code({**envelope, "specversion": "0.3", "data": data}) is Code.BAD_REQUEST
    [other] = items({**envelope, "type": "com.example.deployed", "data": {"version": 3}})
    assert (other.event, other.refusal) == (None, None)


def test_cloud_events_that_name_themselves_by_halves_are_refused() -> None:
    """Two uses that both lack an id would pass for one, and one of them would be free."""
    data = {"model": "m", "input_tokens": 1, "output_tokens": 2}
    whole = {"specversion": "1.0", "source": "/s", "id": "1", "subject": "u", "data": data}
    for name in ("source", "id"):
        without = {key: one for key, one in whole.items() if key != name}
        for half in (without, {**whole, name: ""}, {**whole, name: None}, {**whole, name: [1]}):
            assert code(half) is Code.BAD_REQUEST, half
    left = event({**whole, "source": "a b", "id": "c"})
    assert left.aliases != event({**whole, "source": "a", "id": "b c"}).aliases


def test_a_batch_is_taken_event_by_event() -> None:
    """One bad event does not keep the others from being charged."""
    bad = seed(total_tokens=1)
    delivery = read(json.dumps([seed(), bad, {"event": "ping"}]).encode(), NOW_MS, RULES)
    assert delivery.is_batch
    first, second, third = delivery.items
    assert first.event is not None
    assert second.refusal is not None
    assert second.refusal.code is Code.TOKEN_TOTAL_MISMATCH
    assert json.loads(second.payload) == bad, "each is kept by itself"
    assert (third.event, third.refusal) == (None, None)
    assert code([seed()] * (EVENTS_MAX + 1)) is Code.TOO_LARGE
    assert items(b"[]") == []


@pytest.mark.parametrize("name", ["message", "agent_message", "node_finished", "error", "ping"])
def test_events_about_no_usage_are_ignored(name: str) -> None:
    """Senders that forward everything must not be told that they are wrong."""
    [item] = items({"event": name, "task_id": "t", "answer": "hello"})
    assert (item.event, item.refusal) == (None, None)


# --- numbers and times ---


@pytest.mark.parametrize("written", ["1500", "1500.0", '"1500"', "1.5e3", "15E2"])
def test_a_count_is_read_in_every_exact_notation(written: str) -> None:
    """Languages without integers write 1500.0."""
    text = json.dumps(seed()).replace("1500", written, 1).encode()
    assert event(text).counts["input_tokens"] == 1500


@pytest.mark.parametrize(
    "written", ["1500.5", '"many"', "true", "[1]", "{}", '"1_500"', '"１５００"', "1e-400"]
)
def test_what_is_no_whole_number_is_no_count(written: str) -> None:
    text = json.dumps(seed()).replace("1500", written, 1).encode()
    assert code(text) is Code.BAD_REQUEST


@pytest.mark.parametrize("count", [-1, TOKENS_MAX + 1, 10**15, 10**40, 1e300, "-5"])
def test_absurd_counts_are_refused(count: Any) -> None:
    """A wrong unit or an overflow at the sender's must not empty a wallet."""
    assert code(seed(input_tokens=count, total_tokens=None)) is Code.TOKENS_OUT_OF_RANGE


def test_an_event_is_absurd_as_a_whole_too() -> None:
    most = {"input_tokens": TOKENS_MAX - 1, "output_tokens": 1, "total_tokens": None}
    assert event(seed(**most)).tokens == TOKENS_MAX
    assert code(seed(**(most | {"output_tokens": 2}))) is Code.TOKENS_OUT_OF_RANGE


def test_a_total_that_contradicts_its_parts_is_refused() -> None:
    """One of the two is wrong, and nobody here can say which."""
    assert code(seed(total_tokens=2301)) is Code.TOKEN_TOTAL_MISMATCH
    assert code(seed(output_tokens=None, total_tokens=1000)) is Code.TOKEN_TOTAL_MISMATCH
    assert event(seed(total_tokens=None)).tokens == 2300
    assert event(seed(output_tokens=None)).counts["output_tokens"] == 800


def test_an_event_that_should_say_what_was_used_and_does_not_is_refused() -> None:
    """It is not for nothing that it came: whoever sent it has to be told."""
    nothing = {"input_tokens": None, "output_tokens": None, "total_tokens": None}
    assert code(seed(**nothing)) is Code.USAGE_MISSING
    assert code(seed(**(nothing | {"total_tokens": 5}))) is Code.USAGE_MISSING
    assert code({"event": "message_end", "message_id": "m", "metadata": {}}) is Code.USAGE_MISSING
    assert code({"event": "workflow_finished", "workflow_run_id": "r"}) is Code.USAGE_MISSING


def test_cached_tokens_are_a_part_of_the_input() -> None:
    found = event(seed(cache_read_tokens=1000, cache_write_tokens=500))
    assert found.counts["cache_read_tokens"] == 1000
    assert code(seed(cache_read_tokens=1501)) is Code.TOKEN_TOTAL_MISMATCH


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("2026-02-11T08:50:00Z", 1_770_799_800_000),
        ("2026-02-11T08:50:00.250+00:00", 1_770_799_800_250),
        ("2026-02-11T16:50:00+08:00", 1_770_799_800_000),
        ("2026-02-11T08:50:00.123456789Z", 1_770_799_800_123),
        ("2026-02-11T08:50:00", 1_770_799_800_000),
        (1_770_799_800, 1_770_799_800_000),
        (1_770_799_800_000, 1_770_799_800_000),
        ("1770799800", 1_770_799_800_000),
        (1_770_799_800.25, 1_770_799_800_250),
        (None, NOW_MS),
        ("", NOW_MS),
    ],
)
def test_a_time_is_read_in_every_notation(written: Any, ms: int) -> None:
    """Without an offset it is UTC; without a time it is now."""
    assert event(seed(timestamp=written)).event_ms == ms


@pytest.mark.parametrize("written", ["yesterday", "2026-13-01", True, [], {}, -5, 1e300])
def test_what_is_no_time_is_refused(written: Any) -> None:
    assert code(seed(timestamp=written)) is Code.BAD_REQUEST


def test_times_too_old_or_yet_to_come_are_refused() -> None:
    """An old event may be a replay of somebody's log; one ahead is a clock that is wrong."""
    for offset_ms, wanted in (
        (-30 * DAY_MS, None),
        (-30 * DAY_MS - 1, Code.EVENT_TOO_OLD),
        (300_000, None),
        (300_001, Code.EVENT_IN_FUTURE),
    ):
        body = seed(timestamp=NOW_MS + offset_ms)
        if wanted is None:
            assert event(body).event_ms == NOW_MS + offset_ms
        else:
            assert code(body) is wanted
    assert event(seed(timestamp=1), Rules(None)).event_ms == 1000, "unless an operator sends it"


# --- names, and everything else that may come ---


def test_an_event_needs_an_identity() -> None:
    """Without one it could not be told from its own repetition."""
    assert code(seed(message_id=None)) is Code.BAD_REQUEST
    assert code({"event": "workflow_finished", "data": {"total_tokens": 3}}) is Code.BAD_REQUEST
    assert event(seed(message_id=77)).aliases == (("message", "77"),)


@pytest.mark.parametrize("name", ["message_id", "user_id", "model_name"])
@pytest.mark.parametrize("value", ["x" * 256, "a\0b", ["a"], {"a": 1}])
def test_names_that_cannot_be_kept_whole_are_refused(name: str, value: Any) -> None:
    """Two that differ only in what was cut off would be one."""
    assert code(seed(**{name: value})) is Code.BAD_REQUEST


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"7", b'"x"', b"{}", b"\xff\xfe", b'{"event": 5}', b"[1, 2"]
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    assert {item.refusal.code for item in items(body) if item.refusal} == {Code.BAD_REQUEST}


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(body: bytes) -> None:
    """A stranger's mistake is a refusal, never an error of ours."""
    for item in items(body):
        assert item.event is None or item.refusal is None


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=5,
)
_NAMES = [*DATA, "messageId", "userId", "inputTokens", "workflow_run_id", "metadata", "usage", "id"]


@given(
    st.dictionaries(st.sampled_from(_NAMES), _VALUES),
    st.sampled_from(["message_end", "workflow_finished", "usage", None]),
    st.dictionaries(st.sampled_from(["specversion", "type", "source", "time", "id"]), _VALUES),
)
def test_no_json_makes_it_fail(data: Any, name: str | None, top: Any) -> None:
    """Whatever may be anywhere is borne with or refused by a code."""
    for item in items({**top, "event": name, "data": data}):
        if item.event is not None:
            assert 0 <= item.event.tokens <= TOKENS_MAX
            assert all(isinstance(count, int) for count in item.event.counts.values())


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "message_id": st.text(max_size=300) | st.integers(),
            "user_id": st.text(max_size=300) | st.none(),
            "model_name": st.sampled_from(["gpt-4", "", "a\0b"]),
            "input_tokens": st.integers(-2, TOKENS_MAX + 2) | st.just(Decimal("1500.0")),
            "output_tokens": st.integers(-2, TOKENS_MAX + 2),
            "total_tokens": st.integers(0, TOKENS_MAX) | st.none(),
            "timestamp": st.integers(0, 2 * NOW_MS) | st.text(max_size=9) | st.none(),
            "conversation_id": st.text(max_size=300) | st.none(),
            "more": st.booleans(),
        },
    )
)
def test_the_fast_way_of_reading_reads_the_same(changes: dict[str, Any]) -> None:
    """There are two readers of the commonest form, and they must never disagree."""
    text = json.dumps(seed() | {"data": DATA | changes}, default=str).encode()
    [fast] = items(text)
    slow = dify_events._item_by_members(text, NOW_MS, RULES)
    if fast.event is None or slow.event is None:
        assert fast.event is slow.event
        assert fast.refusal is not None
        assert slow.refusal is not None
        assert (fast.refusal.code, fast.refusal.message) == (
            slow.refusal.code,
            slow.refusal.message,
        )
    else:
        assert fast.event == slow.event
