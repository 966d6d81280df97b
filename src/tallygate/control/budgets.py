"""/api/budgets and /api/notices: what is meant to be spent, and what was told."""

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import amounts, bodies, lists
from tallygate.control.amounts import Points, PointsIn
from tallygate.control.languages import language_of
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.control.users import Language
from tallygate.control.wallets import read_id
from tallygate.core.budget import OF_MEMBERS
from tallygate.core.errors import Code, Refusal
from tallygate.core.operator_wording import worded_for_operators
from tallygate.core.wallet_commands import BudgetView, CreateBudget, DeleteBudget, PatchBudget
from tallygate.core.windows import Span, window_at
from tallygate.store import budgets, notices
from tallygate.store.notices import Notice as NoticeRow

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class NewBudget(bodies.Body, kw_only=True):
    """Of a user or of a team. Told when 50, 80 and 100 percent are spent; nothing is refused."""

    points: PointsIn
    span: Literal["day", "month", "total"]
    user_id: Name | None = None
    team_id: Name | None = None
    zone: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class BudgetChange(bodies.Body, kw_only=True):
    points: PointsIn


class Budget(msgspec.Struct, kw_only=True):
    """`spent` in the window of now; `told_percent` is the highest that was told of in it."""

    id: str
    user_id: str | None
    team_id: str | None
    span: str
    zone: str
    points: Points
    points_micros: int
    spent: Points
    spent_micros: int
    told_percent: int
    created_at: str


class Notice(msgspec.Struct, kw_only=True):
    """`state`: waiting to be told, told, or failed for good; `sent_by` are the ways it went."""

    id: str
    kind: str
    user_id: str | None
    title: str
    body: str
    data: msgspec.Raw
    state: Literal["waiting", "told", "failed"]
    sent_by: list[str]
    attempts: int
    error: str
    created_at: str
    next_at: str | None


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["budgets"])
    _reading(router, parts)
    _changing(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    @router.get("/budgets", **described(lists.Page[Budget]))
    async def list_budgets(
        limit: str | None = None,
        cursor: str | None = None,
        user_id: str | None = None,
        team_id: str | None = None,
    ) -> Response:
        """Every budget, or those of a user or a team."""
        subject = None
        if user_id is not None or team_id is not None:
            subject = _subject(user_id, team_id)
        now_ms = await parts.database.clock_ms()
        async with parts.database.reading() as tx:
            found = await budgets.list_budgets(tx, subject)
        page = lists.cut([shown(as_of(one, now_ms)) for one in found], limit, cursor)
        return bodies.answer(page)

    @router.get("/notices", **described(lists.Page[Notice]))
    async def list_notices(
        request: Request,
        limit: str | None = None,
        cursor: str | None = None,
        user_id: str | None = None,
        language: Language | None = None,
    ) -> Response:
        """What somebody was to hear of, the newest first; in the language that is asked for, or in
        the caller's own. What members hear of their teams' budgets is shown by `user_id` only."""
        size, before_id = lists.read_limit(limit), lists.read_cursor(cursor)
        spoken = await language_of(parts, request, language)
        async with parts.database.reading() as tx:
            rows, total = await notices.page(
                tx,
                limit=size + 1,
                before_id=before_id,
                account_id=user_id,
                without=OF_MEMBERS if user_id is None else (),
            )
        items = [_notice(row, spoken) for row in rows[:size]]
        following = items[-1].id if len(rows) > size else None
        return bodies.answer(lists.Page(items=items, total=total, next=following))


def _changing(router: APIRouter, parts: Parts) -> None:
    async def change(
        request: Request, command: CreateBudget | PatchBudget | DeleteBudget
    ) -> Budget:
        done = await order(parts.clerk, request, command, BudgetView)
        return shown(as_of(done, await parts.database.clock_ms()))

    @router.post("/budgets", **described(Budget, status=201, body=NewBudget))
    async def create_budget(request: Request) -> Response:
        """Say how much is meant to be spent in a day, a month, or in all."""
        body = await bodies.read(request, NewBudget)
        kind, subject_id = _subject(body.user_id, body.team_id)
        command = CreateBudget(
            subject_kind=kind,
            subject_id=subject_id,
            span=body.span,
            micros=amounts.read_points(body.points),
            zone=body.zone,
        )
        return bodies.answer(await change(request, command), 201)

    @router.patch("/budgets/{budget_id}", **described(Budget, body=BudgetChange))
    async def change_budget(request: Request, budget_id: str) -> Response:
        """Another amount; what is spent stays, and what becomes untrue is told again."""
        body = await bodies.read(request, BudgetChange)
        micros = amounts.read_points(body.points)
        command = PatchBudget(budget_id=read_id(budget_id), micros=micros)
        return bodies.answer(await change(request, command))

    @router.delete("/budgets/{budget_id}", **described(Budget))
    async def delete_budget(request: Request, budget_id: str) -> Response:
        """Nobody is told of it any more."""
        command = DeleteBudget(budget_id=read_id(budget_id))
        return bodies.answer(await change(request, command))


def _subject(user_id: str | None, team_id: str | None) -> tuple[str, str]:
    if (user_id is None) == (team_id is None):
        raise Refusal(Code.BAD_REQUEST, "`user_id`: name a user or a team", param="user_id")
    return (budgets.USER, user_id) if user_id is not None else (budgets.TEAM, team_id or "")


def as_of(view: BudgetView, now_ms: int) -> BudgetView:
    """In the window of now nothing is spent yet of one that is over."""
    if view.window_s >= window_at(Span(view.span), view.zone, now_ms // 1000)[0]:
        return view
    return msgspec.structs.replace(view, spent_micros=0, told_percent=0)


def shown(view: BudgetView) -> Budget:
    return Budget(
        id=str(view.id),
        user_id=view.subject_id if view.subject_kind == budgets.USER else None,
        team_id=view.subject_id if view.subject_kind == budgets.TEAM else None,
        span=view.span,
        zone=view.zone,
        points=amounts.points(view.amount_micros),
        points_micros=view.amount_micros,
        spent=amounts.points(view.spent_micros),
        spent_micros=view.spent_micros,
        told_percent=view.told_percent,
        created_at=bodies.rfc3339(view.created_ms) or "",
    )


def _notice(row: NoticeRow, language: str) -> Notice:
    said = worded_for_operators(row.kind, row.data, language)
    title, body = said or (row.title, row.body)
    return Notice(
        id=str(row.id),
        kind=row.kind,
        user_id=row.account_id,
        title=title,
        body=body,
        data=msgspec.Raw(row.data.encode()),
        state="waiting" if row.next_ms is not None else "failed" if row.error else "told",
        sent_by=row.sent.split(),
        attempts=row.attempts,
        error=row.error,
        created_at=bodies.rfc3339(row.created_ms) or "",
        next_at=bodies.rfc3339(row.next_ms),
    )
