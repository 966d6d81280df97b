"""The change feed: numbered events that clerks read to learn what others changed.

The number comes from one row that the writing transaction updates and so locks: numbers become
visible in their order, and a reader that has seen n has seen all before n.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from tallygate.store.database import Tx
from tallygate.store.schema import feed, store


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the feed; core/ports.py Change says what the kinds mean."""

    seq: int
    kind: str
    subject: int
    detail: int
    node: str
    at_ms: int


_NEXT = sa.update(store).values(feed_seq=store.c.feed_seq + 1).returning(store.c.feed_seq)
_APPEND = sa.insert(feed)


async def append(tx: Tx, kind: str, subject: int, detail: int, node: str, now_ms: int) -> int:
    """The event's number. Late in a transaction: it holds up every other writer of events."""
    seq = int(await tx.scalar(_NEXT))
    what = {"kind": kind, "subject": subject, "detail": detail}
    await tx.later(_APPEND, {"seq": seq, **what, "node": node, "at_ms": now_ms})
    return seq


async def latest(tx: Tx) -> int:
    """The number of the latest event."""
    return int(await tx.scalar(sa.select(store.c.feed_seq)))


async def read_since(tx: Tx, seq: int, limit: int = 1000) -> tuple[list[Event], int]:
    """Events after `seq`, and the oldest number still kept.

    A reader whose `seq` is below that number less one has missed events: it must flush.
    """
    query = sa.select(feed).where(feed.c.seq > seq).order_by(feed.c.seq).limit(limit)
    rows = (await tx.execute(query)).all()
    oldest = await tx.scalar(sa.select(sa.func.min(feed.c.seq)))
    if oldest is None:
        oldest = await latest(tx) + 1
    events = [
        Event(row.seq, row.kind, row.subject, row.detail, row.node, row.at_ms) for row in rows
    ]
    return events, int(oldest)


async def prune(tx: Tx, before_ms: int) -> int:
    """Forget events older than that; how many."""
    return (await tx.execute(sa.delete(feed).where(feed.c.at_ms < before_ms))).rowcount
