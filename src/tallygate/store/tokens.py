"""Tokens as lists show them: keys of their kind, sorted and cut by the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallygate.core.commands import KeyView
from tallygate.core.keys import Kind
from tallygate.store import keys
from tallygate.store.database import Tx
from tallygate.store.schema import api_key, key_secret

ORDERS = {
    "name": api_key.c.label,
    "created_at": api_key.c.created_ms,
    "last_used": api_key.c.last_used_ms,
    "expires_at": api_key.c.expires_ms,
}


@dataclass(frozen=True, slots=True)
class Query:
    """Which tokens, and in which order: a name of ORDERS, with `-` before it downwards.

    A time that is not there sorts as earlier than any other, except an expiry: never is late.
    """

    sort: str = "created_at"
    team_id: str | None = None
    text: str = ""  # in the name
    limit: int = 100
    offset: int = 0


async def page(tx: Tx, wanted: Query) -> tuple[list[KeyView], int]:
    """The tokens of one page, and how many there are on all of them."""
    conditions = [api_key.c.kind == Kind.TOKEN.value, api_key.c.deleted_ms.is_(None)]
    if wanted.team_id is not None:
        conditions.append(api_key.c.team_id == wanted.team_id)
    if wanted.text:
        name = sa.func.lower(api_key.c.label)
        conditions.append(name.contains(wanted.text.lower(), autoescape=True))
    total = await tx.scalar(sa.select(sa.func.count()).select_from(api_key).where(*conditions))
    query = sa.select(api_key.c.id).where(*conditions).order_by(*order_of(ORDERS, wanted.sort))
    found = (await tx.execute(query.limit(wanted.limit).offset(wanted.offset))).scalars().all()
    return await keys.views_of(tx, found), int(total)


def order_of(orders: Mapping[str, sa.Column[Any]], sort: str) -> list[sa.ColumnElement[object]]:
    """How to sort by one of these names; equal ones by id, so that no page repeats one."""
    column = orders[sort.removeprefix("-")]
    is_down = sort.startswith("-")
    is_late = column is api_key.c.expires_ms
    missing = sa.case((column.is_(None), 1 if is_late else 0), else_=0 if is_late else 1)
    if is_down:
        return [missing.desc(), column.desc(), api_key.c.id.desc()]
    return [missing, column, api_key.c.id]


async def hashes(tx: Tx, ids: list[int]) -> dict[int, str]:
    """Each token's newest hash in hexadecimal digits: what usage logs call it by."""
    query = sa.select(key_secret.c.key_id, key_secret.c.hash).where(key_secret.c.key_id.in_(ids))
    order = (key_secret.c.created_ms, key_secret.c.expires_ms.is_(None))
    return {row.key_id: bytes(row.hash).hex() for row in await tx.execute(query.order_by(*order))}
