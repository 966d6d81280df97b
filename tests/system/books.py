"""What stands in the store after a test, read beside the running node."""

from collections import Counter

import sqlalchemy as sa

from tallygate.store import schema
from tallygate.store.database import Database


async def recorded(url: str) -> Counter[str]:
    """How often each request id stands in the books, lost requests left out."""
    rows = await _rows(url, sa.select(schema.usage.c.request_id).where(~_IS_LOST))
    return Counter(row[0] for row in rows)


async def lost(url: str) -> int:
    """Units that were admitted by a worker that died before it could say how they ended."""
    rows = await _rows(url, sa.select(sa.func.sum(schema.usage.c.requests)).where(_IS_LOST))
    return int(rows[0][0] or 0)


async def counted(url: str) -> int:
    """Units that all counters together say were spent."""
    rows = await _rows(url, sa.select(sa.func.sum(schema.counter.c.spent)))
    return int(rows[0][0] or 0)


_IS_LOST = schema.usage.c.outcome == "lost"


async def _rows(url: str, query: sa.Select[tuple[object, ...]]) -> list[sa.Row[tuple[object, ...]]]:
    db = Database(url)
    await db.open(may_create=False)
    try:
        async with db.reading() as tx:
            return list((await tx.execute(query)).all())
    finally:
        await db.close()
