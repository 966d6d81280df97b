"""Notices: what somebody should hear of, written with what caused it, delivered afterwards.

`next_ms` is when a notice is to be tried next. Whoever tries it moves that on first, so that two
nodes do not send it at once, and one that dies meanwhile leaves it to be tried again.
"""

from collections.abc import Collection, Iterable

import msgspec
import sqlalchemy as sa

from tallygate.core.budget import NewNotice
from tallygate.store.database import Tx
from tallygate.store.money_schema import notice


class Notice(msgspec.Struct, kw_only=True):
    """A notice; `sent` names the channels that have it, `next_ms` None means no more tries."""

    id: int
    kind: str
    account_id: str | None
    title: str
    body: str
    data: str
    created_ms: int
    attempts: int
    next_ms: int | None
    sent: str
    error: str
    seen_ms: int | None = None


_NOTICE = sa.select(*(notice.c[name] for name in Notice.__struct_fields__))


async def insert(tx: Tx, written: Iterable[NewNotice], now_ms: int) -> None:
    rows = [
        {
            **{name: getattr(one, name) for name in ("kind", "account_id", "title", "body")},
            "data": msgspec.json.encode(one.data).decode(),
            "created_ms": now_ms,
            "attempts": 0,
            "next_ms": now_ms,
            "sent": "",
            "error": "",
        }
        for one in written
    ]
    if rows:
        await tx.execute(sa.insert(notice), rows)


async def due(
    tx: Tx, now_ms: int, limit: int, kinds: Collection[str] | None = None
) -> list[Notice]:
    """Those to be tried now, the longest due first; of some kinds only, if they are named."""
    query = _NOTICE.where(notice.c.next_ms <= now_ms).order_by(notice.c.next_ms, notice.c.id)
    if kinds is not None:
        query = query.where(notice.c.kind.in_(kinds))
    return [Notice(**row._mapping) for row in await tx.execute(query.limit(limit))]


async def claim(tx: Tx, one: Notice, until_ms: int) -> bool:
    """Mine to try until then, unless somebody else has it."""
    is_same = (notice.c.id == one.id, notice.c.next_ms == one.next_ms)
    values = {"next_ms": until_ms, "attempts": notice.c.attempts + 1}
    return (await tx.execute(sa.update(notice).where(*is_same).values(values))).rowcount == 1


async def finish(tx: Tx, one: Notice, *, sent: str, error: str, next_ms: int | None) -> None:
    values = {"sent": sent, "error": error, "next_ms": next_ms}
    await tx.execute(sa.update(notice).where(notice.c.id == one.id).values(values))


async def page(
    tx: Tx,
    *,
    limit: int,
    before_id: int | None = None,
    account_id: str | None = None,
    kinds: Collection[str] | None = None,
    without: Collection[str] = (),
) -> tuple[list[Notice], int]:
    """Newest first, and how many there are in all."""
    query, counted = _NOTICE, sa.select(sa.func.count()).select_from(notice)
    if account_id is not None:
        query = query.where(notice.c.account_id == account_id)
        counted = counted.where(notice.c.account_id == account_id)
    if kinds is not None:
        query = query.where(notice.c.kind.in_(kinds))
        counted = counted.where(notice.c.kind.in_(kinds))
    if without:
        query = query.where(notice.c.kind.not_in(without))
        counted = counted.where(notice.c.kind.not_in(without))
    if before_id is not None:
        query = query.where(notice.c.id < before_id)
    rows = await tx.execute(query.order_by(notice.c.id.desc()).limit(limit))
    return [Notice(**row._mapping) for row in rows], int(await tx.scalar(counted) or 0)


async def see(tx: Tx, account_id: str, upto_id: int, kinds: Collection[str], now_ms: int) -> int:
    """All of an account's up to that one are seen; how many were not before."""
    values = {"seen_ms": now_ms}
    upto = sa.and_(_unseen(account_id, kinds), notice.c.id <= upto_id)
    return (await tx.execute(sa.update(notice).where(upto).values(values))).rowcount


async def count_unseen(tx: Tx, account_id: str, kinds: Collection[str]) -> int:
    query = sa.select(sa.func.count()).select_from(notice).where(_unseen(account_id, kinds))
    return int(await tx.scalar(query) or 0)


def _unseen(account_id: str, kinds: Collection[str]) -> sa.ColumnElement[bool]:
    is_theirs = notice.c.account_id == account_id
    return sa.and_(is_theirs, notice.c.kind.in_(kinds), notice.c.seen_ms.is_(None))


async def was_told(tx: Tx, kind: str, since_ms: int) -> bool:
    """Whether there has been a notice of this kind since then."""
    where = (notice.c.kind == kind, notice.c.created_ms >= since_ms)
    return await tx.scalar(sa.select(notice.c.id).where(*where).limit(1)) is not None


async def clean(tx: Tx, before_ms: int) -> None:
    """Forget old ones that are done."""
    done = (notice.c.next_ms.is_(None), notice.c.created_ms < before_ms)
    await tx.execute(sa.delete(notice).where(*done))
