"""Every provider's answers, split in every way: the same usage, and the same bytes."""

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallygate.core.meters import Meter, meter_for
from tallygate.core.request import Dialect
from tallygate.core.usage import Source, Usage

WIRE = Path(__file__).parents[2] / "fixtures" / "wire"
EXPECTED = json.loads((WIRE / "expected.json").read_text(encoding="utf-8"))
STREAMS = [name for name in EXPECTED if name.endswith(".sse")]
INPUT_ESTIMATE = 100


class Outcome(NamedTuple):
    """All that a meter shows in the end."""

    sent: bytes
    usage: Usage
    model: str | None
    is_terminal: bool
    saw_error: bool


def meter_of(name: str, strips: bool) -> Meter:
    case = EXPECTED[name]
    return meter_for(
        Dialect(case["dialect"]),
        is_stream=case["is_stream"],
        strips_usage_chunk=strips,
        input_tokens_estimate=INPUT_ESTIMATE,
    )


def run(name: str, pieces: list[bytes], strips: bool) -> Outcome:
    meter = meter_of(name, strips)
    sent = b"".join([meter.feed(piece) for piece in pieces])
    meter.finish()
    sent += meter.take_held()
    return Outcome(sent, meter.usage(), meter.model, meter.is_terminal, meter.saw_error)


def expected(name: str, body: bytes, strips: bool) -> Outcome:
    case = EXPECTED[name]
    if strips and case["usage_chunk"]:
        chunk = case["usage_chunk"].encode()
        assert body.count(chunk) == 1
        body = body.replace(chunk, b"")
    usage = Usage(case["counts"], Source(case["source"]))
    return Outcome(body, usage, case["model"], case["is_terminal"], case["saw_error"])


both = pytest.mark.parametrize("strips", [False, True], ids=["keeps", "strips"])
every = pytest.mark.parametrize("name", EXPECTED)


def test_every_fixture_is_expected():
    files = {path.name for path in WIRE.iterdir()}
    assert files - {"expected.json", ".gitattributes"} == set(EXPECTED)


@both
@every
def test_a_body_fed_whole_is_metered_as_expected(name, strips):
    body = (WIRE / name).read_bytes()
    assert run(name, [body], strips) == expected(name, body, strips)


@both
@every
def test_byte_by_byte(name, strips):
    body = (WIRE / name).read_bytes()
    pieces = [body[at : at + 1] for at in range(len(body))]
    assert run(name, pieces, strips) == expected(name, body, strips)


@both
@every
def test_every_split_in_two_has_the_same_outcome(name, strips):
    body = (WIRE / name).read_bytes()
    want = expected(name, body, strips)
    for at in range(len(body) + 1):
        assert run(name, [body[:at], body[at:]], strips) == want, at


@both
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_fed_event_by_event_has_the_same_outcome(name, strips):
    """As reads mostly come: the fast path."""
    body = (WIRE / name).read_bytes()
    pieces = [event + b"\n\n" for event in body.split(b"\n\n")]
    pieces[-1] = pieces[-1][:-2]
    assert run(name, pieces, strips) == expected(name, body, strips)


@settings(deadline=None)
@given(st.sampled_from(list(EXPECTED)), st.booleans(), st.data())
def test_however_it_is_split_the_outcome_is_the_same(name, strips, data):
    body = (WIRE / name).read_bytes()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=12)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert run(name, pieces, strips) == expected(name, body, strips)


@both
@pytest.mark.parametrize("name", [n for n in STREAMS if EXPECTED[n]["is_terminal"]])
def test_nothing_of_the_end_goes_before_the_journal(name, strips):
    """The terminal event and all that trails it is held, wherever the reads are split."""
    body = (WIRE / name).read_bytes()
    want = expected(name, body, strips)
    trailing = b": bye\n\ndata: {}\n\n"
    for at in range(len(body) + 1):
        meter = meter_of(name, strips)
        sent = meter.feed(body[:at])
        sent += meter.feed(body[at:] + trailing[:5])
        assert meter.is_terminal
        assert meter.feed(trailing[5:]) == b""
        held = meter.take_held()
        assert held.startswith((b"data: [DONE]", b"event: message_stop", b"event: response."))
        assert sent + held == want.sent + trailing
        assert meter.feed(b"more\n\n") == b"more\n\n"
        meter.finish()
        assert meter.take_held() == b""
        assert meter.usage() == want.usage


@pytest.mark.parametrize("name", STREAMS)
def test_usage_may_be_asked_for_at_any_time(name):
    body = (WIRE / name).read_bytes()
    meter = meter_of(name, strips=True)
    assert meter.usage() == Usage({}, Source.MISSING)
    for at in range(0, len(body), 7):
        meter.feed(body[at : at + 7])
        usage = meter.usage()
        assert set(usage.counts) >= {"input_tokens", "output_tokens"} or not usage.counts
