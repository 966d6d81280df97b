"""What a Dify answer is metered as: fed whole, byte by byte, and with more data behind it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tallygate.core.meters import meter_for
from tallygate.core.meters.dify import HELD_LENGTH_MAX, DifyBody, DifyStream
from tallygate.core.request import Dialect
from tests.fakes import dify_answers as says
from tests.fakes.dify import PROMPT_OF_STOPPED
from tests.fakes.dify_answers import Ids
from tests.fakes.dify_fixtures import FOLDER, golden

IDS = Ids(1)
MESSAGE, RUN = ("message", IDS.message), ("run", IDS.run)
TRAILING = b'data: {"event": "tts_message_end", "audio": ""}\n\n'
BIG, SMALL = (1033, 128), (400, 20)
TEXT = 5  # its words, and a quarter of its letters
INPUT_ESTIMATE = 55

CASES: dict[str, tuple[Dialect, str, list[tuple[str, int, int]], list[tuple[str, str]]]] = {
    "chat": (Dialect.DIFY_CHAT, "reported", [("", *BIG)], [MESSAGE]),
    "agent": (Dialect.DIFY_CHAT, "reported", [("", *BIG)], [MESSAGE]),
    "zero-price": (Dialect.DIFY_CHAT, "reported", [("", *BIG)], [MESSAGE]),
    "completion": (Dialect.DIFY_COMPLETION, "reported", [("", *BIG)], [MESSAGE]),
    "chatflow": (
        Dialect.DIFY_CHAT,
        "reported",
        [(says.SMALL_MODEL, *SMALL), (says.MODEL, *BIG)],
        [MESSAGE, RUN],
    ),
    "chatflow-message-first": (
        Dialect.DIFY_CHAT,
        "reported",
        [(says.SMALL_MODEL, *SMALL), (says.MODEL, *BIG)],
        [MESSAGE, RUN],
    ),
    "failed-chatflow": (
        Dialect.DIFY_CHAT,
        "reported",
        [(says.SMALL_MODEL, *SMALL)],
        [MESSAGE, RUN],
    ),
    "workflow": (
        Dialect.DIFY_WORKFLOW,
        "reported",
        [(says.SMALL_MODEL, *SMALL), (says.MODEL, *BIG)],
        [RUN],
    ),
    "unnamed": (Dialect.DIFY_WORKFLOW, "estimated", [("", 1581, 0)], [RUN]),
    "stopped": (Dialect.DIFY_CHAT, "reported", [("", PROMPT_OF_STOPPED, 2)], [MESSAGE]),
    "no-usage": (Dialect.DIFY_CHAT, "estimated", [("", INPUT_ESTIMATE, TEXT)], [MESSAGE]),
    "cut": (Dialect.DIFY_CHAT, "estimated", [("", INPUT_ESTIMATE, TEXT)], [MESSAGE]),
    "error": (Dialect.DIFY_CHAT, "estimated", [("", INPUT_ESTIMATE, 3)], [MESSAGE]),
}


def stream(dialect: Dialect) -> DifyStream:
    meter = meter_for(
        dialect,
        is_stream=True,
        strips_usage_chunk=False,
        input_tokens_estimate=INPUT_ESTIMATE,
    )
    assert isinstance(meter, DifyStream)
    return meter


def body(dialect: Dialect, content: bytes) -> DifyBody:
    meter = DifyBody(dialect, INPUT_ESTIMATE)
    assert meter.feed(content) == content
    meter.finish()
    return meter


def parts_of(meter: DifyStream | DifyBody) -> list[tuple[str, int, int]]:
    parts = meter.said().parts
    return [(model, counts["input_tokens"], counts["output_tokens"]) for model, counts in parts]


def whole(content: bytes) -> list[bytes]:
    return [content]


def byte_by_byte(content: bytes) -> list[bytes]:
    return [content[at : at + 1] for at in range(len(content))]


def with_trailing_data(content: bytes) -> list[bytes]:
    return [content + TRAILING]


def test_the_golden_files_are_what_the_fake_server_says() -> None:
    """A meter that is only right about old recordings is right about nothing."""
    kept = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix != ".md"}
    assert {name: content for name, content in kept.items() if name in golden()} == golden()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("split", [whole, byte_by_byte, with_trailing_data])
def test_a_stream_is_metered_the_same_however_it_is_split(
    name: str, split: Callable[[bytes], list[bytes]]
) -> None:
    """Identity and tokens of each model decide a charge; where TCP cut the bytes must not."""
    dialect, source, parts, aliases = CASES[name]
    content = (FOLDER / f"{name}.sse").read_bytes()
    meter = stream(dialect)
    pieces = split(content)
    passed = b"".join(meter.feed(piece) for piece in pieces)
    is_ended = name != "cut"
    assert meter.is_terminal is is_ended
    if not is_ended:
        meter.finish()
    passed += meter.take_held()
    assert passed == b"".join(pieces)
    assert parts_of(meter) == parts
    assert meter.usage().source.value == source
    assert list(meter.said().aliases) == aliases
    assert meter.said().conversation_id == (IDS.conversation if dialect == "dify_chat" else "")
    assert meter.saw_error is (name in ("error", "failed-chatflow"))
    assert meter.feed(b"data: more\n\n") == b"data: more\n\n"


@pytest.mark.parametrize("name", [name for name in CASES if name != "cut"])
def test_the_end_is_held_and_nothing_before_it(name: str) -> None:
    """The client must not have a whole answer before the journal has its entry."""
    content = (FOLDER / f"{name}.sse").read_bytes()
    meter = stream(CASES[name][0])
    events = [one + b"\n\n" for one in content.split(b"\n\n")[:-1]]
    ends = [b'"event": "message_end"', b'"event": "error"']
    if CASES[name][0] is Dialect.DIFY_WORKFLOW:
        ends.append(b'"event": "workflow_finished"')
    first = next(at for at, one in enumerate(events) if any(end in one for end in ends))
    for number, one in enumerate(events):
        assert meter.feed(one) == (one if number < first else b""), number
    assert meter.is_terminal


def test_a_message_end_waits_for_its_workflow_within_the_stream_only() -> None:
    """A server that never sends the other end must not cost the charge."""
    events = list(says.chatflow(IDS, is_message_end_first=True))
    meter = stream(Dialect.DIFY_CHAT)
    for one in events[:-1]:
        meter.feed(one)
    assert not meter.is_terminal
    meter.finish()
    assert meter.take_held() == events[-2]
    assert meter.usage().counts == {"input_tokens": 1433, "output_tokens": 148}
    assert meter.usage().source.value == "reported"


def test_a_message_end_does_not_hold_back_without_bound() -> None:
    """Speech may follow a message_end for minutes."""
    events = list(says.chatflow(IDS, is_message_end_first=True))
    meter = stream(Dialect.DIFY_CHAT)
    for one in events[:-1]:
        meter.feed(one)
    speech = b'data: {"event": "tts_message", "audio": "' + b"A" * HELD_LENGTH_MAX + b'"}\n\n'
    assert meter.feed(speech) == b""
    assert meter.is_terminal
    assert meter.take_held() == events[-2] + speech


def test_a_giant_node_is_read_and_passed_whole() -> None:
    """Its prompt holds whole documents, and only it names the model."""
    prompt = "x" * 300_000
    events = [
        says.workflow_started(IDS, is_chat=False),
        says.node_finished(IDS, 1, says.MODEL, says.usage(), is_chat=False, prompt=prompt),
        says.workflow_finished(IDS, 1161, is_chat=False),
    ]
    content = b"".join(events)
    meter = stream(Dialect.DIFY_WORKFLOW)
    passed = b"".join(
        meter.feed(content[at : at + 50_000]) for at in range(0, len(content), 50_000)
    )
    assert passed + meter.take_held() == content
    assert parts_of(meter) == [(says.MODEL, *BIG)]


def test_a_message_end_with_giant_sources_is_held_whole() -> None:
    value = json.loads(says.message_end(IDS, says.usage())[6:])
    value["metadata"]["retriever_resources"] = ["y" * 200_000]
    content = says.event(value)
    meter = stream(Dialect.DIFY_CHAT)
    assert b"".join(meter.feed(content[at : at + 9_000]) for at in range(0, 209_000, 9_000)) == b""
    assert meter.is_terminal
    assert parts_of(meter) == [("", *BIG)]


def test_nodes_that_do_not_name_their_model_are_the_rest_of_the_total() -> None:
    """Else tokens of old or foreign nodes would be free."""
    events = [
        says.workflow_started(IDS, is_chat=True),
        says.node_finished(IDS, 1, says.SMALL_MODEL, says.usage(*SMALL), is_chat=True),
        says.node_finished(IDS, 2, None, None, is_chat=True, kind="agent", total=1161),
        says.workflow_finished(IDS, 1581, is_chat=True),
        says.message_end(IDS, says.total_usage()),
    ]
    meter = stream(Dialect.DIFY_CHAT)
    meter.feed(b"".join(events))
    assert parts_of(meter) == [(says.SMALL_MODEL, *SMALL), ("", *BIG)]


def test_a_node_that_is_told_twice_counts_once() -> None:
    node = says.node_finished(IDS, 1, says.MODEL, says.usage(), is_chat=False)
    meter = stream(Dialect.DIFY_WORKFLOW)
    meter.feed(node + node + says.workflow_finished(IDS, 1161, is_chat=False))
    assert parts_of(meter) == [(says.MODEL, *BIG)]


def test_two_nodes_of_one_model_are_one_part() -> None:
    nodes = [says.node_finished(IDS, n, says.MODEL, says.usage(), is_chat=False) for n in (1, 2)]
    meter = stream(Dialect.DIFY_WORKFLOW)
    meter.feed(b"".join(nodes) + says.workflow_finished(IDS, 2322, is_chat=False))
    assert parts_of(meter) == [(says.MODEL, 2066, 256)]


def test_newer_servers_say_input_and_output_of_a_workflow() -> None:
    more = {"prompt_tokens": 1400, "completion_tokens": 181}
    meter = stream(Dialect.DIFY_WORKFLOW)
    meter.feed(says.workflow_finished(IDS, 1581, is_chat=False, **more))
    assert (parts_of(meter), meter.usage().source.value) == ([("", 1400, 181)], "reported")


@pytest.mark.parametrize(
    "counted",
    [
        {"prompt_tokens": -5, "completion_tokens": 3},
        {"prompt_tokens": "many", "completion_tokens": 3},
        {"prompt_tokens": 10**12, "completion_tokens": 3},
    ],
)
def test_absurd_counts_are_left_out_and_make_an_estimate(counted: dict[str, Any]) -> None:
    meter = stream(Dialect.DIFY_CHAT)
    meter.feed(b"".join(says.pieces(IDS)) + says.message_end(IDS, counted))
    assert meter.usage().counts == {"input_tokens": INPUT_ESTIMATE, "output_tokens": 3}
    assert meter.usage().source.value == "estimated"


def test_a_text_about_events_is_no_event() -> None:
    text = 'data: {"event": "message_end", "metadata": {"usage": {"prompt_tokens": 1}}}'
    value = {"event": "message", "message_id": IDS.message, "answer": text}
    meter = stream(Dialect.DIFY_CHAT)
    assert meter.feed(says.event(value)) == says.event(value)
    assert not meter.is_terminal


@pytest.mark.parametrize(
    "junk", [b"data: {not json\n\n", b"data: []\n\n", b"data: \xff\n\n", b"event: x\n\n", b"\n\n"]
)
def test_junk_between_events_passes_and_changes_nothing(junk: bytes) -> None:
    content = b"".join([*says.pieces(IDS), junk, says.message_end(IDS, says.usage())])
    meter = stream(Dialect.DIFY_CHAT)
    assert meter.feed(content) + meter.take_held() == content
    assert parts_of(meter) == [("", *BIG)]


def test_the_answer_of_an_annotation_costs_no_tokens() -> None:
    """Zero that was reported is not an estimate."""
    meter = stream(Dialect.DIFY_CHAT)
    meter.feed(says.message_end(IDS, says.usage(0, 0)))
    assert (parts_of(meter), meter.usage().source.value) == ([("", 0, 0)], "reported")


def test_nothing_that_came_is_missing() -> None:
    meter = stream(Dialect.DIFY_CHAT)
    meter.feed(says.PING)
    meter.finish()
    assert (meter.usage().counts, meter.usage().source.value) == ({}, "missing")
    assert meter.said().aliases == ()


@pytest.mark.parametrize(
    ("name", "dialect", "aliases", "parts", "source"),
    [
        ("chat-messages", Dialect.DIFY_CHAT, [MESSAGE], [("", *BIG)], "reported"),
        ("completion-messages", Dialect.DIFY_COMPLETION, [MESSAGE], [("", *BIG)], "reported"),
        ("workflows", Dialect.DIFY_WORKFLOW, [RUN], None, "estimated"),
    ],
)
def test_a_blocking_answer_is_metered(
    name: str,
    dialect: Dialect,
    aliases: list[tuple[str, str]],
    parts: list[tuple[str, int, int]] | None,
    source: str,
) -> None:
    """The workflow's body has only one total."""
    meter = body(dialect, (FOLDER / f"{name}.json").read_bytes())
    assert list(meter.said().aliases) == aliases
    assert meter.usage().source.value == source
    if parts is None:
        assert sum(meter.usage().counts.values()) == 1581
    else:
        assert parts_of(meter) == parts


def test_a_blocking_answer_without_usage_is_estimated() -> None:
    content = json.dumps(
        says.blocking(IDS, "chat-messages", None) | {"answer": "a" * 4000}
    ).encode()
    usage = body(Dialect.DIFY_CHAT, content).usage()
    assert usage.source.value == "estimated"
    assert usage.counts["input_tokens"] == INPUT_ESTIMATE
    assert 900 < usage.counts["output_tokens"] < 1100


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1]", b'{"code":"x","status":400}'])
def test_a_blocking_answer_that_is_none_is_missing(content: bytes) -> None:
    meter = body(Dialect.DIFY_CHAT, content)
    assert meter.usage().source.value == "missing"
    assert meter.said().aliases == ()
