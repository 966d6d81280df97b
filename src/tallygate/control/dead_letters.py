"""/api/dead-letters: what was refused although money was at stake, to look at and to send again."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies, charges, lists
from tallygate.control.charges import Charge
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.billing_commands import DismissLetter, LetterView, Replayed, ReplayLetter
from tallygate.core.charging import consumption_id
from tallygate.core.errors import Code, Refusal
from tallygate.store import dead_letters
from tallygate.store.dead_letters import DISMISSED, OPEN, REPLAYED, Letter

_STATES = (OPEN, REPLAYED, DISMISSED)
_QUERY = {"state": ", ".join(_STATES)}


class Why(bodies.Body, kw_only=True):
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""


class DeadLetter(msgspec.Struct, kw_only=True):
    """`code` and `message` say why it was refused; `deliveries` how often it came.

    `payload` is what came, without what looked like a secret. `app` and `user_id` are what was
    named beside it. `charge_id` is what it conflicts with, or what it became.
    """

    id: str
    state: str
    source: str
    app: str
    user_id: str
    code: str
    message: str
    payload: str
    deliveries: int
    charge_id: str | None
    received_at: str
    seen_at: str


class LetterState(msgspec.Struct, kw_only=True):
    id: str
    state: str
    code: str
    message: str
    charge_id: str | None


class ReplayedLetter(msgspec.Struct, kw_only=True):
    letter: LetterState
    charges: list[Charge]


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/dead-letters", tags=["charges"])
    _reading(router, parts)
    _deciding(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    @router.get("", **described(lists.Page[DeadLetter], query=_QUERY))
    async def list_dead_letters(
        request: Request, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """Dead letters, the newest first."""
        size, before_id = lists.read_limit(limit), lists.read_cursor(cursor)
        state = request.query_params.get("state")
        if state is not None and state not in _STATES:
            known = ", ".join(_STATES)
            raise Refusal(Code.BAD_REQUEST, f"`state`: use one of {known}", param="state")
        async with parts.database.reading() as tx:
            total = await dead_letters.count(tx, state=state)
            rows = await dead_letters.page(tx, limit=size + 1, before_id=before_id, state=state)
        items = [_shown(row) for row in rows[:size]]
        following = items[-1].id if len(rows) > size else None
        return bodies.answer(lists.Page(items=items, total=total, next=following))

    @router.get("/{letter_id}", **described(DeadLetter))
    async def show_dead_letter(letter_id: str) -> Response:
        """One dead letter."""
        async with parts.database.reading() as tx:
            found = await dead_letters.find(tx, _read_id(letter_id))
        if found is None:
            raise Refusal(Code.NOT_FOUND, "there is no such dead letter")
        return bodies.answer(_shown(found))


def _deciding(router: APIRouter, parts: Parts) -> None:
    @router.post("/{letter_id}/replay", **described(ReplayedLetter))
    async def replay_dead_letter(request: Request, letter_id: str) -> Response:
        """Send it in again, by the prices of now and whatever its age; refused as it would be."""
        change = ReplayLetter(letter_id=_read_id(letter_id))
        replayed = await order(parts.clerk, request, change, Replayed)
        made = [charges.shown(view) for view in replayed.charges]
        return bodies.answer(ReplayedLetter(letter=_state(replayed.letter), charges=made))

    @router.post("/{letter_id}/dismiss", **described(LetterState, body=Why))
    async def dismiss_dead_letter(request: Request, letter_id: str) -> Response:
        """Nothing will be charged for it."""
        body = await bodies.read(request, Why)
        change = DismissLetter(letter_id=_read_id(letter_id), reason=body.reason)
        return bodies.answer(_state(await order(parts.clerk, request, change, LetterView)))


def _read_id(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    raise Refusal(Code.NOT_FOUND, "there is no such dead letter")


def _state(view: LetterView) -> LetterState:
    return LetterState(
        id=str(view.id),
        state=view.state,
        code=view.code,
        message=view.message,
        charge_id=None if view.charge_id is None else consumption_id(view.charge_id),
    )


def _shown(letter: Letter) -> DeadLetter:
    return DeadLetter(
        id=str(letter.id),
        state=letter.state,
        source=letter.source,
        app=letter.app,
        user_id=letter.account_id,
        code=letter.code,
        message=letter.message,
        payload=letter.payload,
        deliveries=letter.deliveries,
        charge_id=None if letter.charge_id is None else consumption_id(letter.charge_id),
        received_at=bodies.rfc3339(letter.received_ms) or "",
        seen_at=bodies.rfc3339(letter.seen_ms) or "",
    )
