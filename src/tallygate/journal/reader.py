"""Reading a journal behind its writer, in order, each entry once.

A damaged frame is set aside with a report, and reading goes on at the next intact one. The tail of
a living worker may be a write that is still going on, so it is waited for; that of a dead one is
damage. A segment is over once the next one has begun.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tallygate.core.entry import Entry
from tallygate.core.errors import StoreRefused
from tallygate.core.records import read_record, rows_of
from tallygate.core.usage_report import UsageReport
from tallygate.journal.corrupt import Corruption, Reason, set_aside
from tallygate.journal.folder import segment_path, segments_of
from tallygate.journal.frames import (
    HEAD_BYTES,
    Identity,
    Position,
    Scan,
    read_header,
    scan,
    seed_of,
)

START = Position(1, 0)
READ_BYTES = 256 << 10


class Batch(NamedTuple):
    """What was read, and where reading goes on. `rows` is what settling it writes."""

    entries: list[Entry]
    position: Position
    corruptions: list[Corruption]
    reports: Sequence[UsageReport] = ()
    rows: int = 0


class Tail:
    """One journal's reader; it keeps no position of its own but the one it was last given."""

    def __init__(self, folder: Path, identity: Identity, corrupt: Path) -> None:
        self._folder = folder
        self._identity = identity
        self.corrupt = corrupt
        self._seed = seed_of(identity)
        self._checked: set[int] = set()  # segments whose header is ours

    def __repr__(self) -> str:
        return f"<Tail {self._identity.slot}/{self._identity.boot}>"

    def has_more(self, position: Position) -> bool:
        """A cheap look: is anything written behind this position?"""
        if any(self._bytes(position, HEAD_BYTES)):
            return True
        return segment_path(self._folder, position.segment + 1).exists() and bool(
            self._following(position.segment, is_dead=False)
        )

    def lag_bytes(self, position: Position) -> int:
        """At most how much there is beyond `position`; allocated but empty space included."""
        sizes = {number: self._size(number) for number in segments_of(self._folder)}
        behind = sum(size for number, size in sizes.items() if number > position.segment)
        return behind + max(0, sizes.get(position.segment, 0) - position.offset)

    def read(self, position: Position, limit: int, *, is_dead: bool) -> Batch:
        """What makes `limit` rows after `position`, or the last record a few more; less than
        that: it is all there is (yet)."""
        batch = Batch([], position, [])
        while batch.rows < limit:
            position = batch.position
            following = self._following(position.segment, is_dead=is_dead)
            batch = self._read_segment(batch, limit, is_dead or following > 0)
            if batch.position != position:
                continue
            if not following:
                break
            batch = batch._replace(position=Position(following, 0))
        return batch

    def _read_segment(self, batch: Batch, limit: int, is_over: bool) -> Batch:
        start = batch.position
        data = self._bytes(start, READ_BYTES)
        if not data:
            return batch
        if start.offset == 0 or start.segment not in self._checked:
            head = (
                data if start.offset == 0 else self._bytes(Position(start.segment, 0), READ_BYTES)
            )
            header_end = self._check_header(start.segment, head)
            if start.offset == 0 and header_end:
                return batch._replace(position=Position(start.segment, header_end))
        found = scan(data, self._seed, is_final=is_over and len(data) < READ_BYTES)
        if is_over and found.end == 0:  # damage that is larger than what was read
            data = self._bytes(start, None)
            found = scan(data, self._seed, is_final=True)
        elif found.damages:
            # An intact frame behind the damage proves that nobody writes there any more, but not
            # that it was so when this read passed the damaged bytes: look once again.
            data = self._bytes(start, len(data))
            found = scan(data, self._seed, is_final=is_over and len(data) < READ_BYTES)
        return self._take(batch, data, found, limit)

    def _take(self, batch: Batch, data: bytes, found: Scan, limit: int) -> Batch:
        start, end = batch.position, found.end
        entries, reports, rows = list(batch.entries), list(batch.reports), batch.rows
        unreadable = []
        for offset, payload in found.frames:
            if rows >= limit:
                end = offset
                break
            try:
                record = read_record(payload)
            except msgspec.MsgspecError:
                place = offset + HEAD_BYTES
                unreadable.append(self._corruption(start, place, payload, Reason.UNREADABLE))
                rows += 1
                continue
            rows += rows_of(record)
            if isinstance(record, UsageReport):
                reports.append(record)
            else:
                entries.append(record)
        corruptions = self._damages(start, data, found, end) + unreadable
        for corruption in corruptions:
            set_aside(self.corrupt, corruption)
        position = Position(start.segment, start.offset + end)
        return Batch(entries, position, batch.corruptions + corruptions, reports, rows)

    def _damages(self, start: Position, data: bytes, found: Scan, end: int) -> list[Corruption]:
        return [
            self._corruption(start, first, data[first:last], Reason.DAMAGED)
            for first, last in found.damages
            if first < end
        ]

    def _corruption(self, start: Position, offset: int, data: bytes, why: Reason) -> Corruption:
        return Corruption(self._identity, start.segment, start.offset + offset, data, why)

    def _check_header(self, segment: int, data: bytes) -> int:
        """Where the header ends; 0 if it is damaged: then the frames' own seed vouches for them.

        A header of another store is refused: its entries are not ours to settle.
        """
        found = read_header(data)
        if found is None:
            return 0
        header, end = found
        if header.identity != self._identity:
            raise StoreRefused(
                f"the journal {self._folder} belongs to store {header.identity.store_uuid}, "
                f"not to {self._identity.store_uuid}"
            )
        self._checked.add(segment)
        return end

    def _bytes(self, position: Position, size: int | None) -> bytes:
        try:
            with segment_path(self._folder, position.segment).open("rb") as file:
                file.seek(position.offset)
                return file.read(-1 if size is None else size)
        except FileNotFoundError:
            return b""

    def _size(self, number: int) -> int:
        try:
            return segment_path(self._folder, number).stat().st_size
        except FileNotFoundError:
            return 0

    def _following(self, segment: int, *, is_dead: bool) -> int:
        """The segment after this one if it has begun; 0 if it has not.

        Its file exists before it is begun. A living worker's counts as begun only by an intact
        frame: one flipped bit in the empty file must not make us leave the one that is written.
        """
        for number in segments_of(self._folder):
            if number > segment:
                return number if is_dead or self._has_begun(number) else 0
        return 0

    def _has_begun(self, segment: int) -> bool:
        data = self._bytes(Position(segment, 0), READ_BYTES)
        if not data.startswith(b"\0" * HEAD_BYTES):
            return read_header(data) is not None or bool(
                scan(data, self._seed, is_final=False).frames
            )
        return False
