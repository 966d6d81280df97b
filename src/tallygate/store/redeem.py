"""Redeem batches and codes: a code is found by its hash alone, and taken by one statement."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from tallygate.core.redeem import hash_code, mask_code
from tallygate.core.wallet_commands import BatchView
from tallygate.store.database import Tx
from tallygate.store.money_schema import redeem_batch, redeem_code


class CodeView(msgspec.Struct, kw_only=True):
    """A code, as much of it as may be seen."""

    masked: str
    account_id: str | None
    redeemed_ms: int | None


_REDEEMED = (
    sa.select(sa.func.count())
    .where(redeem_code.c.batch_id == redeem_batch.c.id, redeem_code.c.redeemed_ms.is_not(None))
    .scalar_subquery()
)
_COLUMNS = ("id", "label", "amount_micros", "expires_ms", "grant_days", "voided_ms", "created_ms")
_BATCH = sa.select(
    *(redeem_batch.c[name] for name in _COLUMNS),
    redeem_batch.c.codes.label("count"),
    _REDEEMED.label("redeemed"),
)


async def insert(
    tx: Tx,
    codes: Sequence[str],
    micros: int,
    *,
    label: str,
    expires_ms: int | None,
    grant_days: int | None,
    actor: str,
    now_ms: int,
) -> int:
    """A batch of new codes; its id."""
    values = {
        "label": label,
        "amount_micros": micros,
        "codes": len(codes),
        "expires_ms": expires_ms,
        "grant_days": grant_days,
        "actor": actor,
        "created_ms": now_ms,
    }
    batch_id = int(await tx.scalar(sa.insert(redeem_batch).returning(redeem_batch.c.id), values))
    rows = [(hash_code(code), batch_id, mask_code(code)) for code in codes]
    await tx.insert_many(redeem_code, rows, ("hash", "batch_id", "masked"))
    return batch_id


async def find(tx: Tx, batch_id: int) -> BatchView | None:
    row = (await tx.execute(_BATCH.where(redeem_batch.c.id == batch_id))).first()
    return None if row is None else BatchView(**row._mapping)


async def list_batches(tx: Tx) -> list[BatchView]:
    """Newest first."""
    rows = await tx.execute(_BATCH.order_by(redeem_batch.c.id.desc()))
    return [BatchView(**row._mapping) for row in rows]


async def list_codes(tx: Tx, batch_id: int) -> list[CodeView]:
    """Masked, the redeemed ones first."""
    columns = [redeem_code.c[name] for name in CodeView.__struct_fields__]
    order = (redeem_code.c.redeemed_ms.is_(None), redeem_code.c.redeemed_ms, redeem_code.c.hash)
    query = sa.select(*columns).where(redeem_code.c.batch_id == batch_id).order_by(*order)
    return [CodeView(**row._mapping) for row in await tx.execute(query)]


async def void(tx: Tx, batch_id: int, now_ms: int) -> bool:
    """False if it is void already."""
    still = (redeem_batch.c.id == batch_id, redeem_batch.c.voided_ms.is_(None))
    done = await tx.execute(sa.update(redeem_batch).where(*still).values(voided_ms=now_ms))
    return done.rowcount == 1


_GOOD_BATCHES = sa.select(redeem_batch.c.id).where(
    redeem_batch.c.voided_ms.is_(None),
    sa.or_(redeem_batch.c.expires_ms.is_(None), redeem_batch.c.expires_ms > sa.bindparam("now")),
)
_TAKE = (
    sa.update(redeem_code)
    .where(
        redeem_code.c.hash == sa.bindparam("of_code"),
        redeem_code.c.redeemed_ms.is_(None),
        redeem_code.c.batch_id.in_(_GOOD_BATCHES),
    )
    .values(account_id=sa.bindparam("by"), redeemed_ms=sa.bindparam("now"))
    .returning(redeem_code.c.batch_id, redeem_code.c.masked)
)


async def take(tx: Tx, code_hash: bytes, account_id: str, now_ms: int) -> tuple[int, str] | None:
    """The batch and the mask of a code that is good, which it is no more; None for any other."""
    names = {"of_code": code_hash, "by": account_id, "now": now_ms}
    row = (await tx.execute(_TAKE, names)).first()
    return None if row is None else (int(row.batch_id), str(row.masked))
