"""/api/user/notices: what one should hear of one's own money, in one's own language."""

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies, lists
from tallygate.control.openapi import described
from tallygate.control.own_account import own_id
from tallygate.control.parts import Parts
from tallygate.control.users import Language
from tallygate.core.notice_wording import KINDS, worded
from tallygate.store import accounts, notices
from tallygate.store.notices import Notice


class OwnNotice(msgspec.Struct, kw_only=True):
    """`data` says it for programs: amounts in points, with `…_micros` beside them."""

    id: str
    kind: str
    title: str
    body: str
    data: msgspec.Raw
    is_mailed: bool
    created_at: str


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/user", tags=["user"])

    @router.get("/notices", **described(lists.Page[OwnNotice]))
    async def list_own_notices(
        request: Request,
        limit: str | None = None,
        cursor: str | None = None,
        language: Language | None = None,
    ) -> Response:
        """Warnings about one's own balance and budgets, and budgets of one's teams, the newest
        first; in one's own language, or in the one that is asked for."""
        account_id = own_id(request)
        size, before_id = lists.read_limit(limit), lists.read_cursor(cursor)
        async with parts.database.reading() as tx:
            owner = await accounts.find(tx, account_id)
            rows, total = await notices.page(
                tx, limit=size + 1, before_id=before_id, account_id=account_id, kinds=KINDS
            )
        spoken = language or (owner.language if owner is not None else None)
        items = [_shown(row, spoken or parts.notice_language) for row in rows[:size]]
        following = items[-1].id if len(rows) > size else None
        return bodies.answer(lists.Page(items=items, total=total, next=following))

    return router


def _shown(row: Notice, language: str) -> OwnNotice:
    title, body = worded(row.kind, row.data, language) or (row.title, row.body)
    return OwnNotice(
        id=str(row.id),
        kind=row.kind,
        title=title,
        body=body,
        data=msgspec.Raw(row.data.encode()),
        is_mailed="mail" in row.sent.split(),
        created_at=bodies.rfc3339(row.created_ms) or "",
    )
