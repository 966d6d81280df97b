"""What an operator's commands do to charges: a refund, and the charge that a captured hold becomes.

A refund is one guarded statement: whatever is tried at once, never more is given back than was
charged.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from tallygate.core.charging import Source, State
from tallygate.core.wallet import Wallet
from tallygate.store.database import Tx
from tallygate.store.money_schema import charge


@dataclass(frozen=True, slots=True)
class Charged:
    """As much of a charge as a refund has to know."""

    id: int
    account_id: str
    wallet_id: int | None
    state: str
    micros: int
    refunded_micros: int
    at_ms: int


_CHARGED = sa.select(*(charge.c[name] for name in Charged.__dataclass_fields__))


async def find(tx: Tx, charge_id: int) -> Charged | None:
    row = (await tx.execute(_CHARGED.where(charge.c.id == charge_id))).first()
    return None if row is None else Charged(**row._mapping)


async def refund(tx: Tx, charge_id: int, micros: int) -> bool:
    """Note a refund; False if more would be given back than was charged."""
    in_all = charge.c.refunded_micros + micros
    state = sa.case((in_all == charge.c.micros, State.REFUNDED.value), else_=charge.c.state)
    done = await tx.execute(
        sa.update(charge)
        .where(
            charge.c.id == charge_id,
            charge.c.state == State.CHARGED.value,
            in_all <= charge.c.micros,
        )
        .values(refunded_micros=in_all, state=state)
    )
    return done.rowcount == 1


async def insert_captured(
    tx: Tx, charge_id: int, owner: Wallet, micros: int, request_id: str, now_ms: int
) -> None:
    """The charge of a captured hold: its amount was named, so there is nothing that it pins."""
    numbers = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    texts = ("instance", "model", "conversation_id", "message_id")
    values = {
        **dict.fromkeys((*numbers, "output_micros", "refunded_micros", "key_id"), 0),
        **dict.fromkeys(texts, ""),
        "id": charge_id,
        "tenant_id": owner.tenant_id,
        "account_id": owner.account_id,
        "wallet_id": owner.id,
        "state": State.CHARGED.value,
        "source": Source.HOLD.value,
        "micros": micros,
        "balance_micros": owner.balance_micros,
        "request_id": request_id,
        "event_ms": now_ms,
        "at_ms": now_ms,
    }
    await tx.execute(sa.insert(charge), values)
