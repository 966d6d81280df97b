"""Where journals lie: `<data>/journal/<slot>/<boot>/` with `lock`, `slab` and numbered segments.

The lock is flocked by its worker for life: whoever can take it knows that the worker is dead. A
folder appears under its own name only once its lock is held, so that a young worker is never taken
for a dead one.
"""

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

SEGMENT_SUFFIX = ".seg"
CORRUPT = "corrupt"


class BootFolder(NamedTuple):
    slot: int
    boot: int
    path: Path


class Lock:
    """A flock on a file; it ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def take(self) -> bool:
        """False if another process holds it."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def make_boot_folder(folder: Path) -> Lock:
    """Make the folder of a new life and hold its lock; FileExistsError if that life has been."""
    if folder.exists():
        raise FileExistsError(f"{folder} exists: this boot number was used before")
    young = folder.parent / f".{folder.name}.{os.getpid()}"
    young.mkdir(mode=0o700, parents=True)
    lock = Lock(young / "lock")
    is_ours = lock.take()
    assert is_ours, "nobody else knows this folder yet"
    young.rename(folder)
    return lock


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}{SEGMENT_SUFFIX}"


def segments_of(folder: Path) -> list[int]:
    """The numbers of the segments that exist, in order."""
    names = (path.name for path in folder.glob(f"*{SEGMENT_SUFFIX}"))
    stems = (name.removesuffix(SEGMENT_SUFFIX) for name in names)
    return sorted(int(stem) for stem in stems if stem.isdigit())


def boot_folders(journals: Path) -> list[BootFolder]:
    """Every life that left a journal here, oldest boot first."""
    found = []
    for slot in journals.iterdir() if journals.is_dir() else ():
        if not slot.name.isdigit():
            continue
        found += [
            BootFolder(int(slot.name), int(boot.name), boot)
            for boot in slot.iterdir()
            if boot.name.isdigit()
        ]
    return sorted(found, key=lambda item: (item.boot, item.slot))
