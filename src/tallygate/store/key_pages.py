"""API keys as lists show them: filtered, sorted and cut by the store."""

from dataclasses import dataclass

import sqlalchemy as sa

from tallygate.core.commands import KeyView
from tallygate.core.keys import Kind
from tallygate.store import keys, tokens
from tallygate.store.database import Tx
from tallygate.store.schema import api_key, key_secret

ORDERS = {
    "label": api_key.c.label,
    **{name: column for name, column in tokens.ORDERS.items() if name != "name"},
}


@dataclass(frozen=True, slots=True)
class Query:
    """Which keys, and in which order: a name of ORDERS, with `-` before it downwards."""

    sort: str = ""
    text: str = ""  # in the label, the user or what is shown of the key
    is_active: bool | None = None
    user_id: str | None = None
    limit: int = 100
    offset: int = 0


async def page(tx: Tx, wanted: Query) -> tuple[list[KeyView], int]:
    """The keys of one page, and how many there are on all of them."""
    conditions = _conditions(wanted)
    total = await tx.scalar(sa.select(sa.func.count()).select_from(api_key).where(*conditions))
    order = tokens.order_of(ORDERS, wanted.sort) if wanted.sort else [api_key.c.id]
    query = sa.select(api_key.c.id).where(*conditions).order_by(*order)
    found = (await tx.execute(query.limit(wanted.limit).offset(wanted.offset))).scalars().all()
    return await keys.views_of(tx, found), int(total)


def _conditions(wanted: Query) -> list[sa.ColumnElement[bool]]:
    conditions = [api_key.c.kind == Kind.TRIAL.value, api_key.c.deleted_ms.is_(None)]
    if wanted.is_active is not None:
        conditions.append(api_key.c.is_active == wanted.is_active)
    if wanted.user_id is not None:
        conditions.append(api_key.c.user_id == wanted.user_id)
    if wanted.text:
        text = wanted.text.lower()
        shown = sa.select(key_secret.c.key_id).where(
            key_secret.c.masked.contains(wanted.text, autoescape=True)
        )
        conditions.append(
            sa.func.lower(api_key.c.label).contains(text, autoescape=True)
            | sa.func.lower(api_key.c.user_id).contains(text, autoescape=True)
            | api_key.c.id.in_(shown)
        )
    return conditions
