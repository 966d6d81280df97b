"""Accounts with money for tests, and the ledger's own check as a fixture of truth."""

import sqlalchemy as sa

from tallygate.core.ledger import Difference
from tallygate.core.wallet import EntryKind
from tallygate.store import ledger_check, wallets
from tallygate.store.database import Database, Tx
from tallygate.store.money_schema import charge, price, rate
from tallygate.store.people_schema import account, member, team

NOW_MS = 1_770_800_000_000
POINT = 1_000_000


async def insert_account(tx: Tx, account_id: str, micros: int = 0, now_ms: int = NOW_MS) -> None:
    values = {"id": account_id, "name": account_id, "role": "member", "is_active": True}
    await tx.execute(sa.insert(account), {**values, "created_ms": now_ms})
    await wallets.open_wallet(tx, account_id, now_ms)
    if micros:
        found = (await wallets.lock_of(tx, [account_id], now_ms))[account_id]
        found.credit(EntryKind.TOP_UP, micros, now_ms)
        await wallets.write(tx, [found])


async def make_account(db: Database, account_id: str = "alice", micros: int = 0) -> None:
    async with db.writing() as tx:
        await insert_account(tx, account_id, micros)


async def make_team(db: Database, team_id: str, *account_ids: str) -> None:
    async with db.writing() as tx:
        await tx.execute(sa.insert(team), {"id": team_id, "name": team_id, "created_ms": NOW_MS})
        for account_id in account_ids:
            await tx.execute(sa.insert(member), {"team_id": team_id, "account_id": account_id})


async def insert_prices(tx: Tx) -> None:
    """Price 1 is in US dollars, price 2 in points; rate 1 is 10,000 points for a dollar."""
    common = {"per_tokens": 1000, "request_picos": 0, "is_active": True, "effective_ms": 0}
    said = {"created_ms": NOW_MS, "actor": "test", "reason": ""}
    rows = [
        ("gpt-4", "usd", 30_000_000, 60_000_000, None),
        ("deepseek", "points", 1_400_000_000, 2_800_000_000, 140_000_000),
    ]
    for model, currency, fresh, output, cached in rows:
        prices = {"input_picos": fresh, "output_picos": output, "cache_read_picos": cached}
        values = {"model": model, "currency": currency, **prices, **common, **said}
        await tx.execute(sa.insert(price), values)
    await tx.execute(sa.insert(rate), {"micros_per_usd": 10_000 * POINT, **said})


def charge_row(
    charge_id: int, account_id: str, wallet_id: int, **values: object
) -> dict[str, object]:
    """A charge of 1,000 tokens in and 500 out of gpt-4: 600 points."""
    numbers = ("cache_read_tokens", "cache_write_tokens", "refunded_micros", "key_id")
    texts = ("instance", "request_id", "conversation_id", "message_id")
    return {
        **dict.fromkeys(numbers, 0),
        **dict.fromkeys(texts, ""),
        "id": charge_id,
        "account_id": account_id,
        "wallet_id": wallet_id,
        "state": "charged",
        "source": "webhook",
        "model": "gpt-4",
        "price_id": 1,
        "rate_id": 1,
        "input_tokens": 1000,
        "output_tokens": 500,
        "micros": 600 * POINT,
        "output_micros": 300 * POINT,
        "balance_micros": 0,
        "event_ms": NOW_MS,
        "at_ms": NOW_MS,
        **values,
    }


async def make_charge(
    db: Database,
    charge_id: int,
    account_id: str = "alice",
    micros: int = 600 * POINT,
    **values: object,
) -> None:
    """As a batch of events would be charged, at prices of the tests' own."""
    async with db.writing() as tx:
        ours = sa.select(sa.func.min(price.c.id)).where(price.c.actor == "test")
        if await tx.scalar(ours) is None:
            await insert_prices(tx)
        pinned = {
            "price_id": await tx.scalar(ours),
            "rate_id": await tx.scalar(sa.select(sa.func.max(rate.c.id))),
        }
        found = (await wallets.lock_of(tx, [account_id], NOW_MS))[account_id]
        pins = {**pinned, **values}
        row = charge_row(charge_id, account_id, found.id, micros=micros, **pins)
        if row["state"] == "charged":
            found.charge(micros, NOW_MS, charge_id)
        await tx.execute(sa.insert(charge), {**row, "balance_micros": found.balance_micros})
        await wallets.write(tx, [found])


async def differences(db: Database) -> list[Difference]:
    """What `tallygate ledger verify` would name."""
    found: list[Difference] = []
    async with db.reading() as tx:
        await ledger_check.check(tx, found.append)
    return found
