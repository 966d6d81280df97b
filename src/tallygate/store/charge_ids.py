"""Ids of new charges, known before their rows are written: entries and aliases name them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tallygate.store.database import Tx
from tallygate.store.money_schema import charge
from tallygate.store.tx import Statement

_LAST = sa.select(sa.func.max(charge.c.id))
_NEXT = sa.text("SELECT nextval('charge_id') FROM generate_series(1, CAST(:count AS INTEGER))")


async def allocate(tx: Tx, count: int) -> Sequence[int]:
    """So many ids that no other charge has, ascending. Of a transaction that fails they are lost.

    SQLite has one writer, so the ids after the last one are its own; PostgreSQL has a sequence.
    """
    if not count:
        return ()
    statement, parameters = taking(tx, count)
    return taken(tx, await tx.execute(statement, parameters), count)


def taking(tx: Tx, count: int) -> Statement:
    """What takes them, for who asks the store for more at once; `taken` reads the answer."""
    return (_LAST, None) if tx.dialect == "sqlite" else (_NEXT, {"count": count})


def taken(tx: Tx, answer: sa.CursorResult[Any], count: int) -> Sequence[int]:
    if tx.dialect == "sqlite":
        last = int(answer.scalar() or 0)
        return range(last + 1, last + 1 + count)
    return sorted(answer.scalars())
