"""Ids of new charges, known before their rows are written: entries and aliases name them."""

from collections.abc import Sequence
from typing import Any

from tallygate.store.database import Tx
from tallygate.store.tx import BulkRead, Read

_TAKE = BulkRead(
    "SELECT max(id) FROM charge WHERE ? > 0",
    "SELECT nextval('charge_id') FROM generate_series(1, $1::bigint)",
)


async def allocate(tx: Tx, count: int) -> Sequence[int]:
    """So many ids that no other charge has, ascending. Of a transaction that fails they are lost.

    SQLite has one writer, so the ids after the last one are its own; PostgreSQL has a sequence.
    """
    if not count:
        return ()
    [found] = await tx.read_all([taking(count)])
    return taken(tx, found, count)


def taking(count: int) -> Read:
    """What takes them, for who asks the store for more at once; `taken` reads the rows."""
    return _TAKE, (count,)


def taken(tx: Tx, rows: Sequence[Sequence[Any]], count: int) -> Sequence[int]:
    if tx.dialect == "sqlite":
        last = int(rows[0][0] or 0)
        return range(last + 1, last + 1 + count)
    return sorted(int(row[0]) for row in rows)
