"""Which segments may go: settled ones, once a restored backup can no longer need them.

A segment's time stamp is set when it is settled, so that a store that was away for days does not
make its journals vanish the moment it has read them. Of a life that is not settled to its end the
segments that are behind the watermark may go, its folder, lock and slab stay.
"""

import os
import shutil
from pathlib import Path

from tallygate.journal.folder import segment_path, segments_of


def stamp_settled(folder: Path, before: int, now_s: float) -> None:
    """Remember when the segments before this one were settled."""
    for number in segments_of(folder):
        if number < before:
            os.utime(segment_path(folder, number), (now_s, now_s))


def prune(folder: Path, *, settled_before: int, keep_s: float, bytes_max: int, now_s: float) -> int:
    """Delete segments settled longer than `keep_s` ago, and the oldest of what is too much.

    The writer stops at `bytes_max`; half of that is for what is not settled yet.
    """
    settled = [number for number in segments_of(folder) if number < settled_before]
    files = [
        (segment_path(folder, number), segment_path(folder, number).stat()) for number in settled
    ]
    excess = sum(stat.st_size for _, stat in files) - bytes_max // 2
    deleted = 0
    for path, stat in files:
        if now_s - stat.st_mtime > keep_s or excess > 0:
            path.unlink()
            excess -= stat.st_size
            deleted += 1
    return deleted


def drop_ended(folder: Path, *, keep_s: float, now_s: float) -> bool:
    """Delete the folder of a life that is settled and closed, once its last segment is old."""
    stamps = [segment_path(folder, number).stat().st_mtime for number in segments_of(folder)]
    newest = max(stamps, default=folder.stat().st_mtime)
    if now_s - newest <= keep_s:
        return False
    shutil.rmtree(folder)
    return True
