"""Sessions: who is signed in, known by the hash of the cookie only."""

from dataclasses import dataclass

import sqlalchemy as sa

from tallygate.store.database import Tx
from tallygate.store.people_schema import account, session

AGENT_LENGTH_MAX = 256


@dataclass(frozen=True, slots=True)
class Session:
    """A session and what its account may do at this moment."""

    account_id: str
    role: str
    name: str
    email: str | None
    created_ms: int
    seen_ms: int
    expires_ms: int


async def insert(
    tx: Tx,
    hash_: bytes,
    account_id: str,
    now_ms: int,
    *,
    expires_ms: int,
    address: str,
    agent: str,
) -> None:
    values = {
        "hash": hash_,
        "account_id": account_id,
        "created_ms": now_ms,
        "seen_ms": now_ms,
        "expires_ms": expires_ms,
        "address": address,
        "agent": agent[:AGENT_LENGTH_MAX],
    }
    await tx.execute(sa.insert(session), values)


_FIND = (
    sa.select(
        *(account.c.id, account.c.role, account.c.name, account.c.email),
        *(session.c.created_ms, session.c.seen_ms, session.c.expires_ms),
    )
    .join(account, account.c.id == session.c.account_id)
    .where(
        session.c.hash == sa.bindparam("of_hash"),
        session.c.expires_ms > sa.bindparam("now_ms"),
        session.c.seen_ms > sa.bindparam("idle_since_ms"),
        account.c.is_active,
    )
)


async def find(tx: Tx, hash_: bytes, now_ms: int, idle_ms: int) -> Session | None:
    """None: no such session, its time is over, or its account was deactivated."""
    wanted = {"of_hash": hash_, "now_ms": now_ms, "idle_since_ms": now_ms - idle_ms}
    row = (await tx.execute(_FIND, wanted)).first()
    return None if row is None else Session(*tuple(row))


async def touch(tx: Tx, hash_: bytes, now_ms: int) -> None:
    """It was used; the time only moves forward."""
    is_later = sa.and_(session.c.hash == hash_, session.c.seen_ms < now_ms)
    await tx.execute(sa.update(session).where(is_later).values(seen_ms=now_ms))


async def close(
    tx: Tx, account_id: str, *, only: bytes | None = None, keep: bytes | None = None
) -> int:
    """End one session of an account, all of them, or all but one; how many."""
    statement = sa.delete(session).where(session.c.account_id == account_id)
    if only is not None:
        statement = statement.where(session.c.hash == only)
    if keep is not None:
        statement = statement.where(session.c.hash != keep)
    return (await tx.execute(statement)).rowcount


async def clean(tx: Tx, now_ms: int) -> int:
    """Forget sessions whose time is over."""
    return (await tx.execute(sa.delete(session).where(session.c.expires_ms <= now_ms))).rowcount
