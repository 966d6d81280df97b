"""/api/user/points/history: what somebody's points went for, newest first, page by page."""

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies, spellings
from tallygate.control.amounts import Points, points
from tallygate.control.openapi import described
from tallygate.control.parts import Parts
from tallygate.control.subjects import subject_of
from tallygate.core.charging import consumption_id
from tallygate.core.errors import Code, Refusal
from tallygate.store import points as asked
from tallygate.store.points import Consumption, Filter

SIZE_DEFAULT = 20
SIZE_MAX = 200
PAGE_MAX = 1_000_000

_QUERY = {
    "page": "from 1 on",
    "page_size": f"{SIZE_DEFAULT} if not given, at most {SIZE_MAX}",
    "from": "a day, or a time with its zone; from it on",
    "to": "a day, which is included, or a time with its zone, which is not",
    "model": "of one model only",
    "user_id": "whose; for the admin token only",
}


class Used(msgspec.Struct, kw_only=True):
    """One use that was charged. `points` as charged; of them `refunded` were given back.

    `balance_after` is null for what an imported system had recorded.
    """

    consumption_id: str = msgspec.field(name="consumptionId")
    model: str
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_cost: Points
    output_cost: Points
    points: Points
    refunded: Points
    balance_after: Points | None
    conversation_id: str
    message_id: str
    source: str
    timestamp: str


class History(msgspec.Struct, kw_only=True):
    """A page of a history, and how many lines it has in all."""

    items: list[Used]
    total: int
    page: int
    page_size: int


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/user/points", tags=["points"])

    @router.get("/history", **described(History, query=_QUERY))
    async def show_history(request: Request) -> Response:
        """What was charged, and what was recorded before an import, newest first."""
        user_id = subject_of(request, spellings.query(request, "user_id"))
        number = _number(request, "page", 1, PAGE_MAX)
        size = _number(request, "page_size", SIZE_DEFAULT, SIZE_MAX)
        wanted = Filter(
            model=spellings.query(request, "model"),
            from_ms=bodies.query_time(request, "from", parts.time_zone),
            before_ms=bodies.query_time(request, "to", parts.time_zone, days_later=1),
        )
        async with parts.database.reading() as tx:
            if await asked.find_funds(tx, user_id, 0) is None:
                raise Refusal(Code.NOT_FOUND, "there is no such user", param="user_id")
            rows, total = await asked.page(
                tx, user_id, wanted, limit=size, offset=(number - 1) * size
            )
        items = [_used(row) for row in rows]
        return bodies.answer(History(items=items, total=total, page=number, page_size=size))

    return router


def _used(row: Consumption) -> Used:
    after = row.balance_micros
    return Used(
        consumption_id=f"past_{row.id}" if row.is_past else consumption_id(row.id),
        model=row.model,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        total_tokens=row.input_tokens + row.output_tokens,
        input_cost=points(row.micros - row.output_micros),
        output_cost=points(row.output_micros),
        points=points(row.micros),
        refunded=points(row.refunded_micros),
        balance_after=None if after is None else points(after),
        conversation_id=row.conversation_id,
        message_id=row.message_id,
        source=row.source,
        timestamp=bodies.rfc3339(row.at_ms) or "",
    )


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = spellings.query(request, name)
    if text is None:
        return default
    if text.isascii() and text.isdecimal() and len(text) <= 8 and 1 <= int(text) <= most:
        return int(text)
    raise Refusal(Code.BAD_REQUEST, f"`{name}`: use a whole number from 1 to {most}", param=name)
