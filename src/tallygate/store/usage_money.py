"""What forecasts and advice need to know: balances with what was spent, and models on offer."""

from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from tallygate.store.database import Tx
from tallygate.store.money_schema import charge, wallet
from tallygate.store.people_schema import account
from tallygate.store.schema import provider


@dataclass(frozen=True, slots=True)
class Balance:
    account_id: str
    name: str
    available_micros: int
    spent_micros: int
    created_ms: int


async def balances(tx: Tx, since_ms: int, account_id: str | None) -> list[Balance]:
    """Every account that was charged since then; or this one, charged or not."""
    of_charges = [charge.c.at_ms >= since_ms, charge.c.state.in_(["charged", "refunded"])]
    if account_id is not None:
        of_charges.append(charge.c.account_id == account_id)
    micros = sa.func.sum(charge.c.micros - charge.c.refunded_micros)
    spent = (
        sa.select(charge.c.account_id, micros.label("spent_micros"))
        .where(*of_charges)
        .group_by(charge.c.account_id)
        .subquery()
    )
    query = (
        sa.select(
            *(wallet.c.account_id, account.c.name),
            (wallet.c.balance_micros - wallet.c.held_micros).label("available_micros"),
            *(spent.c.spent_micros, wallet.c.created_ms),
        )
        .join(account, account.c.id == wallet.c.account_id)
        .join(spent, spent.c.account_id == wallet.c.account_id, isouter=account_id is not None)
    )
    if account_id is not None:
        query = query.where(wallet.c.account_id == account_id)
    return [
        Balance(**{**row, "spent_micros": int(row["spent_micros"] or 0)})
        for row in (await tx.execute(query)).mappings()
    ]


async def listed_models(tx: Tx) -> set[str]:
    """What providers that are in use say that they offer, by name and by alias."""
    query = sa.select(provider.c.models, provider.c.aliases).where(provider.c.is_active)
    found: set[str] = set()
    for row in await tx.execute(query):
        found |= set(msgspec.json.decode(row.models or "[]", type=list[str]))
        found |= set(msgspec.json.decode(row.aliases or "{}", type=dict[str, str]))
    return found
