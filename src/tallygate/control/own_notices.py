"""/api/user/notices: what one should hear of one's own money, in one's own language."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies, lists
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.own_account import own_id
from tallygate.control.parts import Parts
from tallygate.control.users import Language
from tallygate.control.wallets import read_id
from tallygate.core.account_commands import NoticesSeen, SeeNotices
from tallygate.core.notice_wording import KINDS, worded
from tallygate.store import accounts, notices
from tallygate.store.notices import Notice

Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,18}\Z")]


class OwnNotice(msgspec.Struct, kw_only=True):
    """`data` says it for programs: amounts in points, with `…_micros` beside them."""

    id: str
    kind: str
    title: str
    body: str
    data: msgspec.Raw
    is_mailed: bool
    is_seen: bool
    created_at: str


class Seen(bodies.Body, kw_only=True):
    """The newest notice that was shown: it and all before it are not new any more."""

    id: Id


class NewNotices(msgspec.Struct, kw_only=True):
    """How many notices one has not seen yet."""

    new: int


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/user", tags=["user"])

    _seeing(router, parts)

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


def _seeing(router: APIRouter, parts: Parts) -> None:
    @router.get("/notices/seen", **described(NewNotices))
    async def count_new_notices(request: Request) -> Response:
        """How many notices are new to one, whichever browser one saw the others in."""
        account_id = own_id(request)
        async with parts.database.reading() as tx:
            new = await notices.count_unseen(tx, account_id, KINDS)
        return bodies.answer(NewNotices(new=new))

    @router.put("/notices/seen", **described(NewNotices, body=Seen))
    async def see_notices(request: Request) -> Response:
        """Say that one has seen a notice and all that are older; what is newer stays new."""
        account_id = own_id(request)
        body = await bodies.read(request, Seen)
        change = SeeNotices(account_id=account_id, upto_id=read_id(body.id))
        seen = await order(parts.clerk, request, change, NoticesSeen)
        return bodies.answer(NewNotices(new=seen.new))


def _shown(row: Notice, language: str) -> OwnNotice:
    title, body = worded(row.kind, row.data, language) or (row.title, row.body)
    return OwnNotice(
        id=str(row.id),
        kind=row.kind,
        title=title,
        body=body,
        data=msgspec.Raw(row.data.encode()),
        is_mailed="mail" in row.sent.split(),
        is_seen=row.seen_ms is not None,
        created_at=bodies.rfc3339(row.created_ms) or "",
    )
