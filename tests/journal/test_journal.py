"""A journal from its writer to its reader, through damage, full disks and sudden death."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tallygate.core.errors import StoreRefused
from tallygate.journal import writer
from tallygate.journal.folder import Lock, boot_folders, segment_path, segments_of
from tallygate.journal.frames import (
    FRAME_BYTES_MAX,
    HEAD_BYTES,
    Identity,
    read_header,
    scan,
    seed_of,
)
from tallygate.journal.reader import START
from tallygate.journal.retention import drop_ended, prune, stamp_settled
from tallygate.journal.writer import JournalFailed
from tests.journal.samples import (
    IDENTITY,
    SEGMENT_BYTES,
    encoded,
    ids,
    make_journal,
    read_all,
    tail,
)


def small_journal(folder: Path, count: int = 4) -> bytes:
    """A closed journal of `count` entries; its only segment's bytes."""
    journal = make_journal(folder)
    for number in range(count):
        journal.append(encoded(f"r{number}"))
    journal.close()
    return segment_path(folder, 1).read_bytes()


def test_what_was_written_is_read_in_order(tmp_path: Path):
    journal = make_journal(tmp_path / "7")
    for number in range(10):
        journal.append(encoded(f"r{number}"))
        journal.write()
    assert ids(read_all(tail(tmp_path / "7"), is_dead=False)) == [f"r{n}" for n in range(10)]


def test_nothing_is_seen_before_it_is_written(tmp_path: Path):
    """An answer ends only after `write`: what `append` holds is not yet recorded."""
    journal = make_journal(tmp_path / "7")
    journal.append(encoded("a"))
    assert read_all(tail(tmp_path / "7"), is_dead=False).entries == []
    journal.write()
    assert ids(read_all(tail(tmp_path / "7"), is_dead=False)) == ["a"]


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_entries_cross_segments_without_loss(tmp_path: Path, limit: int):
    """A frame never spans two segments, and the reader follows over each border."""
    journal = make_journal(tmp_path / "7")
    for number in range(60):
        journal.append(encoded(f"r{number}", agent="x" * 9000))
        journal.prepare()
    journal.close()
    assert len(segments_of(tmp_path / "7")) > 3
    batch = read_all(tail(tmp_path / "7"), limit=limit)
    assert ids(batch) == [f"r{number}" for number in range(60)]
    assert batch.corruptions == []


def test_a_reader_beside_the_writer_sees_every_entry_once(tmp_path: Path):
    journal, reader = make_journal(tmp_path / "7"), tail(tmp_path / "7")
    seen, position = [], START
    for number in range(80):
        journal.append(encoded(f"r{number}", agent="x" * (number * 137 % 20_000)))
        if number % 3 == 0:
            journal.write()
            journal.prepare()
        batch = reader.read(position, 7, is_dead=False)
        position = batch.position
        seen += ids(batch)
    journal.write()
    seen += ids(reader.read(position, 1000, is_dead=False))
    assert seen == [f"r{number}" for number in range(80)]


def test_a_tail_torn_at_any_byte_keeps_every_whole_entry(tmp_path: Path):
    """The writer can die inside a write: all that was whole counts, the rest is set aside."""
    whole = small_journal(tmp_path / "7")
    ends = _ends(whole)
    for cut in range(len(whole)):
        segment_path(tmp_path / "7", 1).write_bytes(whole[:cut] + bytes(64))
        batch = read_all(tail(tmp_path / "7"))
        assert ids(batch) == [f"r{number}" for number, end in enumerate(ends) if end <= cut], cut


def test_a_torn_tail_of_a_living_worker_is_waited_for(tmp_path: Path):
    """It may be a write that is still going on: no byte of it is judged yet."""
    whole = small_journal(tmp_path / "7")
    ends = _ends(whole)
    path = segment_path(tmp_path / "7", 1)
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut] + bytes(64))
        reader = tail(tmp_path / "7")
        first = read_all(reader, is_dead=False)
        assert first.corruptions == []
        path.write_bytes(whole)
        rest = reader.read(first.position, 100, is_dead=False)
        assert len(first.entries) == sum(end <= cut for end in ends)
        assert ids(first) + ids(rest) == ["r0", "r1", "r2", "r3"]


def test_a_bit_flipped_at_any_byte_costs_one_entry_at_most(tmp_path: Path):
    """Every intact entry is read exactly once; the damaged one is set aside and reported."""
    whole = small_journal(tmp_path / "7")
    ends = _ends(whole)
    path = segment_path(tmp_path / "7", 1)
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 1 << (place % 8)
        path.write_bytes(broken)
        batch = read_all(tail(tmp_path / "7"))
        in_header = place < _header_end(whole)
        hit = -1 if in_header else next(n for n, end in enumerate(ends) if place < end)
        assert ids(batch) == [f"r{n}" for n in range(4) if n != hit], place
        assert len(batch.corruptions) == 1
    assert len(list((tmp_path / "corrupt").glob("*.json"))) == 5


def test_reading_again_from_the_start_finds_no_damage(tmp_path: Path):
    """A settling whose commit was not heard of is read again by the same reader."""
    small_journal(tmp_path / "7")
    reader = tail(tmp_path / "7")
    for _ in range(2):
        batch = read_all(reader)
        assert ids(batch) == ["r0", "r1", "r2", "r3"]
        assert batch.corruptions == []


def test_a_bit_flipped_in_the_empty_next_segment_leaves_the_current_one_open(tmp_path: Path):
    """Else the reader would skip what the living worker still writes."""
    journal = make_journal(tmp_path / "7")
    while journal._next is None:
        journal.append(encoded("filler", agent="x" * 9000))
        journal.write()
        journal.prepare()
    with segment_path(tmp_path / "7", 2).open("r+b") as file:
        file.write(b"\x10")
    reader = tail(tmp_path / "7")
    position = read_all(reader, is_dead=False).position
    journal.append(encoded("late"))
    journal.write()
    assert ids(reader.read(position, 10, is_dead=False)) == ["late"]


def test_an_entry_this_version_does_not_understand_is_set_aside(tmp_path: Path):
    journal = make_journal(tmp_path / "7")
    journal.append(b"\x93\x01\x02\x03")
    journal.append(encoded("good"))
    journal.close()
    batch = read_all(tail(tmp_path / "7"))
    assert ids(batch) == ["good"]
    assert [corruption.reason for corruption in batch.corruptions] == ["unreadable"]


def test_a_journal_of_another_store_is_refused(tmp_path: Path):
    """A data folder next to the wrong database must not be settled into it."""
    small_journal(tmp_path / "7")
    other = Identity("store-2", IDENTITY.node_uuid, IDENTITY.slot, IDENTITY.boot)
    with pytest.raises(StoreRefused, match="belongs to store store-1"):
        tail(tmp_path / "7", other).read(START, 10, is_dead=True)


def test_room_is_a_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever fits into `room` can be appended with a full disk, whatever the sizes."""
    journal = make_journal(tmp_path / "7")
    while journal._next is None:
        journal.append(encoded("filler", agent="x" * 5000))
        journal.prepare()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(writer, "_allocate", full)
    count = 0
    while journal.room >= FRAME_BYTES_MAX:
        journal.append(encoded("promised", agent="x" * 60_000))
        journal.prepare()
        count += 1
    journal.write()
    assert count > 0
    with pytest.raises(JournalFailed):
        for _ in range(5):
            journal.append(encoded("beyond", agent="x" * 60_000))


def test_a_failed_write_is_repeated_without_doubling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Half a batch may have reached the file: the repetition overwrites it."""
    journal = make_journal(tmp_path / "7")
    journal.append(encoded("a"))
    journal.write()
    real = os.pwrite
    answers = iter([20, OSError(errno.EIO, "input/output error")])

    def failing(fd: int, data: bytes, offset: int) -> int:
        answer = next(answers, None)
        if answer is None:
            return real(fd, data, offset)
        if isinstance(answer, OSError):
            raise answer
        return real(fd, data[:answer], offset)

    monkeypatch.setattr(os, "pwrite", failing)
    journal.append(encoded("b"))
    with pytest.raises(JournalFailed):
        journal.write()
    journal.append(encoded("c"))
    journal.write()
    assert ids(read_all(tail(tmp_path / "7"), is_dead=False)) == ["a", "b", "c"]


def test_segments_stop_at_the_bound(tmp_path: Path):
    """A store that stays away fills the disk up to the setting and no further."""
    journal = make_journal(tmp_path / "7", bytes_max=SEGMENT_BYTES * 3)
    while journal.room >= FRAME_BYTES_MAX:
        journal.append(encoded("r", agent="x" * 5000))
        journal.write()
        journal.prepare()
    assert sum(path.stat().st_size for path in (tmp_path / "7").glob("*.seg")) <= SEGMENT_BYTES * 3


def test_power_durability_syncs_every_segment_it_left(tmp_path: Path):
    journal = make_journal(tmp_path / "7", durability="power")
    for number in range(40):
        journal.append(encoded(f"r{number}", agent="x" * 9000))
        journal.write()
        journal.sync()
        journal.prepare()
    assert len(journal._unsynced) == 1
    journal.close()
    assert len(read_all(tail(tmp_path / "7")).entries) == 40


def test_a_living_worker_holds_its_lock(tmp_path: Path):
    """Who can take the lock may take over; so it must not be free while its worker lives."""
    journal = make_journal(tmp_path / "0" / "7")
    assert [item.boot for item in boot_folders(tmp_path)] == [7]
    lock = Lock(tmp_path / "0" / "7" / "lock")
    assert not lock.take()
    journal.close()
    assert lock.take()
    lock.release()


def test_a_boot_number_is_never_used_twice(tmp_path: Path):
    small_journal(tmp_path / "7")
    with pytest.raises(JournalFailed, match="used before"):
        make_journal(tmp_path / "7")


WRITER = """
import sys
from pathlib import Path
from tests.journal.samples import encoded, make_journal
journal = make_journal(Path(sys.argv[1]))
for number in range(1_000_000):
    journal.append(encoded(f"r{number}", agent="x" * (number % 700)))
    journal.write()
    journal.prepare()
    if number % 50 == 0:
        print(number, flush=True)
"""


def test_kill_nine_loses_nothing_that_was_written(tmp_path: Path):
    """What `write` returned for is read after any death of the process."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "7")],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    last = -1
    for _ in range(40):
        last = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    read = ids(read_all(tail(tmp_path / "7"), limit=500))
    assert len(read) > last
    assert read == [f"r{number}" for number in range(len(read))]


def test_settled_segments_go_when_their_time_has_come(tmp_path: Path):
    """A restored backup replays the last hours: they stay that long after being settled."""
    journal = make_journal(tmp_path / "7")
    for _ in range(60):
        journal.append(encoded("r", agent="x" * 9000))
        journal.prepare()
    journal.close()
    last = segments_of(tmp_path / "7")[-1]
    stamp_settled(tmp_path / "7", last, 1_000.0)
    options = {"settled_before": last, "keep_s": 50.0, "bytes_max": 1 << 30}
    assert prune(tmp_path / "7", now_s=1_049.0, **options) == 0
    assert prune(tmp_path / "7", now_s=1_051.0, **options) == last - 1
    assert segments_of(tmp_path / "7") == [last]
    assert not drop_ended(tmp_path / "7", keep_s=1e9, now_s=2e9)
    assert drop_ended(tmp_path / "7", keep_s=1.0, now_s=4e9)
    assert not (tmp_path / "7").exists()


def _header_end(whole: bytes) -> int:
    found = read_header(whole)
    assert found is not None
    return found[1]


def _ends(whole: bytes) -> list[int]:
    """Where each entry of an intact segment ends."""
    start = _header_end(whole)
    frames = scan(whole[start:], seed_of(IDENTITY), is_final=True).frames
    return [start + offset + HEAD_BYTES + len(payload) for offset, payload in frames]
