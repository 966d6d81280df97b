"""Up to which row of `usage` no row can appear any more: what may be summed up once and for all.

SQLite has one writer, so rows become visible in the order of their ids. PostgreSQL hands out ids
before it is known when, or whether, their transactions commit. A transaction that inserts holds a
lock on the table from before it draws its first id until after its rows are visible; so a number
that the sequence had reached is safe once every transaction that held the lock then is over. Nobody
who writes has to wait, nor to know of this.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from tallygate.store.database import Tx
from tallygate.store.schema import usage

_NEWEST = sa.select(sa.func.coalesce(sa.func.max(usage.c.id), 0))
# Not of any snapshot: a sequence says what it is at, and the view of locks what is held now.
_DRAWN = sa.text("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM usage_id_seq")
_WRITERS = sa.text(
    "SELECT DISTINCT virtualtransaction FROM pg_locks"
    " WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted"
    " AND relation = 'usage'::regclass"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass(slots=True)
class Fence:
    """What one roller knows; it starts anew with its process. `safe_id` only grows."""

    safe_id: int = 0
    _wanted_id: int = 0
    _writers: frozenset[str] = frozenset()

    async def look(self, tx: Tx) -> int:
        """Ask the store; the id up to which rows read after this transaction are all there are."""
        if tx.dialect == "sqlite":
            self.safe_id = int(await tx.scalar(_NEWEST))
            return self.safe_id
        drawn = int(await tx.scalar(_DRAWN))  # before the locks: who draws later may be left out
        self.advance(drawn, frozenset((await tx.execute(_WRITERS)).scalars()))
        return self.safe_id

    def advance(self, drawn: int, writers: frozenset[str]) -> None:
        """`drawn`: what the sequence had reached before it was seen who is writing."""
        self._writers &= writers
        if self._writers:
            return
        self.safe_id = max(self.safe_id, self._wanted_id)
        if drawn <= self.safe_id:
            return
        self._wanted_id, self._writers = drawn, writers
        if not writers:
            self.safe_id = drawn
