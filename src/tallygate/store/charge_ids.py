"""Ids of new charges, known before their rows are written: entries and aliases name them."""

from collections.abc import Sequence

import sqlalchemy as sa

from tallygate.store.database import Tx
from tallygate.store.money_schema import charge

_LAST = sa.select(sa.func.max(charge.c.id))
_NEXT = sa.text("SELECT nextval('charge_id') FROM generate_series(1, CAST(:count AS INTEGER))")


async def allocate(tx: Tx, count: int) -> Sequence[int]:
    """So many ids that no other charge has, ascending. Of a transaction that fails they are lost.

    SQLite has one writer, so the ids after the last one are its own; PostgreSQL has a sequence.
    """
    if not count:
        return ()
    if tx.dialect == "sqlite":
        last = int(await tx.scalar(_LAST) or 0)
        return range(last + 1, last + 1 + count)
    return sorted((await tx.execute(_NEXT, {"count": count})).scalars())
