"""Reports among entries: read in order, weighed by their rows, set aside alone when damaged."""

from pathlib import Path

import msgspec
import pytest

from tallygate.core.usage_report import ReportedUse, UsageReport
from tallygate.journal.corrupt import Reason
from tallygate.journal.folder import segment_path
from tallygate.journal.frames import Position
from tallygate.journal.reader import START, Tail
from tests.journal.samples import encoded, make_journal, tail


def report(name: str, uses: int) -> bytes:
    one = ReportedUse(b"t" * 32, "/api/x", 1_000, "", "", 200, 5, b"")
    return msgspec.msgpack.encode(UsageReport(name, 0, [one] * uses))


def write(folder: Path, *payloads: bytes) -> Tail:
    journal = make_journal(folder)
    for payload in payloads:
        journal.append(payload)
    journal.close()
    return tail(folder)


@pytest.mark.parametrize("limit", [1, 2, 10, 100, 1000])
def test_each_record_is_read_once_whatever_is_read_at_a_time(tmp_path: Path, limit: int) -> None:
    mixed = [encoded("e0"), report("r0", 100), encoded("e1"), report("r1", 1), report("r2", 30)]
    reader = write(tmp_path / "7", *mixed)
    names, position = [], START
    while True:
        batch = reader.read(position, limit, is_dead=True)
        if batch.position == position:
            break
        names += [one.request_id for one in (*batch.entries, *batch.reports)]
        position = batch.position
    assert sorted(names) == ["e0", "e1", "r0", "r1", "r2"]


def test_a_batch_ends_with_the_record_that_fills_it(tmp_path: Path) -> None:
    """A transaction holds the store's lock: a report of a hundred uses is a hundred rows."""
    reader = write(tmp_path / "7", report("r0", 100), report("r1", 100), encoded("e0"))
    batch = reader.read(START, 50, is_dead=True)
    assert ([one.request_id for one in batch.reports], batch.rows) == (["r0"], 100)
    batch = reader.read(batch.position, 101, is_dead=True)
    assert (len(batch.reports), len(batch.entries), batch.rows) == (1, 1, 101)


def test_what_is_left_behind_a_full_batch_is_seen(tmp_path: Path) -> None:
    """Or the clerk would take the journal for settled, and a barrier would lie."""
    reader = write(tmp_path / "7", report("r0", 100), report("r1", 2))
    batch = reader.read(START, 10, is_dead=False)
    assert batch.rows >= 10
    assert reader.has_more(batch.position)


def test_a_damaged_report_is_set_aside_and_reading_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "7"
    reader = write(folder, encoded("e0"), report("r0", 3), report("r1", 2))
    path = segment_path(folder, 1)
    content = bytearray(path.read_bytes())
    content[content.find(b"/api/x")] ^= 1
    path.write_bytes(content)
    batch = reader.read(START, 100, is_dead=True)
    assert [one.request_id for one in (*batch.entries, *batch.reports)] == ["e0", "r1"]
    assert [one.reason for one in batch.corruptions] == [Reason.DAMAGED]


def test_a_map_that_is_no_report_is_set_aside(tmp_path: Path) -> None:
    reader = write(tmp_path / "7", msgspec.msgpack.encode({"uses": 3}), report("r0", 1))
    batch = reader.read(START, 100, is_dead=True)
    assert [one.request_id for one in batch.reports] == ["r0"]
    assert [one.reason for one in batch.corruptions] == [Reason.UNREADABLE]
    assert batch.position > Position(1, 0)
