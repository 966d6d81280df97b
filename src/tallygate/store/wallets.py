"""Wallets: locked and read, changed in memory (core/wallet.py), written back with their entries.

A wallet is written only as it was read: the update names the balance it started from, so a change
that raced with another one fails as a whole instead of being lost. Holds and grants that have ended
are taken care of as soon as their wallet is locked, by whoever locks it.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa

from tallygate.core.wallet import Lot, Wallet
from tallygate.store.money_schema import credit_grant, hold, ledger_entry, wallet
from tallygate.store.tx import (
    JSON_ROWS,
    BulkRead,
    BulkWrite,
    Read,
    Tx,
    Write,
    inserting,
    json_columns,
)

NAMES_MAX = 500  # in one IN list

# As their partial indexes say it; with a parameter in them SQLite would not use these.
IS_OPEN = sa.text("hold.state = 'open'")
IS_LEFT = sa.text("credit_grant.left_micros > 0")

# In the order of Wallet's fields.
_OF_ACCOUNTS = BulkRead(
    "SELECT id, tenant_id, account_id, balance_micros, held_micros, leased_micros, floor_micros,"
    " granted_micros FROM wallet"
    " WHERE account_id IN (SELECT value FROM json_each(?)) ORDER BY id",
    "SELECT id, tenant_id, account_id, balance_micros, held_micros, leased_micros, floor_micros,"
    " granted_micros FROM wallet WHERE account_id = ANY ($1) ORDER BY id FOR UPDATE",
    is_locking=True,
)
_OF_IDS = BulkRead(
    "SELECT id, tenant_id, account_id, balance_micros, held_micros, leased_micros, floor_micros,"
    " granted_micros FROM wallet WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
    "SELECT id, tenant_id, account_id, balance_micros, held_micros, leased_micros, floor_micros,"
    " granted_micros FROM wallet WHERE id = ANY ($1) ORDER BY id FOR UPDATE",
    is_locking=True,
)
_ENTRY_COLUMNS = tuple(column.name for column in ledger_entry.columns if column.name != "id")


async def open_wallet(tx: Tx, account_id: str, now_ms: int) -> int:
    """A new, empty wallet; its id."""
    zeros = ("balance_micros", "held_micros", "leased_micros", "granted_micros", "floor_micros")
    values = {"account_id": account_id, "created_ms": now_ms, **dict.fromkeys(zeros, 0)}
    return int(await tx.scalar(sa.insert(wallet).returning(wallet.c.id), values))


async def lock_of(tx: Tx, account_ids: Iterable[str], now_ms: int) -> dict[str, Wallet]:
    """The wallets of these accounts, locked in the order of their ids; who has none is left out."""
    [found] = await tx.read_all([locking_of(account_ids)])
    return await locked_of(tx, found, now_ms)


def locking_of(account_ids: Iterable[str]) -> Read:
    """What locks them, for who asks the store for more at once; `locked_of` reads the rows."""
    return _OF_ACCOUNTS, (sorted(set(account_ids)),)


async def locked_of(tx: Tx, rows: Iterable[Sequence[Any]], now_ms: int) -> dict[str, Wallet]:
    return {one.account_id: one for one in await _locked(tx, rows, now_ms)}


async def lock_ids(tx: Tx, wallet_ids: Iterable[int], now_ms: int) -> dict[int, Wallet]:
    [found] = await tx.read_all([(_OF_IDS, (sorted(set(wallet_ids)),))])
    return {one.id: one for one in await _locked(tx, found, now_ms)}


async def _locked(tx: Tx, rows: Iterable[Sequence[Any]], now_ms: int) -> list[Wallet]:
    found: list[Wallet] = []
    with_grants: dict[int, Wallet] = {}
    with_holds: dict[int, Wallet] = {}
    for row in rows:
        *values, granted_micros = row
        one = Wallet(*values)
        found.append(one)
        if granted_micros:
            with_grants[one.id] = one
        if one.held_micros:
            with_holds[one.id] = one
    if with_holds:
        await _end_holds(tx, with_holds, now_ms)
    if with_grants:
        await _read_lots(tx, with_grants, now_ms)
    return found


async def _end_holds(tx: Tx, wallets: dict[int, Wallet], now_ms: int) -> None:
    rest = iter(sorted(wallets))
    while some := list(islice(rest, NAMES_MAX)):
        query = (
            sa.select(hold.c.wallet_id, hold.c.id, hold.c.amount_micros)
            .where(hold.c.wallet_id.in_(some), IS_OPEN, hold.c.expires_ms <= now_ms)
            .order_by(hold.c.id)
        )
        for row in await tx.execute(query):
            wallets[row.wallet_id].lapse(row.amount_micros, now_ms, row.id)


async def _read_lots(tx: Tx, wallets: dict[int, Wallet], now_ms: int) -> None:
    """What is left of their grants; what has ended meanwhile is taken back before anything else."""
    columns = (credit_grant.c.wallet_id, credit_grant.c.id, credit_grant.c.priority)
    rest = iter(sorted(wallets))
    while some := list(islice(rest, NAMES_MAX)):
        query = (
            sa.select(*columns, credit_grant.c.expires_ms, credit_grant.c.left_micros)
            .where(credit_grant.c.wallet_id.in_(some), IS_LEFT)
            .order_by(credit_grant.c.id)
        )
        for row in await tx.execute(query):
            lot = Lot(row.id, row.priority, row.expires_ms, row.left_micros)
            wallets[row.wallet_id].lots.append(lot)
    for one in wallets.values():
        one.expire(now_ms)


_WRITE_COLUMNS = (
    *("to_balance", "to_held", "more_granted"),
    *("of_wallet", "from_balance", "from_held"),
)
_WANTED = json_columns([(sa.BigInteger(), name) for name in _WRITE_COLUMNS])
_WRITE = BulkWrite(
    "UPDATE wallet SET balance_micros = ?, held_micros = ?, granted_micros = granted_micros + ?"
    " WHERE id = ? AND balance_micros = ? AND held_micros = ?",
    "UPDATE wallet AS one SET balance_micros = to_balance, held_micros = to_held,"  # noqa: S608
    " granted_micros = one.granted_micros + more_granted"
    f" FROM (SELECT {_WANTED} FROM {JSON_ROWS}) AS wanted"
    " WHERE one.id = of_wallet AND one.balance_micros = from_balance"
    " AND one.held_micros = from_held",
)
_ENTER = inserting(ledger_entry, _ENTRY_COLUMNS)
_WRITE_LOT = (
    sa.update(credit_grant)
    .where(credit_grant.c.id == sa.bindparam("of_grant"))
    .values(left_micros=sa.bindparam("now_left"))
)

_LAPSE_HOLD = sa.update(hold).where(hold.c.id == sa.bindparam("of_hold")).values(state="expired")


async def write(tx: Tx, wallets: Iterable[Wallet], *, beside: Sequence[Write] = ()) -> None:
    """Put changed wallets back, with their entries; they stay locked until the transaction ends.

    `beside` is written together with them.
    """
    changed = [one for one in wallets if one.entries]
    entries = [row for one in changed for row in _entry_rows(one)]
    await tx.write_all(
        [*beside, (_ENTER, entries), (_WRITE, [_wallet_row(one) for one in changed])]
    )
    lots = [
        (lot.grant_id, lot.left_micros) for one in changed for lot in one.lots if lot.is_changed
    ]
    lapsed = [hold_id for one in changed for hold_id in one.lapsed_holds]
    for one in changed:
        one.written()
    if lots:
        await tx.execute(_WRITE_LOT, [{"of_grant": id_, "now_left": left} for id_, left in lots])
    if lapsed:
        await tx.execute(_LAPSE_HOLD, [{"of_hold": hold_id} for hold_id in lapsed])


def _wallet_row(one: Wallet) -> tuple[int, ...]:
    """What it becomes, and what it was when it was read."""
    amount = held = 0
    for entry in one.entries:
        amount += entry.amount_micros
        held += entry.held_micros
    return (
        *(one.balance_micros, one.held_micros, -one.drawn_micros),
        *(one.id, one.balance_micros - amount, one.held_micros - held),
    )


def _entry_rows(one: Wallet) -> Iterable[tuple[object, ...]]:
    for entry in one.entries:
        yield (
            *(one.tenant_id, one.id, entry.kind._value_),
            *(entry.amount_micros, entry.held_micros, entry.balance_micros),
            *(entry.charge_id, entry.grant_id, entry.hold_id),
            *(entry.reason, entry.actor, entry.at_ms),
        )


async def configure(tx: Tx, wallet_id: int, values: Mapping[str, int | None]) -> None:
    """Set `floor_micros` or `warn_micros`."""
    assert values.keys() <= {"floor_micros", "warn_micros"}, "money moves by entries only"
    if values:
        await tx.execute(sa.update(wallet).where(wallet.c.id == wallet_id).values(**values))
