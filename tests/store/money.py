"""What the tests of wallets share: an account with money, prices, and a worker that charges it."""

from dataclasses import dataclass

import sqlalchemy as sa

from tallygate.core.entry import Charge, Use
from tallygate.store import wallets
from tallygate.store.database import Database, Tx
from tallygate.store.money_schema import charge, ledger_entry, price, rate, wallet
from tallygate.store.schema import lease
from tests.store.books import NOW_MS, WINDOW_S, Worker, entry
from tests.store.purse import insert_account

PRICE_ID, RATE_ID = 7, 3


async def make_wallet(db: Database, micros: int, account_id: str = "ada") -> int:
    """The wallet of a new account with this much money."""
    async with db.writing() as tx:
        await insert_account(tx, account_id, micros, NOW_MS)
        return (await wallets.lock_of(tx, [account_id], NOW_MS))[account_id].id


async def insert_price(tx: Tx, model: str, now_ms: int, **changes: object) -> int:
    """A price in points per token unless told; the id of the version."""
    values = {
        "model": model,
        "currency": "points",
        "per_tokens": 1000,
        "input_picos": 10**12,
        "output_picos": 10**12,
        "cache_read_picos": None,
        "cache_write_picos": None,
        "request_picos": 0,
        "is_active": True,
        "effective_ms": now_ms,
        "created_ms": now_ms,
        "actor": "test",
        "reason": "",
    }
    return int(await tx.scalar(sa.insert(price).returning(price.c.id), {**values, **changes}))


async def insert_rate(tx: Tx, micros_per_usd: int, now_ms: int) -> int:
    values = {"micros_per_usd": micros_per_usd, "created_ms": now_ms, "actor": "t", "reason": ""}
    return int(await tx.scalar(sa.insert(rate).returning(rate.c.id), values))


@dataclass
class Payer(Worker):
    """A worker whose requests are paid for by a wallet: limit id below 0."""

    charged: int = 0
    requests: int = 0

    def finish(self, spent: int | None = None, *, is_given_back: bool = False) -> int:
        mine, reserved = self.running.pop(0)
        spent = reserved if spent is None else spent
        spent = 0 if is_given_back else spent
        mine.settle(reserved, spent)
        place = (mine.lease_id, self.limit_id, WINDOW_S, mine.generation)
        self.requests += 1
        number = self.boot_id * 100_000 + self.requests
        made = entry(Use(*place, reserved, spent), key_id=self.key_id, number=number)
        if not is_given_back:
            made.charge = Charge(-self.limit_id, PRICE_ID, RATE_ID, spent, spent // 2)
            self.charged += spent
        self.journal.append(made)
        return spent


@dataclass(frozen=True)
class Standing:
    """What a wallet says of itself, and what its rows add up to."""

    balance: int
    held: int
    leased: int
    entries: int  # sum of the ledger entries
    charges: int  # sum of the charges
    outstanding: int  # sum of its open leases

    @property
    def free(self) -> int:
        return self.balance - self.held - self.leased

    @property
    def is_consistent(self) -> bool:
        return self.balance == self.entries and self.leased == self.outstanding


async def standing(db: Database, wallet_id: int) -> Standing:
    async with db.reading() as tx:
        row = (await tx.execute(sa.select(wallet).where(wallet.c.id == wallet_id))).one()
        entries = sa.select(sa.func.sum(ledger_entry.c.amount_micros))
        charges = sa.select(sa.func.sum(charge.c.micros - charge.c.refunded_micros))
        leases = await tx.execute(sa.select(lease).where(lease.c.limit_id == -wallet_id))
        return Standing(
            row.balance_micros,
            row.held_micros,
            row.leased_micros,
            int(await tx.scalar(entries.where(ledger_entry.c.wallet_id == wallet_id)) or 0),
            int(await tx.scalar(charges.where(charge.c.wallet_id == wallet_id)) or 0),
            sum(max(0, one.granted - one.returned - one.spent) for one in leases),
        )
