"""A journal's bytes: frames that survive torn writes and flipped bits. Pure.

    frame   = magic(4) length(4) header_crc(4) payload_crc(4) payload
    segment = one frame with its `Header`, then frames with one entry each, then zeros

All numbers are little-endian. The CRCs of entries start from a seed made of the journal's identity:
bytes of another journal, or bytes that a client sent and that look like a frame, are never taken
for an entry, not even when reading resumes in the middle of a damaged segment.
"""

import functools
import struct
import zlib
from typing import NamedTuple

import msgspec

MAGIC = b"\xf5TGj"
HEAD_BYTES = 16
PAYLOAD_BYTES_MAX = (64 << 10) - HEAD_BYTES
FRAME_BYTES_MAX = PAYLOAD_BYTES_MAX + HEAD_BYTES

_NUMBERS = struct.Struct("<III")
_LENGTH = struct.Struct("<I")
_FRAME = b"%b%b%b"
_HEADER_SEED = 0


class Identity(msgspec.Struct, frozen=True):
    """Whose journal this is: one life (`boot`) of the worker in one slot of one node."""

    store_uuid: str
    node_uuid: str
    slot: int
    boot: int


class Header(msgspec.Struct, frozen=True):
    """The first frame of each segment."""

    identity: Identity
    segment: int
    version: int = 1


class Position(NamedTuple):
    """A place in a journal; positions compare in reading order."""

    segment: int
    offset: int


class Damage(NamedTuple):
    """Bytes that are no intact frame, as offsets into what was scanned."""

    start: int
    end: int


class Scan(NamedTuple):
    """`frames` are (offset, payload); `end` is how far reading is settled."""

    frames: list[tuple[int, bytes]]
    damages: list[Damage]
    end: int


def seed_of(identity: Identity) -> int:
    return zlib.crc32(msgspec.msgpack.encode(identity))


def encode(payload: bytes, seed: int) -> bytes:
    assert len(payload) <= PAYLOAD_BYTES_MAX, "entries are bounded before they come here"
    return _FRAME % (_head(len(payload), seed), _LENGTH.pack(zlib.crc32(payload, seed)), payload)


@functools.lru_cache(maxsize=4096)  # entries are of few lengths
def _head(length: int, seed: int) -> bytes:
    """A frame up to the CRC of its payload."""
    size = _LENGTH.pack(length)
    return MAGIC + size + _LENGTH.pack(zlib.crc32(size, seed))


def encode_header(header: Header) -> bytes:
    return encode(msgspec.msgpack.encode(header), _HEADER_SEED)


def read_header(data: bytes) -> tuple[Header, int] | None:
    """The header at the start of a segment and where it ends; None if it is not intact."""
    payload = _intact(data, 0, _HEADER_SEED)
    if payload is None:
        return None
    try:
        return msgspec.msgpack.decode(payload, type=Header), HEAD_BYTES + len(payload)
    except msgspec.MsgspecError:
        return None


def scan(data: bytes, seed: int, *, is_final: bool) -> Scan:
    """Every intact frame of `data`, which starts at the border of a frame.

    `is_final`: nothing will be appended, so an incomplete tail is damage; otherwise it may be a
    write that is still going on, and is left to be read again.
    """
    frames: list[tuple[int, bytes]] = []
    damages: list[Damage] = []
    position, size = 0, len(data)
    while position < size:
        payload = _intact(data, position, seed)
        if payload is not None:
            frames.append((position, payload))
            position += HEAD_BYTES + len(payload)
            continue
        following = _next_intact(data, position, seed)
        if following >= 0:
            damages.append(Damage(position, following))
            position = following
            continue
        if is_final:
            written = position + len(data[position:].rstrip(b"\0"))
            if written > position:
                damages.append(Damage(position, written))
            position = size
        break
    return Scan(frames, damages, position)


def _length_at(data: bytes, position: int, seed: int) -> int:
    """The length that an intact head says; -1 if the head is not intact or not complete."""
    if data[position : position + 4] != MAGIC or position + HEAD_BYTES > len(data):
        return -1
    length, header_crc, _ = _NUMBERS.unpack_from(data, position + 4)
    if length > PAYLOAD_BYTES_MAX or zlib.crc32(_LENGTH.pack(length), seed) != header_crc:
        return -1
    return int(length)


def _intact(data: bytes, position: int, seed: int) -> bytes | None:
    length = _length_at(data, position, seed)
    start = position + HEAD_BYTES
    if length < 0 or start + length > len(data):
        return None
    payload = data[start : start + length]
    (payload_crc,) = _LENGTH.unpack_from(data, position + 12)
    return payload if zlib.crc32(payload, seed) == payload_crc else None


def _next_intact(data: bytes, position: int, seed: int) -> int:
    """Where the next intact frame after a broken one starts; -1 if there is none in `data`."""
    length = _length_at(data, position, seed)
    start = position + HEAD_BYTES + length if length >= 0 else position + 1
    while (start := data.find(MAGIC, start)) >= 0:
        if _intact(data, start, seed) is not None:
            return start
        start += 1
    return -1
