"""What senders of uses may say: taken to the letter, or refused whole with the field named."""

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.errors import Code, Refusal
from tallygate.core.records import read_record, rows_of
from tallygate.core.usage_events import read_uses
from tallygate.core.usage_report import (
    USES_MAX,
    ReportedUse,
    UsageReport,
    encoded_in_parts,
    event_of,
)
from tallygate.journal.frames import PAYLOAD_BYTES_MAX
from tests.journal.samples import encoded

NOW_MS = 1_790_000_000_000
HASH = hashlib.sha256(b"ntk_token").hexdigest()
EVENT = {"token_hash": HASH, "route": "/api/test", "timestamp": 1_699_000_000_000}


def read(value: Any, delivery: bytes = b"") -> list[ReportedUse]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return read_uses(body, NOW_MS, 1000, delivery)


def test_an_event_as_the_seed_has_it_is_taken() -> None:
    """Without any of what is optional; the time stays as it is, however long ago."""
    [use] = read(EVENT)
    token = hashlib.sha256(b"ntk_token").digest()
    assert use == ReportedUse(token, "/api/test", 1_699_000_000_000, "", "", 0, 0, b"")


def test_all_that_is_optional_is_taken_and_null_is_as_if_left_out() -> None:
    more = {
        "ip_address": "2001:db8::1",
        "user_agent": "n8n" * 100,
        "response_status": 502,
        "response_time_ms": 12.7,
        "event_id": "e-1",
    }
    [use] = read(EVENT | more)
    assert (use.address, use.agent, use.status) == ("2001:db8::1", ("n8n" * 100)[:128], 502)
    assert (use.duration_ms, use.event) == (12, event_of("e-1"))
    assert read(EVENT | dict.fromkeys(more)) == read(EVENT)


@pytest.mark.parametrize("timestamp", [NOW_MS + 1, NOW_MS + 10**9, 2**53 - 1, 9.1e15 - 1e14])
def test_a_time_in_the_future_is_brought_down_to_now(timestamp: float) -> None:
    """Or a token would look used until then, and its last use would not move for years."""
    [use] = read(EVENT | {"timestamp": timestamp})
    assert use.at_ms == NOW_MS


@pytest.mark.parametrize("timestamp", [0, 1, 1_000_000_000_000, NOW_MS - 0.5, NOW_MS])
def test_any_time_up_to_now_is_kept(timestamp: float) -> None:
    [use] = read(EVENT | {"timestamp": timestamp})
    assert use.at_ms == int(timestamp)


@pytest.mark.parametrize(
    "token_hash",
    ["", "test_hash_123", "x" * 128, "g" * 64, HASH[:-1], f"{HASH}0", HASH[:62] + "  "],
)
def test_any_text_is_a_token_hash_that_no_token_has(token_hash: str) -> None:
    """The seed's own guide sends `test_hash_123` and expects it to be logged."""
    [use] = read(EVENT | {"token_hash": token_hash})
    assert use.token == b""


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        (b"", Code.BAD_REQUEST, "not valid JSON"),
        (b"{", Code.BAD_REQUEST, "not valid JSON"),
        (b'{"token_hash":"\xff"}', Code.BAD_REQUEST, "not valid JSON"),
        (b"[" * 100_000, Code.BAD_REQUEST, ""),
        (b"3", Code.BAD_REQUEST, "must be a JSON object"),
        (b"null", Code.BAD_REQUEST, "must be a JSON object"),
        (b"[1]", Code.BAD_REQUEST, "[0]"),
        (b"[]", Code.BAD_REQUEST, "empty"),
        ([EVENT] * 1001, Code.TOO_LARGE, "1000"),
        ({"route": "/", "timestamp": 1}, Code.BAD_REQUEST, "token_hash"),
        ({"token_hash": "a", "timestamp": 1}, Code.BAD_REQUEST, "route"),
        ({"token_hash": "a", "route": "/"}, Code.BAD_REQUEST, "timestamp"),
        (EVENT | {"extra": 1}, Code.UNKNOWN_FIELD, "extra"),
        ([EVENT, EVENT | {"extra": 1}], Code.UNKNOWN_FIELD, "[1].extra"),
        (EVENT | {"token_hash": 5}, Code.BAD_REQUEST, "token_hash"),
        (EVENT | {"token_hash": None}, Code.BAD_REQUEST, "token_hash"),
        (EVENT | {"token_hash": "x" * 129}, Code.BAD_REQUEST, "token_hash"),
        (EVENT | {"route": ["/"]}, Code.BAD_REQUEST, "route"),
        (EVENT | {"route": "/" * 513}, Code.BAD_REQUEST, "route"),
        (EVENT | {"route": "/a\0"}, Code.BAD_REQUEST, "route"),
        (EVENT | {"timestamp": "1699000000000"}, Code.BAD_REQUEST, "timestamp"),
        (EVENT | {"timestamp": True}, Code.BAD_REQUEST, "timestamp"),
        (EVENT | {"timestamp": -1}, Code.BAD_REQUEST, "timestamp"),
        (EVENT | {"timestamp": 2**53}, Code.BAD_REQUEST, "timestamp"),
        (b'{"token_hash":"a","route":"/","timestamp":1e400}', Code.BAD_REQUEST, "timestamp"),
        ([EVENT, EVENT | {"timestamp": None}], Code.BAD_REQUEST, "[1].timestamp"),
        (EVENT | {"ip_address": "1" * 65}, Code.BAD_REQUEST, "ip_address"),
        (EVENT | {"ip_address": 16843009}, Code.BAD_REQUEST, "ip_address"),
        (EVENT | {"user_agent": 5}, Code.BAD_REQUEST, "user_agent"),
        (EVENT | {"response_status": 1000}, Code.BAD_REQUEST, "response_status"),
        (EVENT | {"response_status": "200"}, Code.BAD_REQUEST, "response_status"),
        (EVENT | {"response_time_ms": -1}, Code.BAD_REQUEST, "response_time_ms"),
        (EVENT | {"event_id": ""}, Code.BAD_REQUEST, "event_id"),
        (EVENT | {"event_id": "x" * 129}, Code.BAD_REQUEST, "event_id"),
        (EVENT | {"event_id": 7}, Code.BAD_REQUEST, "event_id"),
    ],
)
def test_what_can_not_be_taken_is_refused_by_name(body: Any, code: Code, named: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(body)
    assert refused.value.code is code
    assert named in refused.value.message


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("x" * 100_000, "x" * 128),
        ("a\0b", "a\ufffdb"),
        ("cut \ud83d", "cut \ufffd"),
        ("\ude00 cut", "\ufffd cut"),
        ("\ud83d\ud83d\ude00\ude00", "\ufffd😀\ufffd"),
        ("\\ud83d is no escape", "\\ud83d is no escape"),
        ("\\\\ud83d", "\\\\ud83d"),
        ('"\\\ud83d"', '"\\\ufffd"'),
    ],
)
def test_no_agent_spoils_a_batch(sent: str, kept: str) -> None:
    """Whoever uses a token chooses it: a batch is taken whole, so none may be refused for it.

    A worker that cuts agents in JavaScript sends half a character where one was cut through.
    """
    found = read([EVENT, EVENT | {"user_agent": sent}])
    assert [use.agent for use in found] == ["", kept]


def test_events_without_a_name_get_one_of_the_delivery_that_names_itself() -> None:
    """So that a delivery which is sent again counts once; a name of an event's own goes before."""
    first = read([EVENT, EVENT, EVENT | {"event_id": "own"}], b"delivery-1")
    again = read([EVENT, EVENT, EVENT | {"event_id": "own"}], b"delivery-1")
    other = read([EVENT, EVENT], b"delivery-2")
    assert first == again
    assert first[2].event == event_of("own")
    assert len({use.event for use in [*first, *other]}) == 5


texts = st.text(max_size=40)
uses = st.builds(
    ReportedUse,
    st.binary(min_size=32, max_size=32) | st.just(b""),
    st.text(max_size=512),
    st.integers(0, NOW_MS),
    *(st.text(max_size=64), st.text(max_size=128)),
    *(st.integers(0, 999), st.integers(0, 2**53)),
    st.binary(min_size=16, max_size=16) | st.just(b""),
)


@given(st.lists(uses, max_size=12), st.integers(300, 4000))
def test_parts_of_a_report_hold_all_of_it_in_order(reported: list[ReportedUse], size: int) -> None:
    """Numbers and uses are those of the whole, whatever fits into a part."""
    size = max([size, *(len(msgspec.msgpack.encode(use)) + 100 for use in reported)])
    payloads = encoded_in_parts(UsageReport("req_1", 0, reported), size)
    assert all(len(payload) <= size for payload in payloads)
    numbered = []
    for payload in payloads:
        part = read_record(payload)
        assert isinstance(part, UsageReport)
        numbered += enumerate(part.uses, part.first)
    assert numbered == list(enumerate(reported))


def test_the_largest_report_fits_into_frames_that_settle_in_one_go() -> None:
    """Routes, addresses and agents of four bytes a character, a thousand times."""
    largest = ReportedUse(b"t" * 32, "𝕣" * 512, NOW_MS, "𝕒" * 64, "𝕘" * 128, 999, 2**53, b"e" * 16)
    payloads = encoded_in_parts(UsageReport("r" * 64, 0, [largest] * 1000), PAYLOAD_BYTES_MAX)
    records = [read_record(payload) for payload in payloads]
    assert sum(map(rows_of, records)) == 1000
    assert max(map(rows_of, records)) <= USES_MAX
    assert max(map(len, payloads)) <= PAYLOAD_BYTES_MAX


def test_a_record_is_told_by_its_first_byte() -> None:
    """Entries of before have no mark; what is neither is damage, not a guess."""
    report = UsageReport("req_1", 0, [])
    assert read_record(msgspec.msgpack.encode(report)) == report
    assert read_record(encoded("r1")).request_id == "r1"
    assert rows_of(read_record(encoded("r1"))) == rows_of(report) == 1
    for damaged in (b"", b"\x80", b"\x81\xa1x\x01", b"\x90", b"\xff", b"\x00"):
        with pytest.raises(msgspec.MsgspecError):
            read_record(damaged)
