"""A report: uses of tokens that somebody else let through, as the journal keeps them.

What one request reports is a few entries at most, whatever its size; each has room in a frame.
"""

import hashlib
from typing import Final

import msgspec

EVENT_BYTES: Final = 16
USES_MAX: Final = 128  # in one entry: what a transaction takes at least, and may take too much


class ReportedUse(msgspec.Struct, array_like=True, gc=False):
    """One use. Fields are only ever added, at the end."""

    token: bytes  # SHA-256 of the token; b"": what was sent is none
    route: str
    at_ms: int  # never ahead of the store's clock
    address: str
    agent: str
    status: int  # 0: not said
    duration_ms: int
    event: bytes  # by which a repetition is known; b"": nothing was named


class RefusedReports(msgspec.Struct, array_like=True, gc=False):
    """Reports that a worker refused since it last told; the last of them says where from."""

    code: str
    count: int
    last_ms: int
    address: str


class UsageReport(msgspec.Struct, gc=False):
    """What one request reports, or a part of that. It is told from an `Entry` by being a map."""

    request_id: str
    first: int  # the number of its first use among those of the request
    uses: list[ReportedUse]
    refused: list[RefusedReports] = []


def event_of(name: str) -> bytes:
    """What an `event_id` is remembered by."""
    return hashlib.blake2b(name.encode(), digest_size=EVENT_BYTES).digest()


def delivery_of(name: str, body: bytes) -> bytes:
    """What a delivery that names itself is known by: name and content, as it is sent again."""
    named = hashlib.blake2b(name.encode() + b"\0", digest_size=EVENT_BYTES, person=b"delivery")
    named.update(body)
    return named.digest()


def event_in_delivery(delivery: bytes, number: int) -> bytes:
    """What a use without an `event_id` is remembered by, when its delivery has a name."""
    numbered = delivery + number.to_bytes(4, "big")
    return hashlib.blake2b(numbered, digest_size=EVENT_BYTES, person=b"delivered").digest()


def encoded_in_parts(report: UsageReport, bytes_max: int) -> list[bytes]:
    """Entries of the journal that hold all of its uses, none of them too many or too large."""
    uses = report.uses
    if len(uses) <= USES_MAX:
        payload = msgspec.msgpack.encode(report)
        if len(payload) <= bytes_max:
            return [payload]
    middle = (len(uses) + 1) // 2
    assert middle < len(uses), "a single use is bounded"
    parts = (
        UsageReport(report.request_id, report.first, uses[:middle], report.refused),
        UsageReport(report.request_id, report.first + middle, uses[middle:]),
    )
    return [payload for part in parts for payload in encoded_in_parts(part, bytes_max)]
