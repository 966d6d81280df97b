"""Events that were told of late, on SQLite: noted in one piece each transaction, filed some later.

A place in `usage_event` is a hash, so there each event changes a page of its own, and pages cost
more than all else about a row. Noted together they take a page or two for hundreds; filed many at
once, in the order of their hashes, they share pages. Until then who settles keeps them in memory.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from tallygate.core.usage_report import EVENT_BYTES
from tallygate.store.database import Database, Tx
from tallygate.store.tx import BulkRead, Read
from tallygate.store.usage_schema import usage_event_recent

SLICES = 32  # of all hashes; a transaction files one, or as many as have few
FILED_MIN = 512
HELD_MAX = 32_768  # a tenth of a kilobyte each

_UNREAD = "SELECT id, seen_ms, hashes FROM usage_event_recent WHERE id > {0} ORDER BY id"
_READ_UNREAD = BulkRead(_UNREAD.format("?"), _UNREAD.format("$1"))
_FILE = sa.text(
    "WITH RECURSIVE cut(place) AS (VALUES (0) UNION ALL SELECT place + :bytes FROM cut "
    "WHERE place + :bytes < length(:hashes)) INSERT INTO usage_event (hash, seen_ms) "
    "SELECT substr(:hashes, place + 1, :bytes), :seen_ms FROM cut WHERE true "
    "ON CONFLICT DO NOTHING"
)

_Slices = list[set[bytes]]


class RecentEvents:
    """What one settler knows of them. Its memory follows what was committed, whoever did that: an
    event that a transaction noted is met by the next one, so one that is rolled back leaves nothing
    here.
    """

    def __init__(self) -> None:
        self._read_id = 0
        self._seen_ms = 0
        self._young = _empty()
        self._young_count = 0
        self._old = _empty()  # those that are being filed
        self._old_id = 0
        self._next = SLICES  # the slice of the old ones that is filed next
        self._is_told = False

    @property
    def is_due(self) -> bool:
        return self._next < SLICES or self._young_count > HELD_MAX or self._is_told

    def file_soon(self) -> None:
        """Also if they are few."""
        self._is_told = True

    def unread(self) -> Read:
        return _READ_UNREAD, (self._read_id,)

    def meet(self, rows: Iterable[Sequence[Any]]) -> None:
        """What `unread` found. Only of the beginning of a transaction, before it notes events."""
        for id_, seen_ms, hashes in rows:
            for place in range(0, len(hashes), EVENT_BYTES):
                event = hashes[place : place + EVENT_BYTES]
                self._young[_slice_of(event)].add(event)
            self._young_count += len(hashes) // EVENT_BYTES
            self._read_id, self._seen_ms = id_, max(self._seen_ms, seen_ms)

    def known_of(self, events: set[bytes]) -> set[bytes]:
        """Of what was met."""
        young, old = self._young, self._old
        return {
            event
            for event in events
            if event in young[number := _slice_of(event)] or event in old[number]
        }

    async def note(self, tx: Tx, events: list[bytes], now_ms: int) -> None:
        rows = [(now_ms, b"".join(events))]
        await tx.insert_many(usage_event_recent, rows, ("seen_ms", "hashes"))

    async def file(self, db: Database) -> None:
        """File some; after the last of a round what was noted of them goes. What was filed before a
        crash is filed again.
        """
        async with db.writing() as tx:
            if self._next == SLICES:
                await self._begin_round(tx)
            end, events = self._portion()
            if events:
                hashes = {"hashes": b"".join(events), "bytes": EVENT_BYTES}
                await tx.execute(_FILE, {**hashes, "seen_ms": self._seen_ms})
            if end == SLICES:
                noted = usage_event_recent.c.id <= self._old_id
                await tx.execute(sa.delete(usage_event_recent).where(noted))
        for number in range(self._next, end):
            self._old[number] = set()
        self._next = end

    async def _begin_round(self, tx: Tx) -> None:
        (rows,) = await tx.read_all([self.unread()])
        self.meet(rows)
        self._old, self._young = self._young, self._old
        self._old_id, self._young_count, self._next = self._read_id, 0, 0
        self._is_told = False

    def _portion(self) -> tuple[int, list[bytes]]:
        """What is filed next, in order, and the slice after it."""
        end, events = self._next, list[bytes]()
        while end < SLICES and len(events) < FILED_MIN:
            events += sorted(self._old[end])
            end += 1
        return end, events


def _empty() -> _Slices:
    return [set() for _ in range(SLICES)]


def _slice_of(event: bytes) -> int:
    return event[0] * SLICES >> 8
