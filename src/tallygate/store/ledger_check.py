"""Reading the whole ledger, in one state of the store, a portion of rows at a time.

Everything is summed by core/ledger.py, in integers; the store only hands out rows in the order of
their keys. Charges and their entries are read side by side, by the same range of charge ids.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import sqlalchemy as sa

from tallygate.core.ledger import ChargeEntry, Checker, Difference, WalletRow
from tallygate.core.pricing import Currency, Price, Rate
from tallygate.core.replay import Pinned, Versions
from tallygate.store.database import Tx
from tallygate.store.money_schema import charge, credit_grant, hold, ledger_entry, price, rate
from tallygate.store.money_schema import wallet as wallets
from tallygate.store.schema import lease
from tallygate.store.wallets import IS_LEFT, IS_OPEN

ROWS = 5000  # in one portion
_END = 1 << 62

_ENTRIES = sa.select(
    *(ledger_entry.c.id, ledger_entry.c.wallet_id, ledger_entry.c.kind),
    *(ledger_entry.c.amount_micros, ledger_entry.c.held_micros, ledger_entry.c.balance_micros),
)
_WALLETS = sa.select(*(wallets.c[name] for name in WalletRow.__struct_fields__))
_CHARGES = sa.select(*(charge.c[name] for name in Pinned.__struct_fields__))
_HOLDS = sa.select(hold.c.id, hold.c.wallet_id, hold.c.amount_micros).where(IS_OPEN)
_GRANTS = sa.select(credit_grant.c.id, credit_grant.c.wallet_id, credit_grant.c.left_micros).where(
    IS_LEFT
)
_LEASES = sa.select(
    *(lease.c.id, lease.c.limit_id, lease.c.granted, lease.c.returned, lease.c.spent)
).where(lease.c.limit_id < 0)
_OF_CHARGES = (
    sa.select(ledger_entry.c.charge_id, ledger_entry.c.wallet_id, ledger_entry.c.amount_micros)
    .where(
        ledger_entry.c.charge_id > sa.bindparam("after"),
        ledger_entry.c.charge_id <= sa.bindparam("up_to"),
    )
    .order_by(ledger_entry.c.charge_id)
)


Report = Callable[[Difference], None]


async def check(tx: Tx, report: Report) -> Checker:
    """Check everything; `report` hears of each difference. `tx` should be a reading one."""
    checker = Checker(await read_versions(tx), report)
    async for rows in _portions(tx, _ENTRIES, ledger_entry.c.id):
        checker.add_entries(rows)
    async for rows in _portions(tx, _HOLDS, hold.c.id):
        for _, wallet_id, micros in rows:
            checker.holds[wallet_id] += micros
    async for rows in _portions(tx, _GRANTS, credit_grant.c.id):
        for _, wallet_id, micros in rows:
            checker.grants[wallet_id] += micros
    async for rows in _portions(tx, _LEASES, lease.c.id):
        for _, limit_id, granted, returned, spent in rows:
            checker.leases[-limit_id] += max(0, granted - returned - spent)
    async for rows in _portions(tx, _WALLETS, wallets.c.id):
        for row in rows:
            checker.add_wallet(WalletRow(*row))
    checker.end_wallets()
    await _check_charges(tx, checker)
    return checker


async def _check_charges(tx: Tx, checker: Checker) -> None:
    after = -_END
    async for rows in _portions(tx, _CHARGES, charge.c.id):
        found = [Pinned(*row) for row in rows]
        _join(checker, found, await _entries_of(tx, after, found[-1].id))
        after = found[-1].id
    _join(checker, [], await _entries_of(tx, after, _END))


def _join(checker: Checker, found: list[Pinned], entries: dict[int, list[ChargeEntry]]) -> None:
    for one in found:
        checker.add_charge(one, entries.pop(one.id, ()))
    for charge_id, orphans in entries.items():
        checker.add_orphans(charge_id, orphans)


async def _entries_of(tx: Tx, after: int, up_to: int) -> dict[int, list[ChargeEntry]]:
    entries: dict[int, list[ChargeEntry]] = {}
    for charge_id, wallet_id, amount in await _rows(tx, _OF_CHARGES, after=after, up_to=up_to):
        entries.setdefault(charge_id, []).append((wallet_id, amount))
    return entries


async def _portions(
    tx: Tx, query: sa.Select[Any], key: sa.Column[Any]
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """All rows of `query`, whose first column is `key`."""
    portion = query.where(key > sa.bindparam("after")).order_by(key).limit(ROWS)
    after = -_END
    while rows := await _rows(tx, portion, after=after):
        yield rows
        if len(rows) < ROWS:
            return
        after = rows[-1][0]


async def _rows(tx: Tx, query: sa.Select[Any], **names: int) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await tx.execute(query, names)]


async def read_versions(tx: Tx) -> Versions:
    columns = [price.c[name] for name in Price.__struct_fields__]
    prices = {}
    for row in await tx.execute(sa.select(*columns)):
        values = dict(zip(Price.__struct_fields__, row, strict=True))
        values["currency"] = Currency(values["currency"])
        prices[values["id"]] = Price(**values)
    rates = {
        row.id: Rate(row.id, row.micros_per_usd)
        for row in await tx.execute(sa.select(rate.c.id, rate.c.micros_per_usd))
    }
    return Versions(prices, rates)


async def find_pinned(tx: Tx, charge_id: int) -> Pinned | None:
    row = (await tx.execute(_CHARGES.where(charge.c.id == charge_id))).first()
    return None if row is None else Pinned(*tuple(row))
