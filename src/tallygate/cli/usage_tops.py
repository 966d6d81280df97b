"""tallygate usage …: who and what is used most or never, what it will cost, and exports."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from tallygate.cli import options, output
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.cli.usage_questions import (
    FIGURES,
    Days,
    Hours,
    Limit,
    Model,
    Route,
    Team,
    Token,
    ask,
    days_left,
    figures,
    read,
    settle,
    who,
)
from tallygate.control import usage_export, usage_money, usage_tops
from tallygate.control.price_shelf import PriceShelf
from tallygate.control.usage_question import Asked
from tallygate.core.errors import Refusal
from tallygate.core.money import format_points
from tallygate.store.analytics import Per


def add_to(app: typer.Typer) -> None:
    for command in (top_tokens, top_routes, top_models, unused, forecast, advice, export):
        app.command()(command)


def top_tokens(
    days: Days = None,
    hours: Hours = None,
    rank: Annotated[str, typer.Option(help="What counts: uses, tokens or points.")] = "uses",
    team: Team = None,
    route: Route = None,
    model: Model = None,
    limit: Limit = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """The keys and tokens that are used most."""
    if rank not in usage_tops.RANKS:
        raise Fault(f"--rank: use one of {', '.join(usage_tops.RANKS)}", USAGE)
    given = {"days": days, "hours": hours, "team": team, "route": route, "model": model}
    asked = {**given, "limit": limit}
    found = ask(data, asked, lambda of: usage_tops.top_tokens(of, rank))
    if as_json:
        output.print_json(found)
        return
    rows = [(*who(one.token), *figures(one), f"{one.share:.1%}") for one in found.items]
    output.print_table(("id", "name", "team", *FIGURES, "share"), rows, "nothing was used")


def top_routes(
    days: Days = None,
    hours: Hours = None,
    team: Team = None,
    token: Token = None,
    model: Model = None,
    limit: Limit = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """The routes that are used most."""
    given = {"days": days, "hours": hours, "team": team, "token": token, "model": model}
    _print_names(data, {**given, "limit": limit}, Per.ROUTE, as_json)


def top_models(
    days: Days = None,
    hours: Hours = None,
    team: Team = None,
    token: Token = None,
    route: Route = None,
    limit: Limit = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """The models that are used most."""
    given = {"days": days, "hours": hours, "team": team, "token": token, "route": route}
    _print_names(data, {**given, "limit": limit}, Per.MODEL, as_json)


def _print_names(data: Path | None, asked: Mapping[str, object], per: Per, as_json: bool) -> None:
    found = ask(data, asked, lambda of: usage_tops.top_names(of, per))
    if as_json:
        output.print_json(found)
        return
    rows = [(one.name, *figures(one), f"{one.share:.1%}") for one in found.items]
    output.print_table((per.value, *FIGURES, "share"), rows, "nothing was used")


def unused(
    days: Annotated[int, typer.Option(min=1, help="Unused for that many days.")] = 30,
    team: Team = None,
    limit: Limit = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Keys and tokens that were never used, or not for some days."""
    asked = {"days": days, "team": team, "limit": limit or 100}
    found = ask(data, asked, lambda of: usage_tops.unused(of, days))
    if as_json:
        output.print_json(found)
        return
    rows = [(*who(one), "never") for one in found.never]
    rows += [(*who(one), one.last_used or "") for one in found.idle]
    output.print_table(("id", "name", "team", "last used"), rows, "every key is in use")
    output.print_line(
        f"{found.never_total} never used, {found.idle_total} not for {found.days} days"
    )


def forecast(
    days: Days = None,
    limit: Limit = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """When balances and budgets will be used up at the pace of the last days, 30 if not said."""
    found = ask(data, {"days": days or 30, "limit": limit}, usage_money.forecast)
    if as_json:
        output.print_json(found)
        return
    rows: list[tuple[object, ...]] = [
        (f"balance of {one.user_id}", format_points(one.available_micros), days_left(one.days_left))
        for one in found.balances
    ]
    rows += [
        (
            f"budget of {one.subject_kind} {one.subject_id} per {one.span}",
            format_points(one.amount_micros - one.spent_micros),
            days_left(None if one.lasts else one.days_left),
        )
        for one in found.budgets
    ]
    output.print_table(("of", "points left", "days left"), rows, "nobody spends anything")


def advice(
    days: Days = None,
    team: Team = None,
    token: Token = None,
    limit: Limit = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Models that would have cost less for what each key did; by prices only."""
    shelf = PriceShelf()

    async def advise(asked: Asked) -> usage_money.Advice:
        return await usage_money.advice(asked, await shelf.read(asked.tx, asked.now_ms))

    given = {"days": days, "team": team, "token": token, "limit": limit}
    found = ask(data, given, advise)
    if as_json:
        output.print_json(found)
        return
    rows = [
        (
            *(*who(one.token)[:2], one.model, format_points(one.points_micros)),
            *(other.model, format_points(other.points_micros), f"{other.saved_percent} %"),
        )
        for one in found.items
        for other in one.cheaper
    ]
    columns = ("id", "name", "model", "points", "cheaper", "points", "saved")
    output.print_table(columns, rows, "nothing cheaper is known here")


def export(
    days: Days = None,
    month: Annotated[str | None, typer.Option(help="One month such as 2026-02.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="A day; from it on.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="A day, which is included.")] = None,
    per: Annotated[
        str, typer.Option(help="use, or sums by month per token, user or team.")
    ] = "use",
    shape: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
    team: Team = None,
    token: Token = None,
    route: Route = None,
    model: Model = None,
    data: options.Data = None,
) -> None:
    """Write every use as CSV or JSONL to standard output, or sums by month; any size."""
    names = {"days": days, "team": team, "token": token, "route": route, "model": model}
    given = {"month": month, "from": first, "to": last, "per": per, "format": shape}
    with as_faults():
        try:
            wanted = usage_export.order(
                read(names), {name: text for name, text in given.items() if text}
            )
        except Refusal as refusal:
            raise Fault(refusal.message.replace("`", ""), USAGE) from None
        asyncio.run(_write(open_session(data), wanted))


async def _write(session: Session, wanted: usage_export.Order) -> None:
    await settle(session)
    async with session.database() as database:
        now_ms = await database.clock_ms()
        async with database.reading() as tx:
            asked = await usage_export.look_up_order(tx, wanted, session.settings.time_zone, now_ms)
        async for piece in usage_export.pieces(database, wanted, asked):
            sys.stdout.write(piece)
