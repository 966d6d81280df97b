"""/api/audit: who changed what, newest first."""

from typing import Any

import msgspec
from fastapi import APIRouter, Response

from tallygate.control import bodies, lists
from tallygate.control.openapi import described
from tallygate.control.parts import Parts
from tallygate.store import audit


class AuditEntry(msgspec.Struct, kw_only=True):
    """One change; `before` and `after` have the shape of what was changed."""

    id: int
    at: str
    actor: str
    action: str
    subject: str
    before: Any
    after: Any
    address: str
    request_id: str


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/audit", tags=["audit"])

    @router.get("", **described(lists.Page[AuditEntry]))
    async def list_audit(
        limit: str | None = None, cursor: str | None = None, subject: str | None = None
    ) -> Response:
        """Every change with who, when, from where, before and after; no secret is among it."""
        size, before_id = lists.read_limit(limit), lists.read_cursor(cursor)
        async with parts.database.reading() as tx:
            total = await audit.count(tx, subject=subject)
            rows = await audit.page(tx, limit=size + 1, before_id=before_id, subject=subject)
        items = [_entry(row) for row in rows[:size]]
        following = str(items[-1].id) if len(rows) > size else None
        return bodies.answer(lists.Page(items=items, total=total, next=following))

    return router


def _entry(row: audit.AuditRow) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=bodies.rfc3339(row.at_ms) or "",
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        before=row.before,
        after=row.after,
        address=row.address,
        request_id=row.request_id,
    )
