"""Wallets, grants, holds and ledger entries as they are shown, page by page."""

from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.core.wallet_commands import GrantView, HoldView, WalletView
from tallygate.store.database import Tx
from tallygate.store.money_schema import credit_grant, hold, ledger_entry, wallet


class EntryView(msgspec.Struct, kw_only=True):
    """One line of the ledger."""

    id: int
    kind: str
    amount_micros: int
    held_micros: int
    balance_micros: int
    charge_id: int | None
    grant_id: int | None
    hold_id: int | None
    reason: str
    actor: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class LedgerFilter:
    """Which entries, of what time (`before_ms` is not included), in which order."""

    kind: str | None = None
    from_ms: int | None = None
    before_ms: int | None = None
    is_oldest_first: bool = False


EVERY_ENTRY = LedgerFilter()

_WALLET = sa.select(*(wallet.c[name] for name in WalletView.__struct_fields__))
_GRANT = sa.select(
    *(
        (wallet if name == "account_id" else credit_grant).c[name]
        for name in GrantView.__struct_fields__
    )
).join(wallet, wallet.c.id == credit_grant.c.wallet_id)
_HOLD = sa.select(
    *((wallet if name == "account_id" else hold).c[name] for name in HoldView.__struct_fields__)
).join(wallet, wallet.c.id == hold.c.wallet_id)
_ENTRY = sa.select(*(ledger_entry.c[name] for name in EntryView.__struct_fields__))


async def find_wallet(tx: Tx, account_id: str) -> WalletView | None:
    row = (await tx.execute(_WALLET.where(wallet.c.account_id == account_id))).first()
    return None if row is None else WalletView(**row._mapping)


async def list_wallets(tx: Tx, *, limit: int, after_id: int = 0) -> list[WalletView]:
    """By age, the oldest first."""
    query = _WALLET.where(wallet.c.id > after_id).order_by(wallet.c.id).limit(limit)
    return [WalletView(**row._mapping) for row in await tx.execute(query)]


async def count_wallets(tx: Tx) -> int:
    return await _count(tx, wallet, sa.true())


async def find_grant(tx: Tx, grant_id: int) -> GrantView | None:
    row = (await tx.execute(_GRANT.where(credit_grant.c.id == grant_id))).first()
    return None if row is None else GrantView(**row._mapping)


async def page_of_grants(
    tx: Tx, wallet_id: int, *, limit: int, before_id: int | None
) -> tuple[list[GrantView], int]:
    """Newest first, and how many there are in all."""
    of_wallet = credit_grant.c.wallet_id == wallet_id
    rows = await _page(tx, _GRANT.where(of_wallet), credit_grant.c.id, limit, before_id)
    return [GrantView(**row) for row in rows], await _count(tx, credit_grant, of_wallet)


async def find_hold(tx: Tx, hold_id: int) -> HoldView | None:
    row = (await tx.execute(_HOLD.where(hold.c.id == hold_id))).first()
    return None if row is None else HoldView(**row._mapping)


async def page_of_holds(
    tx: Tx, wallet_id: int, *, limit: int, before_id: int | None
) -> tuple[list[HoldView], int]:
    of_wallet = hold.c.wallet_id == wallet_id
    rows = await _page(tx, _HOLD.where(of_wallet), hold.c.id, limit, before_id)
    return [HoldView(**row) for row in rows], await _count(tx, hold, of_wallet)


async def page_of_ledger(
    tx: Tx,
    wallet_id: int,
    *,
    limit: int,
    after_id: int | None,
    wanted: LedgerFilter = EVERY_ENTRY,
) -> tuple[list[EntryView], int]:
    """Those that follow the entry of that id, in the order that is asked for."""
    given = (
        ledger_entry.c.wallet_id == wallet_id,
        None if wanted.kind is None else ledger_entry.c.kind == wanted.kind,
        None if wanted.from_ms is None else ledger_entry.c.at_ms >= wanted.from_ms,
        None if wanted.before_ms is None else ledger_entry.c.at_ms < wanted.before_ms,
    )
    conditions = sa.and_(*(one for one in given if one is not None))
    query = _ENTRY.where(conditions)
    is_upwards = wanted.is_oldest_first
    rows = await _page(tx, query, ledger_entry.c.id, limit, after_id, is_upwards=is_upwards)
    return [EntryView(**row) for row in rows], await _count(tx, ledger_entry, conditions)


async def _page(
    tx: Tx,
    query: sa.Select[Any],
    key: sa.Column[Any],
    limit: int,
    after_id: int | None,
    *,
    is_upwards: bool = False,
) -> list[Any]:
    if after_id is not None:
        query = query.where(key > after_id if is_upwards else key < after_id)
    rows = await tx.execute(query.order_by(key if is_upwards else key.desc()).limit(limit))
    return [row._mapping for row in rows]


async def _count(tx: Tx, table: sa.Table, condition: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(condition)
    return int(await tx.scalar(query) or 0)
