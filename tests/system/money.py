"""Users with money at running nodes, and what the store says of it afterwards."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from tallygate.core.ledger import Difference
from tallygate.store import ledger_check, schema
from tallygate.store.database import Database
from tallygate.store.money_schema import charge, wallet
from tests.system.harness import Node, until

POINT = 1_000_000


def make_price(node: Node, model: str, **price: object) -> None:
    """In points for a thousand tokens."""
    prices = {"input_token_price": "0", "output_token_price": "0", "currency": "points"}
    node.admin("POST", "/api/models", {"model_name": model, **prices, **price})


def make_payer(node: Node, points: object, user: str = "ada", *, is_new: bool = True) -> str:
    """A user with this much money; a key that it pays for."""
    if is_new:
        node.admin("POST", "/api/users", {"id": user})
    top_up(node, points, user)
    made = node.admin("POST", "/admin/keys", {"user_id": user, "daily_limit": None})
    return str(made["key"])


def top_up(node: Node, points: object, user: str = "ada") -> None:
    node.admin("POST", f"/api/users/{user}/wallet/top-up", {"points": points, "reason": "test"})


def balance_micros(node: Node, user: str = "ada") -> int:
    return int(node.admin("GET", f"/api/users/{user}/wallet")["balance_micros"])


@dataclass(frozen=True)
class Accounts:
    """What the rows of one store come to."""

    balance_micros: int
    leased_micros: int
    charges: Counter[str]  # request ids
    charged_micros: int
    used: Counter[str]  # request ids of usage rows that cost something
    used_micros: int
    differences: list[Difference]


def accounts(url: str) -> Accounts:
    return asyncio.run(_accounts(url))


async def _accounts(url: str) -> Accounts:
    db = Database(url)
    await db.open(may_create=False)
    differences: list[Difference] = []
    try:
        async with db.reading() as tx:
            both = (wallet.c.balance_micros, wallet.c.leased_micros)
            row = (await tx.execute(sa.select(*both))).one()
            charges = (await tx.execute(sa.select(charge.c.request_id, charge.c.micros))).all()
            columns = (schema.usage.c.request_id, schema.usage.c.charge_micros)
            costly = schema.usage.c.charge_micros > 0
            uses = (await tx.execute(sa.select(*columns).where(costly))).all()
            await ledger_check.check(tx, differences.append)
    finally:
        await db.close()
    return Accounts(
        row.balance_micros,
        row.leased_micros,
        Counter(request_id for request_id, _ in charges),
        sum(micros for _, micros in charges),
        Counter(request_id for request_id, _ in uses),
        sum(micros for _, micros in uses),
        differences,
    )


def when_quiet(url: str) -> Accounts:
    """Once all is settled and no gateway holds any money."""
    until(lambda: accounts(url).leased_micros == 0, "all that was leased came home")
    return accounts(url)


def check(found: Accounts, credited_micros: int) -> None:
    """One charge for each use that cost something, and the balance is what they left."""
    assert found.differences == []
    assert found.charges == found.used
    assert set(found.charges.values()) <= {1}
    assert found.charged_micros == found.used_micros
    assert found.balance_micros == credited_micros - found.charged_micros
