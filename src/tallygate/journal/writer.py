"""Writing a journal: one write per loop tick serves every request that ended in it.

Segments are allocated ahead, so that a full disk strands no answer: admission reads `room` and lets
nobody in whose entry might find no place. A write that failed is repeated at the same offset.
"""

import os
from pathlib import Path

from tallygate.journal.folder import make_boot_folder, segment_path, segments_of
from tallygate.journal.frames import (
    FRAME_BYTES_MAX,
    HEAD_BYTES,
    Header,
    Identity,
    encode,
    encode_header,
    seed_of,
)

DURABLE_PROCESS = "process"  # survives any death of a process
DURABLE_POWER = "power"  # survives the loss of power


class JournalFailed(Exception):
    """The journal cannot be written; what was appended is kept and `write` may be tried again."""


class _Segment:
    """An allocated file, and how much of it has been filled (in memory or on disk)."""

    __slots__ = ("fd", "filled", "is_left", "path", "size", "written")

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self.filled = 0
        self.written = 0
        self.is_left = False  # the journal went on in the next one
        self.fd = _allocate(path, size)

    @property
    def left(self) -> int:
        return self.size - self.filled

    @property
    def is_complete(self) -> bool:
        return self.is_left and self.written == self.filled


class Journal:
    """The journal of one life of one worker."""

    def __init__(
        self,
        folder: Path,
        identity: Identity,
        *,
        segment_bytes: int = 8 << 20,
        bytes_max: int = 4 << 30,
        durability: str = DURABLE_PROCESS,
    ) -> None:
        segment_bytes = max(segment_bytes, FRAME_BYTES_MAX * 2)  # at least one frame fits
        self.folder = folder
        self.identity = identity
        self.is_power_durable = durability == DURABLE_POWER
        self.room = 0
        self._seed = seed_of(identity)
        self._segment_bytes = segment_bytes
        self._bytes_max = bytes_max
        self._batch: list[bytes] = []
        self._full: list[tuple[_Segment, bytes]] = []  # batches of segments left behind
        self._unsynced: list[_Segment] = []  # empty unless durability is power
        self._is_name_synced = False
        self._spent: list[_Segment] = []  # written to the end; `prepare` trims and closes them
        self._next: _Segment | None = None
        try:
            self._lock = make_boot_folder(folder)
            self._current = self._begin(_Segment(segment_path(folder, 1), segment_bytes), 1)
        except OSError as error:
            raise JournalFailed(f"cannot start a journal: {error}") from error
        self._number = 1
        self._measure()
        self.prepare()

    def __repr__(self) -> str:
        return f"<Journal {self.folder.name} segment={self._number} room={self.room}>"

    def append(self, payload: bytes) -> None:
        """Add an entry to the tick's batch; `write` makes it last."""
        frame = encode(payload, self._seed)
        size = len(frame)
        if size > self._current.left:
            self._turn_over()
        self._batch.append(frame)
        self._current.filled += size
        self.room -= size

    def write(self) -> None:
        """Write all that was appended since; returns once it survives the death of the process."""
        if not self._batch:
            return
        try:
            while self._full:
                _write_all(*self._full[0])
                del self._full[0]
            _write_all(self._current, b"".join(self._batch))
        except OSError as error:
            raise JournalFailed(f"cannot write the journal: {error}") from error
        self._batch.clear()

    def prepare(self) -> None:
        """Allocate the next segment when room gets short; when that fails, room just stays."""
        self._trim()
        if self._next is not None or self.room > self._segment_bytes // 2:
            return
        numbers = segments_of(self.folder)
        if (len(numbers) + 1) * self._segment_bytes > self._bytes_max and len(numbers) > 1:
            return
        try:
            path = segment_path(self.folder, self._number + 1)
            self._next = _Segment(path, self._segment_bytes)
        except OSError:
            return
        self._measure()

    def sync(self) -> None:
        """Make what was written survive the loss of power. Runs in a thread beside the writer."""
        segments = list(self._unsynced)
        complete = [segment for segment in segments if segment.is_complete]
        try:
            for segment in segments:
                os.fdatasync(segment.fd)
            if len(segments) > 1 or not self._is_name_synced:
                _sync_folder(self.folder)
        except OSError as error:
            raise JournalFailed(f"cannot sync the journal: {error}") from error
        self._is_name_synced = True
        for segment in complete:
            self._unsynced.remove(segment)

    def close(self) -> None:
        """Write what is left, give back what was not used, let go of the lock."""
        self.write()
        if self.is_power_durable:
            self.sync()
        self._spent.append(self._current)
        self._unsynced.clear()
        self._trim()
        if self._next is not None:
            os.close(self._next.fd)
            self._next.path.unlink()
            self._next = None
        self.room = 0
        self._lock.release()

    def _turn_over(self) -> None:
        """Go on in the next segment: a frame never spans two."""
        following = self._next
        if following is None:
            try:
                path = segment_path(self.folder, self._number + 1)
                following = _Segment(path, self._segment_bytes)
            except OSError as error:
                raise JournalFailed(f"the journal is full: {error}") from error
        self._next = None
        if self._batch:
            self._full.append((self._current, b"".join(self._batch)))
            self._batch.clear()
        self._current.is_left = True
        self._spent.append(self._current)
        self._number += 1
        self._current = self._begin(following, self._number)
        self._measure()

    def _begin(self, segment: _Segment, number: int) -> _Segment:
        header = encode_header(Header(self.identity, number))
        self._batch.append(header)
        segment.filled = len(header)
        if self.is_power_durable:
            self._unsynced.append(segment)
        return segment

    def _measure(self) -> None:
        """What fits whatever the sizes of the frames: one that does not fit leaves a gap."""
        room = self._current.left
        if self._next is not None:
            header_room = HEAD_BYTES + 256
            room = max(0, room - FRAME_BYTES_MAX) + self._next.size - header_room
        self.room = room

    def _trim(self) -> None:
        """Segments that are written to the end give back their unused tail."""
        for segment in list(self._spent):
            if segment.written == segment.filled and segment not in self._unsynced:
                os.ftruncate(segment.fd, segment.written)
                os.close(segment.fd)
                self._spent.remove(segment)


def _write_all(segment: _Segment, data: bytes) -> None:
    """At its own offset, so that repeating it after a failure overwrites the half that got out."""
    done = os.pwrite(segment.fd, data, segment.written)
    while done < len(data):
        done += os.pwrite(segment.fd, data[done:], segment.written + done)
    segment.written += done


def _allocate(path: Path, size: int) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, 0, size)
        else:
            _write_zeros(fd, size)
    except OSError:
        os.close(fd)
        path.unlink()
        raise
    return fd


def _write_zeros(fd: int, size: int) -> None:
    """macOS has no posix_fallocate."""
    block = bytes(1 << 20)
    for offset in range(0, size, len(block)):
        os.pwrite(fd, block[: size - offset], offset)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
