"""Journals small enough to be damaged at every byte."""

from pathlib import Path

import msgspec

from tallygate.core.entry import Entry, Outcome, Use
from tallygate.journal.frames import Identity
from tallygate.journal.reader import START, Batch, Tail
from tallygate.journal.writer import Journal

IDENTITY = Identity("store-1", "node-1", 0, 7)
SEGMENT_BYTES = 128 << 10


def entry(request_id: str, uses: list[Use] | None = None, agent: str = "") -> Entry:
    return Entry(
        request_id=request_id,
        tenant_id=1,
        key_id=1,
        user_id="",
        admitted_ms=1_000,
        duration_ms=5,
        first_byte_ms=2,
        route="/v1/chat/completions",
        model="m",
        provider="p",
        status=200,
        outcome=Outcome.OK,
        source="reported",
        is_counted=True,
        counts={"requests": 1},
        uses=uses or [],
        address="",
        agent=agent,
        bytes_in=1,
        bytes_out=1,
    )


def encoded(request_id: str, agent: str = "") -> bytes:
    return msgspec.msgpack.encode(entry(request_id, agent=agent))


def make_journal(folder: Path, identity: Identity = IDENTITY, **options: object) -> Journal:
    options = {"segment_bytes": SEGMENT_BYTES, "bytes_max": 1 << 30} | options
    return Journal(folder, identity, **options)  # type: ignore[arg-type]  # options of the test


def tail(folder: Path, identity: Identity = IDENTITY) -> Tail:
    return Tail(folder, identity, folder.parent / "corrupt")


def read_all(reader: Tail, *, is_dead: bool = True, limit: int = 100) -> Batch:
    """Read to the end in steps of `limit` entries."""
    whole = Batch([], START, [])
    while True:
        batch = reader.read(whole.position, limit, is_dead=is_dead)
        if batch.position == whole.position:
            return whole
        whole = Batch(
            whole.entries + batch.entries, batch.position, whole.corruptions + batch.corruptions
        )


def ids(batch: Batch) -> list[str]:
    return [item.request_id for item in batch.entries]
