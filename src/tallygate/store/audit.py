"""The audit log: who changed what, from where, and how it was before.

A row is written in the transaction of the change it describes. Nothing here ever holds a secret:
callers record views, which have none.
"""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Filter:
    """Which changes: by whom, of what (`action` may be the part before the dot), in what time."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    from_ms: int | None = None
    before_ms: int | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        columns = schema.audit.c
        found: list[sa.ColumnElement[bool]] = []
        if self.actor is not None:
            # A key of a user's is the user.
            own_keys = columns.actor.startswith(f"{self.actor} key:", autoescape=True)
            found.append(sa.or_(columns.actor == self.actor, own_keys))
        if self.action is not None:
            kind = columns.action.startswith(f"{self.action}.", autoescape=True)
            found.append(sa.or_(columns.action == self.action, kind))
        if self.subject is not None:
            found.append(columns.subject == self.subject)
        if self.from_ms is not None:
            found.append(columns.at_ms >= self.from_ms)
        if self.before_ms is not None:
            found.append(columns.at_ms < self.before_ms)
        return found


EVERYTHING = Filter()


async def page(
    tx: Tx, *, limit: int, before_id: int | None = None, wanted: Filter = EVERYTHING
) -> list[AuditRow]:
    """Newest first; `before_id` is the last id of the page before."""
    query = sa.select(schema.audit).where(*wanted.conditions())
    if before_id is not None:
        query = query.where(schema.audit.c.id < before_id)
    query = query.order_by(schema.audit.c.id.desc()).limit(limit)
    return [_row(found._mapping) for found in await tx.execute(query)]


async def count(tx: Tx, wanted: Filter = EVERYTHING) -> int:
    query = sa.select(sa.func.count()).select_from(schema.audit)
    return int(await tx.scalar(query.where(*wanted.conditions())) or 0)


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
