"""Holds and grants as rows: made, ended, and found when their time has come.

The wallet in memory says what they do to the money (core/wallet.py); these statements belong into
the transaction that writes it back.
"""

import sqlalchemy as sa

from tallygate.core.wallet import Wallet
from tallygate.store.database import Tx
from tallygate.store.money_schema import credit_grant, hold
from tallygate.store.wallets import IS_LEFT, IS_OPEN

CAPTURED, RELEASED, OPEN = "captured", "released", "open"


async def place(
    tx: Tx,
    owner: Wallet,
    micros: int,
    *,
    by: str,
    expires_ms: int,
    now_ms: int,
    reason: str = "",
    actor: str = "",
) -> int:
    """Set aside what the caller has seen to be free; the hold's id. `by` may end it."""
    values = {
        "tenant_id": owner.tenant_id,
        "wallet_id": owner.id,
        "amount_micros": micros,
        "owner": by,
        "state": OPEN,
        "reason": reason,
        "created_ms": now_ms,
        "expires_ms": expires_ms,
    }
    hold_id = int(await tx.scalar(sa.insert(hold).returning(hold.c.id), values))
    owner.hold(micros, now_ms, hold_id, reason=reason, actor=actor)
    return hold_id


async def end(
    tx: Tx,
    owner: Wallet,
    hold_id: int,
    state: str,
    now_ms: int,
    *,
    charge_id: int | None = None,
    reason: str = "",
    actor: str = "",
) -> bool:
    """Let all of a hold go, once: False if it is not open any more, or another wallet's."""
    if hold_id in owner.lapsed_holds:
        return False
    is_it = (hold.c.id == hold_id, hold.c.wallet_id == owner.id, hold.c.state == OPEN)
    update = sa.update(hold).where(*is_it).values(state=state, charge_id=charge_id)
    micros = await tx.scalar(update.returning(hold.c.amount_micros))
    if micros is None:
        return False
    owner.release(int(micros), now_ms, hold_id, reason=reason, actor=actor)
    return True


async def insert_grant(
    tx: Tx,
    owner: Wallet,
    micros: int,
    *,
    category: str,
    priority: int,
    expires_ms: int | None,
    now_ms: int,
) -> int:
    """The row of a grant; `Wallet.grant` with its id is what gives the money."""
    values = {
        "tenant_id": owner.tenant_id,
        "wallet_id": owner.id,
        "category": category,
        "priority": priority,
        "amount_micros": micros,
        "left_micros": micros,
        "expires_ms": expires_ms,
        "created_ms": now_ms,
    }
    return int(await tx.scalar(sa.insert(credit_grant).returning(credit_grant.c.id), values))


async def end_grant(tx: Tx, grant_id: int, now_ms: int) -> None:
    ended = {"voided_ms": now_ms, "expires_ms": now_ms}
    await tx.execute(sa.update(credit_grant).where(credit_grant.c.id == grant_id).values(**ended))


async def due_wallets(tx: Tx, now_ms: int, *, after_id: int, limit: int) -> list[int]:
    """Ids of wallets with a hold or a grant whose end has come, in their order."""
    held = sa.select(hold.c.wallet_id).where(IS_OPEN, hold.c.expires_ms <= now_ms)
    ended = sa.select(credit_grant.c.wallet_id).where(IS_LEFT, credit_grant.c.expires_ms <= now_ms)
    found: set[int] = set()
    for query, column in ((held, hold.c.wallet_id), (ended, credit_grant.c.wallet_id)):
        some = query.where(column > after_id).distinct().order_by(column).limit(limit)
        found.update(row[0] for row in await tx.execute(some))
    return sorted(found)[:limit]
