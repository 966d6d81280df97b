"""Apps of Dify servers as billing needs them: their instance, their model, and who charges them.

`marks` tells whether what was read of them, or of the prices, may have changed since.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.core.dify import BilledBy
from tallygate.store.database import Tx
from tallygate.store.money_schema import dify_app
from tallygate.store.tx import BulkRead, Read


class BilledApp(msgspec.Struct, frozen=True):
    """`model` is for events that name none; "" refuses them."""

    name: str
    instance: str
    model: str
    billed_by: str
    is_active: bool = True

    @property
    def is_billed_elsewhere(self) -> bool:
        """Its models are called through our gateway, which charges those calls."""
        return self.billed_by == BilledBy.GATEWAY.value


_SELECTED = tuple(dify_app.c[name] for name in BilledApp.__struct_fields__)


async def read(tx: Tx) -> list[BilledApp]:
    query = sa.select(*_SELECTED).order_by(dify_app.c.id)
    return [BilledApp(**row._mapping) for row in await tx.execute(query)]


class Marks(msgspec.Struct, frozen=True, array_like=True):
    feed_seq: int
    book_version: int


_SELECT = "SELECT store.feed_seq, price_book.version FROM store, price_book"
MARKS: Read = (BulkRead(_SELECT, _SELECT), ())


async def marks(tx: Tx) -> Marks:
    [rows] = await tx.read_all([MARKS])
    return marks_of(rows)


def marks_of(rows: Sequence[Sequence[Any]]) -> Marks:
    return Marks(*rows[0])
