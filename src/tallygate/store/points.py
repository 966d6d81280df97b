"""What people ask about their points: the balance, what they used lately, and page by page.

Each question reads a bounded number of rows by an index, however long somebody's history is; only
the history's own page counts it.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallygate.core.charging import State
from tallygate.store.database import Tx
from tallygate.store.money_schema import charge, credit_grant, past_usage
from tallygate.store.prices import BOOK, book_of
from tallygate.store.tx import BulkRead

RECENT_MAX = 100  # charges that an estimate looks back on, of whatever model

_PAID = (State.CHARGED.value, State.REFUNDED.value)


@dataclass(frozen=True, slots=True)
class Funds:
    """A wallet at this moment. Grants that have ended are out of it already.

    `leased_micros` is with gateways and a part of the balance: they give it back when it is asked
    for.
    """

    balance_micros: int
    held_micros: int
    leased_micros: int

    @property
    def available_micros(self) -> int:
        return self.balance_micros - self.held_micros


@dataclass(frozen=True, slots=True)
class Recent:
    """One charge that was paid, as far as estimates go by it."""

    model: str
    input_tokens: int
    output_tokens: int
    micros: int


@dataclass(frozen=True, slots=True)
class Consumption:
    """One line of a history; `is_past` is what an imported system had recorded."""

    is_past: bool
    id: int
    at_ms: int
    model: str
    input_tokens: int
    output_tokens: int
    micros: int
    output_micros: int
    refunded_micros: int
    balance_micros: int | None
    conversation_id: str
    message_id: str
    source: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which lines of a history: of one model, from a time on, before another."""

    model: str | None = None
    from_ms: int | None = None
    before_ms: int | None = None


_FUNDS = (
    "SELECT id, balance_micros, held_micros, leased_micros, granted_micros FROM wallet"
    " WHERE account_id = "
)
_FUNDS_OF = BulkRead(f"{_FUNDS}?", f"{_FUNDS}$1")
_ENDED = sa.select(sa.func.sum(credit_grant.c.left_micros)).where(
    credit_grant.c.wallet_id == sa.bindparam("wallet"),
    credit_grant.c.expires_ms <= sa.bindparam("now_ms"),
    credit_grant.c.left_micros > 0,
)


async def find_funds(tx: Tx, account_id: str, now_ms: int) -> Funds | None:
    """None: there is no such account."""
    return (await find_funds_and_book(tx, account_id, now_ms))[0]


async def find_funds_and_book(tx: Tx, account_id: str, now_ms: int) -> tuple[Funds | None, int]:
    """And which book of prices is in force, for the store is asked for both at once."""
    found, version = await tx.read_all([(_FUNDS_OF, (account_id,)), BOOK])
    book = book_of(version)
    if not found:
        return None, book
    wallet_id, balance, held, leased, granted = found[0]
    if granted:
        wanted = {"wallet": wallet_id, "now_ms": now_ms}
        ended = int(await tx.scalar(_ENDED, wanted) or 0)
        balance -= min(ended, max(0, balance - held - leased))
    return Funds(balance, held, leased), book


_LATELY = "SELECT model, input_tokens, output_tokens, micros, state FROM charge WHERE account_id = "
_NEWEST = f" ORDER BY at_ms DESC LIMIT {RECENT_MAX}"
_RECENT = BulkRead(f"{_LATELY}?{_NEWEST}", f"{_LATELY}$1{_NEWEST}")


async def recent_and_book(tx: Tx, account_id: str) -> tuple[list[Recent], int]:
    """What this account was charged lately, the newest first; and which book is in force."""
    found, version = await tx.read_all([(_RECENT, (account_id,)), BOOK])
    return [Recent(*row[:4]) for row in found if row[4] in _PAID], book_of(version)


async def page(
    tx: Tx, account_id: str, wanted: Filter, *, limit: int, offset: int
) -> tuple[list[Consumption], int]:
    """Charges and what was imported, newest first, and how many there are in all."""
    conditions = [_of(table, account_id, wanted) for table in (charge, past_usage)]
    conditions[0].append(charge.c.state.in_(_PAID))
    halves = [
        sa.select(*columns)
        .where(*condition)
        .order_by(table.c.at_ms.desc(), table.c.id.desc())
        .limit(offset + limit)
        .subquery()
        for table, columns, condition in zip(
            (charge, past_usage), (_CHARGED, _PAST), conditions, strict=True
        )
    ]
    merged = sa.union_all(*(sa.select(half) for half in halves)).subquery()
    query = sa.select(merged).order_by(merged.c.at_ms.desc(), merged.c.is_past, merged.c.id.desc())
    rows = await tx.execute(query.limit(limit).offset(offset))
    total = 0
    for table, condition in zip((charge, past_usage), conditions, strict=True):
        counting = sa.select(sa.func.count()).select_from(table).where(*condition)
        total += int(await tx.scalar(counting))
    return [_consumption(row) for row in rows], total


def _of(table: sa.Table, account_id: str, wanted: Filter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [table.c.account_id == account_id]
    if wanted.model is not None:
        conditions.append(sa.func.lower(table.c.model) == wanted.model.lower())
    if wanted.from_ms is not None:
        conditions.append(table.c.at_ms >= wanted.from_ms)
    if wanted.before_ms is not None:
        conditions.append(table.c.at_ms < wanted.before_ms)
    return conditions


_CHARGED = (
    sa.literal(0).label("is_past"),
    *(charge.c.id, charge.c.at_ms, charge.c.model),
    *(charge.c.input_tokens, charge.c.output_tokens, charge.c.micros, charge.c.output_micros),
    *(charge.c.refunded_micros, charge.c.balance_micros),
    *(charge.c.conversation_id, charge.c.message_id, charge.c.source),
)
_PAST = (
    sa.literal(1).label("is_past"),
    *(past_usage.c.id, past_usage.c.at_ms, past_usage.c.model),
    *(past_usage.c.input_tokens, past_usage.c.output_tokens),
    *(past_usage.c.micros, past_usage.c.output_micros),
    sa.literal(0).label("refunded_micros"),
    sa.cast(sa.null(), sa.BigInteger).label("balance_micros"),
    *(past_usage.c.conversation_id, past_usage.c.message_id),
    sa.literal("import").label("source"),
)


def _consumption(row: sa.Row[Any]) -> Consumption:
    is_past, *rest = tuple(row)
    return Consumption(bool(is_past), *rest)
