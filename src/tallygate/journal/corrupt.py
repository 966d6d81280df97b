"""Damaged frames are set aside for an operator: the bytes as they were, and a report beside them.

Names come from the place of the damage, so setting the same damage aside twice leaves one report.
"""

import enum
from pathlib import Path
from typing import NamedTuple

import msgspec

from tallygate.journal.frames import Identity


class Reason(enum.StrEnum):
    DAMAGED = "damaged"  # the checksums do not match: a flipped bit, or a write cut short
    UNREADABLE = "unreadable"  # an intact frame that holds no entry this version understands


class Corruption(NamedTuple):
    identity: Identity
    segment: int
    offset: int
    data: bytes
    reason: Reason


def set_aside(folder: Path, corruption: Corruption) -> None:
    identity = corruption.identity
    place = f"{identity.slot}-{identity.boot}-{corruption.segment:08d}-{corruption.offset}"
    report = {
        "reason": corruption.reason.value,
        "store_uuid": identity.store_uuid,
        "node_uuid": identity.node_uuid,
        "slot": identity.slot,
        "boot": identity.boot,
        "segment": corruption.segment,
        "offset": corruption.offset,
        "bytes": len(corruption.data),
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / f"{place}.bin").write_bytes(corruption.data)
    (folder / f"{place}.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
