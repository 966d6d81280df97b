"""Prices, aliases and rates: versions are only ever added, and a book of them is read whole.

Whoever changes anything takes the book first (`take_book`): changes of all nodes happen one after
the other, and each gives the book another version.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from tallygate.core.price_commands import RateView
from tallygate.core.price_import import Known
from tallygate.core.price_terms import Terms, Version
from tallygate.core.pricing import Book, Currency, Price, Rate
from tallygate.store.database import Tx
from tallygate.store.money_schema import price, price_alias, price_book, rate
from tallygate.store.tx import BulkRead, Read

_PRICE_COLUMNS = (
    *(price.c.id, price.c.model, price.c.currency, price.c.per_tokens),
    *(price.c.input_picos, price.c.output_picos),
    *(price.c.cache_read_picos, price.c.cache_write_picos, price.c.request_picos),
    *(price.c.is_active, price.c.effective_ms),
)
_VERSION_COLUMNS = (
    *_PRICE_COLUMNS,
    *(price.c.created_ms, price.c.actor, price.c.reason, price.c.source),
)
# Later in this order counts before earlier.
_ORDER = (price.c.effective_ms, price.c.id)


async def take_book(tx: Tx) -> int:
    """Lock the book for this transaction, which changes it; its new version."""
    column = price_book.c.version
    version = await tx.scalar(sa.update(price_book).values(version=column + 1).returning(column))
    assert version is not None, "migrating makes this row"
    return int(version)


BOOK_VERSION = sa.select(price_book.c.version).scalar_subquery()


async def book_version(tx: Tx) -> int:
    return int(await tx.scalar(sa.select(BOOK_VERSION)) or 0)


_VERSION = "SELECT version FROM price_book"
BOOK: Read = (BulkRead(_VERSION, _VERSION), ())  # for who asks the store for more at once


def book_of(rows: Sequence[Sequence[Any]]) -> int:
    return int(rows[0][0]) if rows else 0


async def read_book(tx: Tx, now_ms: int) -> Book:
    """Every model's version in effect and those to come, in the order in which they count."""
    columns = sa.select(*_PRICE_COLUMNS).order_by(*_ORDER)
    in_effect = await tx.execute(columns.where(price.c.id.in_(_latest(now_ms))))
    to_come = await tx.execute(columns.where(~_has_come(now_ms)))
    found = [replace(price_of(row), effective_ms=0) for row in in_effect]
    found += [price_of(row) for row in to_come]
    version = await book_version(tx)
    return Book(version, tuple(found), await read_aliases(tx), await current_rate(tx))


async def current_rate(tx: Tx) -> Rate | None:
    query = sa.select(rate.c.id, rate.c.micros_per_usd).order_by(rate.c.id.desc()).limit(1)
    row = (await tx.execute(query)).first()
    return None if row is None else Rate(row.id, row.micros_per_usd)


def price_of(row: Sequence[Any]) -> Price:
    """A price out of a row that has its columns, in their order."""
    id_, model, currency, *rest = row
    return Price(id_, model, Currency(currency), *rest)


async def pinned(tx: Tx, price_ids: Collection[int]) -> dict[int, Price]:
    """Versions by their ids, as charges pin them."""
    query = sa.select(*_PRICE_COLUMNS).where(price.c.id.in_(price_ids))
    return {row.id: price_of(row) for row in await tx.execute(query)}


async def pinned_rates(tx: Tx, rate_ids: Collection[int]) -> dict[int, Rate]:
    query = sa.select(rate.c.id, rate.c.micros_per_usd).where(rate.c.id.in_(rate_ids))
    return {row.id: Rate(row.id, row.micros_per_usd) for row in await tx.execute(query)}


async def list_current(tx: Tx, now_ms: int) -> list[Version]:
    """One version of every model, by name: the one in effect, or else the next to take effect."""
    rows = await tx.execute(sa.select(*_VERSION_COLUMNS).where(price.c.id.in_(_latest(now_ms))))
    found = {row.model: version_of(row) for row in rows}
    for version in await list_upcoming(tx, now_ms):
        found.setdefault(version.model, version)
    return sorted(found.values(), key=lambda version: (version.model.casefold(), version.model))


async def list_upcoming(tx: Tx, now_ms: int) -> list[Version]:
    """Versions whose time is still to come, the next one first."""
    query = sa.select(*_VERSION_COLUMNS).where(~_has_come(now_ms)).order_by(*_ORDER)
    return [version_of(row) for row in await tx.execute(query)]


async def history(tx: Tx, model: str) -> list[Version]:
    """Every version of a model, the one that was made last first."""
    query = sa.select(*_VERSION_COLUMNS).where(price.c.model == model).order_by(price.c.id.desc())
    return [version_of(row) for row in await tx.execute(query)]


async def known(tx: Tx, now_ms: int) -> Known:
    """All models and their names."""
    return Known(await list_current(tx, now_ms), await read_aliases(tx))


async def insert_version(
    tx: Tx,
    model: str,
    terms: Terms,
    *,
    effective_ms: int | None,
    now_ms: int,
    actor: str,
    reason: str,
    source: str,
) -> Version:
    """Another version of a model's price; without a time to come it is in effect at once."""
    row = _row(model, terms, actor=actor, reason=reason, source=source)
    if effective_ms is not None and effective_ms > now_ms:
        times = {"effective_ms": effective_ms, "created_ms": now_ms}
    else:
        at_ms = max(now_ms, await _latest_made_ms(tx, model))
        times = {"effective_ms": at_ms, "created_ms": at_ms}
    made = (
        await tx.execute(sa.insert(price).values({**row, **times}).returning(*_VERSION_COLUMNS))
    ).one()
    return version_of(made)


async def insert_many(
    tx: Tx, terms: Mapping[str, Terms], now_ms: int, *, actor: str, reason: str, source: str
) -> None:
    """A version for each of these models, in effect at once."""
    query = sa.select(sa.func.max(price.c.effective_ms)).where(_is_at_once())
    at_ms = max(now_ms, int(await tx.scalar(query) or 0))
    times = {"effective_ms": at_ms, "created_ms": at_ms, "tenant_id": 1}
    await tx.insert_many(
        price,
        [
            {**_row(model, one, actor=actor, reason=reason, source=source), **times}
            for model, one in terms.items()
        ],
    )


async def read_aliases(tx: Tx) -> dict[str, str]:
    return {row.name: row.model for row in await tx.execute(sa.select(price_alias))}


async def set_aliases(tx: Tx, models: Mapping[str, str]) -> None:
    """Names for models; a name that is there, in whatever case, is moved."""
    await delete_aliases(tx, models)
    await tx.insert_many(
        price_alias,
        [{"name": name, "tenant_id": 1, "model": model} for name, model in models.items()],
    )


async def delete_aliases(tx: Tx, names: Collection[str]) -> int:
    folded = {name.casefold() for name in names}
    kept = [name for name in await read_aliases(tx) if name.casefold() in folded]
    if not kept:
        return 0
    return (await tx.execute(sa.delete(price_alias).where(price_alias.c.name.in_(kept)))).rowcount


async def insert_rate(tx: Tx, micros_per_usd: int, *, now_ms: int, actor: str, reason: str) -> None:
    row = {"micros_per_usd": micros_per_usd, "created_ms": now_ms, "actor": actor}
    await tx.execute(sa.insert(rate).values(**row, reason=reason))


async def rate_history(tx: Tx) -> list[RateView]:
    """Every rate with the one before, the latest first."""
    old: int | None = None
    found: list[RateView] = []
    for row in await tx.execute(sa.select(rate).order_by(rate.c.id)):
        found.append(
            RateView(
                id=row.id,
                micros_per_usd=row.micros_per_usd,
                old_micros_per_usd=old,
                created_ms=row.created_ms,
                actor=row.actor,
                reason=row.reason,
            )
        )
        old = row.micros_per_usd
    return found[::-1]


def version_of(row: Any) -> Version:  # a row of SQLAlchemy with the columns of a version
    return Version(
        id=row.id,
        model=row.model,
        terms=Terms(
            currency=Currency(row.currency),
            per_tokens=row.per_tokens,
            input_picos=row.input_picos,
            output_picos=row.output_picos,
            cache_read_picos=row.cache_read_picos,
            cache_write_picos=row.cache_write_picos,
            request_picos=row.request_picos,
            is_active=row.is_active,
        ),
        effective_ms=row.effective_ms,
        created_ms=row.created_ms,
        actor=row.actor,
        reason=row.reason,
        source=row.source,
    )


def _row(model: str, terms: Terms, **more: str) -> dict[str, Any]:
    names = terms.__struct_fields__
    fields = {name: getattr(terms, name) for name in names}
    return {"model": model, **fields, "currency": terms.currency.value, **more}


def _is_at_once() -> sa.ColumnElement[bool]:
    return price.c.effective_ms <= price.c.created_ms


def _has_come(now_ms: int) -> sa.ColumnElement[bool]:
    """In effect: at once when it was made, whatever our clock says by now, or by its time."""
    return sa.or_(price.c.effective_ms <= now_ms, _is_at_once())


def _latest(now_ms: int) -> sa.Select[tuple[int]]:
    """The id of each model's version that counts now."""
    order = [column.desc() for column in _ORDER]
    place = sa.func.row_number().over(partition_by=price.c.model, order_by=order).label("place")
    ranked = sa.select(price.c.id, place).where(_has_come(now_ms)).subquery()
    return sa.select(ranked.c.id).where(ranked.c.place == 1)


async def _latest_made_ms(tx: Tx, model: str) -> int:
    """When the last version was made that took effect at once: the next one counts before it,
    also if it is made on a node whose clock lags."""
    query = sa.select(sa.func.max(price.c.effective_ms))
    return int(await tx.scalar(query.where(price.c.model == model, _is_at_once())) or 0)
