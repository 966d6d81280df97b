"""The audit log: who changed what, from where, and how it was before.

A row is written in the transaction of the change it describes. Nothing here ever holds a secret:
callers record views, which have none.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.core.ports import Actor
from tallygate.store import schema
from tallygate.store.database import Tx

MAY_NOT_BE_RECORDED = frozenset({"secret", "sealed", "hash", "password", "password_hash"})


class AuditRow(msgspec.Struct, kw_only=True):
    """One change. `before` is None for what was made, `after` None for what is gone."""

    id: int
    at_ms: int
    actor: str
    action: str
    subject: str
    before: Any  # whatever JSON was recorded: the shape is the action's own
    after: Any
    address: str
    request_id: str


async def record(
    tx: Tx,
    actor: Actor,
    action: str,
    subject: str,
    before: object | None,
    after: object | None,
    now_ms: int,
) -> None:
    await tx.execute(
        sa.insert(schema.audit).values(
            at_ms=now_ms,
            actor=actor.name,
            action=action,
            subject=subject,
            before=_text(before),
            after=_text(after),
            address=actor.address,
            request_id=actor.request_id,
        )
    )


async def page(
    tx: Tx, *, limit: int, before_id: int | None = None, subject: str | None = None
) -> list[AuditRow]:
    """Newest first; `before_id` is the last id of the page before."""
    query = sa.select(schema.audit).order_by(schema.audit.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(schema.audit.c.id < before_id)
    if subject is not None:
        query = query.where(schema.audit.c.subject == subject)
    return [_row(found._mapping) for found in await tx.execute(query)]


async def count(tx: Tx, *, subject: str | None = None) -> int:
    query = sa.select(sa.func.count()).select_from(schema.audit)
    if subject is not None:
        query = query.where(schema.audit.c.subject == subject)
    return int(await tx.scalar(query) or 0)


def _row(found: Any) -> AuditRow:  # a row mapping of SQLAlchemy: values of every type
    return AuditRow(
        id=found["id"],
        at_ms=found["at_ms"],
        actor=found["actor"],
        action=found["action"],
        subject=found["subject"],
        before=msgspec.json.decode(found["before"]) if found["before"] else None,
        after=msgspec.json.decode(found["after"]) if found["after"] else None,
        address=found["address"],
        request_id=found["request_id"],
    )


def _text(value: object | None) -> str | None:
    """JSON of what was recorded, without what may not be recorded."""
    if value is None:
        return None
    built = msgspec.to_builtins(value)
    if isinstance(built, dict):
        built = {name: part for name, part in built.items() if name not in MAY_NOT_BE_RECORDED}
    return msgspec.json.encode(built).decode()
