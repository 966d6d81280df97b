"""What the commands of `tallygate usage` share: their options, how they ask, what rows they print.

Beside a running server everything that was answered until now is settled first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer

from tallygate.cli import output
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.usage_figures import Figures, Named
from tallygate.control.usage_question import Asked, Question, look_up, question
from tallygate.core.commands import Settle
from tallygate.core.errors import Refusal
from tallygate.core.money import format_points

T = TypeVar("T")

Days = Annotated[int | None, typer.Option(help="Today and the days before it.")]
Hours = Annotated[int | None, typer.Option(help="This hour and those before it, not days.")]
By = Annotated[str | None, typer.Option(help="hour or day.")]
Team = Annotated[str | None, typer.Option(help="Keys of this team only, by its id or name.")]
Token = Annotated[str | None, typer.Option(help="This key or token only, by its id or name.")]
Route = Annotated[str | None, typer.Option(help="This route only.")]
Model = Annotated[str | None, typer.Option(help="This model only.")]
Limit = Annotated[int | None, typer.Option(help="How many; 10 if not given.")]

FIGURES = ("uses", "errors", "tokens in", "tokens out", "points", "mean ms")


class Settled(msgspec.Struct):
    stale: list[str]


def ask(data: Path | None, given: Mapping[str, object], find: Callable[[Asked], Awaitable[T]]) -> T:
    """The answer to a question; what is wrong with it is a mistake on the command line."""
    with as_faults():
        asked = read(given)
        return asyncio.run(_ask(open_session(data), asked, find))


def read(given: Mapping[str, object]) -> Question:
    try:
        return question({name: str(one) for name, one in given.items() if one is not None})
    except Refusal as refusal:
        raise Fault(refusal.message.replace("`", ""), USAGE) from None


async def _ask(session: Session, asked: Question, find: Callable[[Asked], Awaitable[T]]) -> T:
    await settle(session)
    async with session.database() as database:
        now_ms = await database.clock_ms()
        async with database.reading() as tx:
            return await find(await look_up(tx, asked, session.settings.time_zone, now_ms))


async def settle(session: Session) -> None:
    """So that what was answered a moment ago counts."""
    session.require_store()
    if session.is_served:
        for name in (await session.order(Settle(), Settled)).stale:
            output.say(f"warning: node {name} did not answer; what it served last is missing")


def figures(one: Figures) -> tuple[object, ...]:
    """The cells under FIGURES."""
    points = format_points(one.points_micros)
    tokens = (one.input_tokens, one.output_tokens)
    return (one.uses, one.errors, *tokens, points, or_blank(one.mean_ms))


def who(token: Named) -> tuple[str, str, str]:
    return token.id, token.label or token.masked or "(gone)", token.team


def or_blank(value: object) -> object:
    return "" if value is None else value


def days_left(days: float | None) -> str:
    return "no end in sight" if days is None else f"{days:g}"
