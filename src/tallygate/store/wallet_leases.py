"""Wallets as gateways lease them: locked like a counter, changed by one guarded statement.

What is leased is in no ledger entry: it is money that only its holder may spend, until the charge
that a journal entry names has taken it, or the lease has given it back.
"""

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from tallygate.store import wallets
from tallygate.store.database import Tx
from tallygate.store.lease_decision import Source
from tallygate.store.money_schema import wallet

GENERATION: Final = 1  # a wallet is never reset
WINDOW_S: Final = 0  # it has one window for ever

_CHANGE = (
    sa.update(wallet)
    .where(wallet.c.id == sa.bindparam("of_wallet"))
    .values(leased_micros=wallet.c.leased_micros + sa.bindparam("change", type_=sa.BigInteger))
)
_TAKE = _CHANGE.where(
    wallet.c.balance_micros - wallet.c.held_micros - wallet.c.leased_micros
    >= sa.bindparam("change", type_=sa.BigInteger)
)


async def lock(tx: Tx, wallet_id: int, now_ms: int) -> Source | None:
    """What may be leased of a wallet; money whose time is over is taken back before."""
    found = (await wallets.lock_ids(tx, [wallet_id], now_ms)).get(wallet_id)
    if found is None:
        return None
    await wallets.write(tx, [found])
    return Source(
        GENERATION,
        0,
        found.leased_micros,
        found.balance_micros - found.held_micros,
        found.balance_micros,
    )


async def change(tx: Tx, wallet_id: int, micros: int) -> None:
    """Lease more of a locked wallet, or take back what was leased of it."""
    changed = await tx.execute(
        _TAKE if micros > 0 else _CHANGE, {"of_wallet": wallet_id, "change": micros}
    )
    assert changed.rowcount == 1, "the wallet was locked and the grant fits it"


async def release(tx: Tx, freed: Mapping[int, int]) -> None:
    """Take back what was leased of several locked wallets: micro-points by wallet id."""
    rows = [
        {"of_wallet": wallet_id, "change": -micros}
        for wallet_id, micros in sorted(freed.items())
        if micros
    ]
    if rows:
        await tx.later(_CHANGE, rows)
