"""Charges as operators look at them: one, or a page of those that match."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallygate.core.billing_commands import ChargeView
from tallygate.core.charging import State
from tallygate.store.charge_rows import Row
from tallygate.store.database import Tx
from tallygate.store.money_schema import charge

_SHOWN = tuple(charge.c[name] for name in ChargeView.__struct_fields__)


@dataclass(frozen=True, slots=True)
class Filter:
    """None: any."""

    account_id: str | None = None
    state: str | None = None
    source: str | None = None
    model: str | None = None
    message_id: str | None = None
    from_ms: int | None = None
    before_ms: int | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        names = ("account_id", "state", "source", "model", "message_id")
        given = {name: getattr(self, name) for name in names}
        found = [charge.c[name] == value for name, value in given.items() if value is not None]
        if self.state in (State.UNPAID.value, State.REVIEW.value):
            found.append(sa.text("charge.state IN ('unpaid', 'review')"))  # its index says so
        if self.from_ms is not None:
            found.append(charge.c.at_ms >= self.from_ms)
        if self.before_ms is not None:
            found.append(charge.c.at_ms < self.before_ms)
        return found


def view_of(row: Row) -> ChargeView:
    return ChargeView(**{name: getattr(row, name) for name in ChargeView.__struct_fields__})


async def find(tx: Tx, charge_id: int) -> ChargeView | None:
    row = (await tx.execute(sa.select(*_SHOWN).where(charge.c.id == charge_id))).first()
    return None if row is None else _view(row._mapping)


async def page(
    tx: Tx, wanted: Filter, *, limit: int, before_id: int | None = None
) -> list[ChargeView]:
    """Newest first."""
    query = sa.select(*_SHOWN).where(*wanted.conditions()).order_by(charge.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(charge.c.id < before_id)
    return [_view(row._mapping) for row in await tx.execute(query)]


async def count(tx: Tx, wanted: Filter) -> int:
    query = sa.select(sa.func.count()).select_from(charge).where(*wanted.conditions())
    return int(await tx.scalar(query) or 0)


async def since(tx: Tx, at_ms: int, *, limit: int) -> list[ChargeView]:
    """What was received from then on, the latest first: ids are no order where nodes are many."""
    query = sa.select(*_SHOWN).where(charge.c.at_ms >= at_ms)
    newest = query.order_by(charge.c.at_ms.desc(), charge.c.id.desc()).limit(limit)
    return [_view(row._mapping) for row in await tx.execute(newest)]


async def open_ids(tx: Tx, account_id: str, *, limit: int) -> list[int]:
    """What an account has left unpaid, the oldest first."""
    found = Filter(account_id=account_id, state=State.UNPAID.value).conditions()
    query = sa.select(charge.c.id).where(*found).order_by(charge.c.id).limit(limit)
    return list((await tx.execute(query)).scalars())


async def unpaid(tx: Tx, account_id: str) -> tuple[int, int]:
    """How many charges an account has left unpaid, and their sum."""
    found = Filter(account_id=account_id, state=State.UNPAID.value).conditions()
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(charge.c.micros), 0))
    row = (await tx.execute(query.where(*found))).one()
    count, micros = tuple(row)
    return int(count), int(micros)


def _view(row: Any) -> ChargeView:  # a row mapping of SQLAlchemy
    return ChargeView(**row)
