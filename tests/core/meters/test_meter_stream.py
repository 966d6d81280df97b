"""How streams pass: at once, in bounds, and no byte lost."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallygate.core.meters import Meter, meter_for
from tallygate.core.meters.stream import PARTIAL_LENGTH_MAX, TERMINAL_LENGTH_MAX
from tallygate.core.request import Dialect
from tallygate.core.usage import Source

CHAT = Dialect.OPENAI_CHAT
RESPONSES = Dialect.OPENAI_RESPONSES
DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
HELLO = b'data: {"model":"m","choices":[{"delta":{"content":"Hello"}}],"usage":null}\n\n'


def stream(dialect: Dialect = CHAT, *, strips: bool = True) -> Meter:
    return meter_for(dialect, is_stream=True, strips_usage_chunk=strips, input_tokens_estimate=50)


def warm() -> Meter:
    meter = stream()
    assert meter.feed(HELLO) == HELLO
    return meter


UNTOUCHED = {
    "null usage": HELLO,
    "null usage after a blank": HELLO.replace(b"null", b" null"),
    "no usage": b'data: {"choices":[{"delta":{}}]}\n\n',
    "several": HELLO * 5,
    "a comment": b": keep-alive\n\n",
    "blank lines": b"\n\n",
    "CRLF": HELLO.replace(b"\n", b"\r\n"),
    "usage in a text": b'data: {"choices":[{"delta":{"content":"\\"usage\\":{}"}}]}\n\n',
    "usage within": b'data: {"choices":[],"x_groq":{"usage":{"prompt_tokens":9}}}\n\n',
    "DONE in a text": b'data: {"choices":[{"delta":{"content":"data: [DONE]"}}]}\n\n',
    "Azure's filter": b'data: {"choices":[],"prompt_filter_results":[]}\n\n',
    "no JSON": b"data: hello\n\n",
    "an event name": b"event: ping\n\n",
}


@pytest.mark.parametrize("data", UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_tells_nothing_passes_at_once(data):
    meter = warm()
    assert meter.feed(data) == data
    assert meter.usage().source is Source.ESTIMATED
    assert not meter.is_terminal
    assert not meter.saw_error


@pytest.mark.parametrize("data", [b": keep-alive\n", b"\n", b"\r\n", b": a\n: b\n\n\n"])
def test_a_keep_alive_is_never_held(data):
    """Whoever waits behind us gives up when it does not come."""
    assert warm().feed(data) == data


SPACED = [
    b'data: {"usage" : {"prompt_tokens": 3, "completion_tokens": 2}, "choices": []}\n\n',
    b'data:{"choices":[ ],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
    b'data: {"choices": [],\ndata: "usage": {"prompt_tokens":3,\ndata:"completion_tokens":2}}\n\n',
    b'id: 7\nevent: x\ndata: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n',
]


@pytest.mark.parametrize("chunk", SPACED)
@pytest.mark.parametrize("neighbours", [(b"", b""), (HELLO, HELLO), (b": c\n", b"\n")])
def test_the_usage_chunk_is_stripped_however_it_is_written(chunk, neighbours):
    before, after = neighbours
    meter = warm()
    assert meter.feed(before + chunk + after) == before + after
    assert meter.usage().counts == {"input_tokens": 3, "output_tokens": 2}
    assert meter.usage().source is Source.REPORTED


def test_who_asked_for_the_usage_chunk_gets_it():
    meter = stream(strips=False)
    assert meter.feed(HELLO + USAGE) == HELLO + USAGE


def test_usage_on_a_chunk_with_choices_passes():
    chunk = USAGE.replace(b"[]", b'[{"delta":{}}]')
    meter = warm()
    assert meter.feed(chunk) == chunk
    assert meter.usage().counts == {"input_tokens": 3, "output_tokens": 2}


def test_the_last_report_wins_and_an_empty_one_does_not():
    meter = warm()
    for count in (b"9", b"2"):
        meter.feed(USAGE.replace(b"2", count))
    meter.feed(b'data: {"choices":[{}],"usage":{"prompt_tokens":null}}\n\n')
    assert meter.usage().counts == {"input_tokens": 3, "output_tokens": 2}


ERRORS = [
    b'data: {"error":{"message":"x"}}\n\n',
    b'data: {"id":"1","choices":[{"delta":{}}],"error":{"code":502}}\n\n',
    b'event: error\ndata: {"error": "x"}\n\n',
]


@pytest.mark.parametrize("data", ERRORS)
def test_an_error_inside_a_stream_is_seen_and_passed(data):
    meter = warm()
    assert meter.feed(data) == data
    assert meter.saw_error


def test_a_null_error_is_none():
    meter = warm()
    data = b'data: {"choices":[{}],"error":null}\n\n'
    assert meter.feed(data) == data
    assert not meter.saw_error


def test_a_partial_event_is_held_and_given_back_at_the_end():
    meter = warm()
    assert meter.feed(HELLO + b'data: {"cho') == HELLO
    assert meter.feed(b"ices") == b""
    meter.finish()
    assert not meter.is_terminal
    assert meter.take_held() == b'data: {"choices'


def test_a_last_event_without_its_blank_line_counts():
    meter = warm()
    assert meter.feed(USAGE[:-1]) == b""
    meter.finish()
    assert meter.take_held() == b""
    assert meter.usage().source is Source.REPORTED
    meter = warm()
    meter.feed(DONE[:-2])
    meter.finish()
    assert meter.is_terminal
    assert meter.take_held() == DONE[:-2]


def giant(length: int) -> bytes:
    text = json.dumps({"content": "中 x" * (length // 5)}, ensure_ascii=False).encode()
    return b'data: {"choices":[{"delta":' + text + b"}]" + USAGE[USAGE.index(b',"usage') :]


@pytest.mark.parametrize("size", [1, 1000, 65_536, 10**6])
@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_a_giant_event_passes_in_bounds_and_is_metered(size, end):
    """An event of any length neither fills the memory nor hides its usage."""
    length = 100_000 if size == 1 else 300_000
    event = giant(length)[:-2] + end
    body = event + HELLO[:-2] + end + DONE
    meter = warm()
    sent = 0
    for at in range(0, len(body), size):
        passed = meter.feed(body[at : at + size])
        assert body.startswith(passed, sent)
        sent += len(passed)
        assert at + size - sent <= PARTIAL_LENGTH_MAX + size
    assert meter.usage().counts == {"input_tokens": 3, "output_tokens": 2}
    assert meter.is_terminal
    assert body[sent:] == meter.take_held() == DONE


def completed(length: int, start: bytes = b"event: response.completed\n") -> bytes:
    output = b'{"model":"m","output":"' + b"x" * length + b'",'
    usage = b'"usage":{"input_tokens":3,"output_tokens":2}}'
    return start + b'data: {"type":"response.completed","response":' + output + usage + b"}\n\n"


@pytest.mark.parametrize("start", [b"event: response.completed\n", b""])
def test_a_long_last_event_is_held_whole(start):
    """The responses API repeats the answer in its last event: it must not go early."""
    event = completed(1_000_000, start)
    meter = stream(RESPONSES)
    for at in range(0, len(event), 50_000):
        assert meter.feed(event[at : at + 50_000]) == b""
    assert meter.is_terminal
    assert meter.usage().counts == {"input_tokens": 3, "output_tokens": 2}
    assert meter.take_held() == event


def test_a_monstrous_last_event_still_holds_its_end():
    event = completed(TERMINAL_LENGTH_MAX + 2_000_000)
    meter = stream(RESPONSES)
    sent = b"".join([meter.feed(event[at : at + 99_999]) for at in range(0, len(event), 99_999)])
    assert 0 < len(sent) < len(event)
    assert meter.is_terminal
    assert meter.usage().counts == {"input_tokens": 3, "output_tokens": 2}
    assert sent + meter.take_held() == event


def test_one_token_an_event_is_estimated_closely():
    meter = warm()
    for word in ["the ", "quick ", "brown ", "中", "文"] * 40:
        meter.feed(HELLO.replace(b"Hello", word.encode()))
    assert 195 <= meter.usage().counts["output_tokens"] <= 210


def test_sentences_an_event_are_estimated_by_length():
    meter = warm()
    sentence = b"The quick brown fox jumps over the lazy dog, and then sleeps. "  # 14 tokens
    for _ in range(50):
        meter.feed(HELLO.replace(b"Hello", sentence))
    assert 0.66 < meter.usage().counts["output_tokens"] / 700 < 1.34


PIECES = st.sampled_from(
    [HELLO, USAGE, DONE, b"\n", b"\r", b"\r\n", b": c", b"data:", b"{", b'"usage":{', b"x", b"\n\n"]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=12), st.lists(st.integers(0, 400), max_size=8))
def test_any_bytes_come_out_as_they_went_in_however_split(pieces, cuts):
    """Framings mixed in any way: nothing lost, nothing reordered, and no split matters."""
    body = b"".join(pieces)
    for strips in (False, True):
        outcomes = []
        for places in ([], sorted({c for c in cuts if c < len(body)}), range(1, len(body))):
            ends = [0, *places, len(body)]
            meter = stream(strips=strips)
            sent = b"".join([meter.feed(body[a:b]) for a, b in itertools.pairwise(ends)])
            meter.finish()
            outcomes.append((sent + meter.take_held(), meter.is_terminal, meter.saw_error))
        assert outcomes[0] == outcomes[1] == outcomes[2]
        if not strips:
            assert outcomes[0][0] == body
