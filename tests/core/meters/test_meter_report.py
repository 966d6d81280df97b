"""What upstreams say of usage, sound and unsound."""

import json

import pytest

from tallygate.core.meters import meter_for
from tallygate.core.meters.body import COPY_LENGTH_MAX
from tallygate.core.request import Dialect
from tallygate.core.usage import Source, Usage

CHAT, MESSAGES = Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES
NOTHING = Usage({}, Source.MISSING)


def usage_of(body: bytes, dialect: Dialect = CHAT) -> Usage:
    meter = meter_for(dialect, is_stream=False, strips_usage_chunk=False, input_tokens_estimate=50)
    assert meter.feed(body) == body
    meter.finish()
    assert not meter.is_terminal
    assert meter.take_held() == b""
    return meter.usage()


def reported(read=0, written=0, reasoning=0, source=Source.REPORTED, **counts: int) -> Usage:
    parts = {
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "reasoning_tokens": reasoning,
    }
    whole = {f"{name}_tokens": count for name, count in counts.items()}
    return Usage(whole | {k: v for k, v in parts.items() if v}, source)


BOTH = {"prompt_tokens": 10, "completion_tokens": 4}
SOUND = {
    "plain": (BOTH, reported(input=10, output=4)),
    "zero": ({"prompt_tokens": 0, "completion_tokens": 0}, reported(input=0, output=0)),
    "null details": ({**BOTH, "prompt_tokens_details": None}, reported(input=10, output=4)),
    "null parts": (
        {**BOTH, "prompt_tokens_details": {"cached_tokens": None}},
        reported(input=10, output=4),
    ),
    "strangers": ({**BOTH, "cost": "8E-7", "tier": [1]}, reported(input=10, output=4)),
    "other words": ({"input_tokens": 10, "output_tokens": 4}, reported(input=10, output=4)),
    "Moonshot": ({**BOTH, "cached_tokens": 3}, reported(input=10, output=4, read=3)),
    "OpenRouter": (
        {**BOTH, "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2}},
        reported(input=10, output=4, read=3, written=2),
    ),
    "LiteLLM": (
        {**BOTH, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 3},
        reported(input=10, output=4, read=3, written=2),
    ),
    "DeepSeek": (
        {**BOTH, "prompt_cache_hit_tokens": 3, "prompt_cache_miss_tokens": 7},
        reported(input=10, output=4, read=3),
    ),
    "xAI counts reasoning apart": (
        {**BOTH, "total_tokens": 34, "completion_tokens_details": {"reasoning_tokens": 20}},
        reported(input=10, output=24, reasoning=20),
    ),
}


@pytest.mark.parametrize(("usage", "want"), SOUND.values(), ids=SOUND)
def test_a_sound_report_is_taken_as_it_is(usage, want):
    assert usage_of(json.dumps({"choices": [], "usage": usage}).encode()) == want


GUESS = Source.ESTIMATED
UNSOUND = {
    "negative": ({**BOTH, "prompt_tokens": -1}, reported(input=50, output=4, source=GUESS)),
    "absurd": ({**BOTH, "prompt_tokens": 10**7 + 1}, reported(input=50, output=4, source=GUESS)),
    "huge": ({**BOTH, "prompt_tokens": 10**40}, reported(input=50, output=4, source=GUESS)),
    "float": ({**BOTH, "prompt_tokens": 10.0}, reported(input=50, output=4, source=GUESS)),
    "string": ({**BOTH, "prompt_tokens": "10"}, reported(input=50, output=4, source=GUESS)),
    "boolean": ({**BOTH, "prompt_tokens": True}, reported(input=50, output=4, source=GUESS)),
    "null": ({**BOTH, "prompt_tokens": None}, reported(input=50, output=4, source=GUESS)),
    "absent": ({"completion_tokens": 4}, reported(input=50, output=4, source=GUESS)),
    "object": ({**BOTH, "prompt_tokens": {}}, reported(input=50, output=4, source=GUESS)),
    "no output": ({"prompt_tokens": 10}, reported(input=10, output=0, source=GUESS)),
    "bad part": (
        {**BOTH, "prompt_tokens_details": {"cached_tokens": -1}},
        reported(input=10, output=4, source=GUESS),
    ),
    "details as list": (
        {**BOTH, "prompt_tokens_details": [1]},
        reported(input=10, output=4, source=GUESS),
    ),
    "details as number": (
        {**BOTH, "prompt_tokens_details": 7},
        reported(input=10, output=4, source=GUESS),
    ),
    "part beyond the whole": (
        {**BOTH, "prompt_cache_hit_tokens": 11},
        reported(input=10, output=4, source=GUESS),
    ),
    "reasoning beyond the output": (
        {**BOTH, "total_tokens": 14, "completion_tokens_details": {"reasoning_tokens": 20}},
        reported(input=10, output=4, source=GUESS),
    ),
}


@pytest.mark.parametrize(("usage", "want"), UNSOUND.values(), ids=UNSOUND)
def test_an_unsound_count_is_left_out_and_the_rest_estimated(usage, want):
    """A wrong number must neither be billed nor cost us the right ones beside it."""
    assert usage_of(json.dumps({"choices": [], "usage": usage}).encode()) == want


@pytest.mark.parametrize("usage", [None, [], "10", 7, {}, {"prompt_tokens": None}])
def test_a_usage_that_says_nothing_is_estimated(usage):
    body = json.dumps({"choices": [{"text": "x" * 4000}], "usage": usage}).encode()
    got = usage_of(body)
    assert got.source is Source.ESTIMATED
    assert got.counts["input_tokens"] == 50
    assert 900 < got.counts["output_tokens"] < 1100


@pytest.mark.parametrize("extra", [{"model": 5}, {"type": 7}, {"model": "m" * 999}])
def test_a_wrong_neighbour_does_not_hurt_a_sound_report(extra):
    body = json.dumps({"usage": BOTH, **extra}).encode()
    assert usage_of(body) == reported(input=10, output=4)


def test_anthropic_input_is_the_sum_of_three():
    usage = {
        "input_tokens": 1,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 300,
        "output_tokens": 5,
    }
    got = usage_of(json.dumps({"usage": usage}).encode(), MESSAGES)
    assert got == reported(input=321, output=5, written=20, read=300)
    assert got.total_tokens == 326


EMPTY = {
    "nothing": b"",
    "blank lines": b"\n\n\n",
    "HTML": b"<html>502</html>",
    "an array": b"[1]",
    "an error": b'{"error":{"message":"no"}}',
}


@pytest.mark.parametrize("body", EMPTY.values(), ids=EMPTY)
def test_what_holds_no_answer_has_no_usage(body):
    assert usage_of(body) == NOTHING


def test_a_cut_answer_gives_what_can_still_be_read():
    body = b'{"choices":[{"text":"\\"usage\\": {}"}], "usage" : {"prompt_tokens":1,'
    assert usage_of(body + b'"completion_tokens":2},"x":[1,').counts == {
        "input_tokens": 1,
        "output_tokens": 2,
    }
    assert usage_of(body).source is Source.ESTIMATED


@pytest.mark.parametrize("depth", [500, 100_000])
def test_deep_nesting_does_not_crash(depth):
    body = b'{"x":' + b"[" * depth + b"]" * depth + b',"usage":{"prompt_tokens":1}}'
    assert usage_of(body).counts["input_tokens"] == 1
    deep = b'{"usage":{"prompt_tokens":' + b'{"usage":' * depth
    assert usage_of(deep).source is Source.ESTIMATED


def test_a_giant_answer_is_read_from_its_tail():
    """Beyond the bound no copy is kept, whatever the answer's length."""
    meter = meter_for(
        Dialect.OPENAI_EMBEDDINGS,
        is_stream=False,
        strips_usage_chunk=False,
        input_tokens_estimate=50,
    )
    piece = b"0.00230642," * 10_000
    meter.feed(b'{"object":"list","data":[{"embedding":[')
    for _ in range(2 * COPY_LENGTH_MAX // len(piece)):
        assert meter.feed(piece) is piece
    meter.feed(b'0]}],"model":"e","usage":{"prompt_tokens":8,"total')
    meter.feed(b'_tokens":8}}')
    meter.finish()
    assert meter.usage() == reported(input=8, output=0)


def test_pieces_are_put_together():
    body = json.dumps({"model": "m", "usage": BOTH}).encode()
    meter = meter_for(CHAT, is_stream=False, strips_usage_chunk=False, input_tokens_estimate=50)
    for at in range(len(body)):
        meter.feed(body[at : at + 1])
    assert meter.usage() == reported(input=10, output=4)
    assert meter.model == "m"
