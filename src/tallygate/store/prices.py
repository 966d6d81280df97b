"""Prices, aliases and rates: versions are only ever added, and a book of them is read whole."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from tallygate.core.pricing import Book, Currency, Price, Rate
from tallygate.store.database import Tx
from tallygate.store.money_schema import price, price_alias, rate

_PRICE_COLUMNS = (
    *(price.c.id, price.c.model, price.c.currency, price.c.per_tokens),
    *(price.c.input_picos, price.c.output_picos),
    *(price.c.cache_read_picos, price.c.cache_write_picos, price.c.request_picos),
    *(price.c.is_active, price.c.effective_ms),
)


async def read_book(tx: Tx, now_ms: int) -> Book:
    """Every model's version in effect and those to come, in the order of their ids."""
    rows = await tx.execute(sa.select(*_PRICE_COLUMNS).order_by(price.c.id))
    latest: dict[str, Price] = {}
    upcoming: list[Price] = []
    for row in rows:
        one = price_of(row)
        if one.effective_ms <= now_ms:
            latest[one.model] = one
        else:
            upcoming.append(one)
    prices = tuple(sorted([*latest.values(), *upcoming], key=lambda one: one.id))
    aliases = {row.name: row.model for row in await tx.execute(sa.select(price_alias))}
    current = await current_rate(tx)
    version = max([one.id for one in prices], default=0) + (current.id if current else 0)
    return Book(version, prices, aliases, current)


async def book_version(tx: Tx) -> int:
    """Another one whenever a price or a rate was added."""
    latest = sa.select(sa.func.max(price.c.id)).scalar_subquery()
    current = sa.select(sa.func.max(rate.c.id)).scalar_subquery()
    query = sa.select(sa.func.coalesce(latest, 0) + sa.func.coalesce(current, 0))
    return int(await tx.scalar(query))


async def pinned(tx: Tx, price_ids: Collection[int]) -> dict[int, Price]:
    """Versions by their ids, as charges pin them."""
    query = sa.select(*_PRICE_COLUMNS).where(price.c.id.in_(price_ids))
    return {row.id: price_of(row) for row in await tx.execute(query)}


async def pinned_rates(tx: Tx, rate_ids: Collection[int]) -> dict[int, Rate]:
    query = sa.select(rate.c.id, rate.c.micros_per_usd).where(rate.c.id.in_(rate_ids))
    return {row.id: Rate(row.id, row.micros_per_usd) for row in await tx.execute(query)}


async def current_rate(tx: Tx) -> Rate | None:
    query = sa.select(rate.c.id, rate.c.micros_per_usd).order_by(rate.c.id.desc()).limit(1)
    row = (await tx.execute(query)).first()
    return None if row is None else Rate(row.id, row.micros_per_usd)


def price_of(row: Sequence[Any]) -> Price:
    """A price out of a row that has its columns, in their order."""
    id_, model, currency, *rest = row
    return Price(id_, model, Currency(currency), *rest)
