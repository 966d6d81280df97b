"""/api/audit: who changed what, newest first."""

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies, lists
from tallygate.control.openapi import described
from tallygate.control.parts import Parts
from tallygate.store import accounts, audit

_TIMES = {
    "from": "a day, or a time with its zone; from it on",
    "to": "a day, which is included, or a time with its zone, which is not",
}


class AuditEntry(msgspec.Struct, kw_only=True):
    """One change; `before` and `after` have the shape of what was changed.

    `actor` is `admin` for the admin token, `cli`, or `user:<id>`, whose name `actor_name` is now.
    """

    id: int
    at: str
    actor: str
    actor_name: str | None
    action: str
    subject: str
    before: Any
    after: Any
    address: str
    request_id: str


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/audit", tags=["audit"])

    @router.get("", **described(lists.Page[AuditEntry], query=_TIMES))
    async def list_audit(
        request: Request,
        limit: str | None = None,
        cursor: str | None = None,
        subject: str | None = None,
        actor: str | None = None,
        action: str | None = None,
    ) -> Response:
        """Every change with who, when, from where, before and after; no secret is among it.

        Filters: `subject` as in `user:ann`, `actor` as in `user:ann` or `admin`, `action` as in
        `user.create` or `user`, `from` and `to` as days or times.
        """
        size, before_id = lists.read_limit(limit), lists.read_cursor(cursor)
        wanted = audit.Filter(
            actor=actor,
            action=action,
            subject=subject,
            from_ms=bodies.query_time(request, "from", parts.time_zone),
            before_ms=bodies.query_time(request, "to", parts.time_zone, days_later=1),
        )
        async with parts.database.reading() as tx:
            total = await audit.count(tx, wanted)
            rows = await audit.page(tx, limit=size + 1, before_id=before_id, wanted=wanted)
            names = await accounts.names_of(tx, set(map(_account_id, rows)))
        items = [_entry(row, names.get(_account_id(row))) for row in rows[:size]]
        following = str(items[-1].id) if len(rows) > size else None
        return bodies.answer(lists.Page(items=items, total=total, next=following))

    return router


def _account_id(row: audit.AuditRow) -> str:
    """Whose account made the change; nothing for the admin token and the command line."""
    prefix, _, rest = row.actor.partition("user:")
    return "" if prefix else rest.partition(" key:")[0]


def _entry(row: audit.AuditRow, name: str | None) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=bodies.rfc3339(row.at_ms) or "",
        actor=row.actor,
        actor_name=name,
        action=row.action,
        subject=row.subject,
        before=row.before,
        after=row.after,
        address=row.address,
        request_id=row.request_id,
    )
