"""What a worker admitted of each lease, in memory that outlives it: an mmapped file.

The count is bumped before a request is forwarded, its entry follows when it ends: so the successor
of a dead worker knows how much was in flight. After a loss of power the pages may never have
reached the disk, hence the id of the machine's boot in the header.

    header = magic(8) machine_boot(40) capacity(8) zeros(8)
    record = lease_id(8) admitted(8), native byte order: it is read on the machine that wrote it
"""

import mmap
import os
import struct
import subprocess
from pathlib import Path

_MAGIC = b"tgslab01"
_HEADER = struct.Struct("=8s40sQQ")
_RECORD_BYTES = 16
CAPACITY = 16_384


class SlabFull(Exception):
    """As many leases are open as there are records."""


def machine_boot() -> str:
    """An id that changes when the machine starts anew; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        pass
    try:  # macOS
        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, check=True, timeout=5
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


class Slab:
    """The records of one life of one worker. To admit: `slab.counts[index] += amount`."""

    def __init__(self, path: Path, boot_of_machine: str, capacity: int = CAPACITY) -> None:
        size = _HEADER.size + capacity * _RECORD_BYTES
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):  # a page that cannot be had would be a SIGBUS later
                os.posix_fallocate(fd, 0, size)
            else:
                os.pwrite(fd, bytes(size), 0)
            header = _HEADER.pack(_MAGIC, boot_of_machine.encode(), capacity, 0)
            os.pwrite(fd, header, 0)
            self._map = mmap.mmap(fd, size)
        finally:
            os.close(fd)
        self.counts = memoryview(self._map)[_HEADER.size :].cast("Q")
        self._free = [record * 2 + 1 for record in reversed(range(capacity))]

    def open(self, lease_id: int) -> int:
        """A record for a lease; the index of its count."""
        assert lease_id > 0, "a lease has an id before anything is admitted on it"
        if not self._free:
            raise SlabFull("no record is free")
        index = self._free.pop()
        self.counts[index] = 0
        self.counts[index - 1] = lease_id
        return index

    def release(self, index: int) -> None:
        """The lease is closed: the clerk has deleted it."""
        self.counts[index - 1] = 0
        self._free.append(index)

    def close(self) -> None:
        self.counts.release()
        self._map.close()


def read(path: Path, boot_of_machine: str) -> tuple[dict[int, int], bool]:
    """Admitted by lease id, and whether it can be trusted: same machine boot, intact header."""
    try:
        data = path.read_bytes()
    except OSError:
        return {}, False
    if len(data) < _HEADER.size:
        return {}, False
    magic, written_in, capacity, _ = _HEADER.unpack_from(data)
    if magic != _MAGIC or len(data) != _HEADER.size + capacity * _RECORD_BYTES:
        return {}, False
    records = struct.iter_unpack("=QQ", data[_HEADER.size :])
    admitted = {lease_id: count for lease_id, count in records if lease_id}
    written_in = written_in.rstrip(b"\0").decode(errors="replace")
    return admitted, bool(boot_of_machine) and written_in == boot_of_machine
