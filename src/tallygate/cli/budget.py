"""tallygate budget: what users and teams mean to spend."""

import asyncio
from typing import Annotated

import typer

from tallygate.cli import options, output, points
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.cli.session import order as ordered
from tallygate.control import budgets as api
from tallygate.core.money import format_points
from tallygate.core.wallet_commands import BudgetView, CreateBudget, DeleteBudget, PatchBudget
from tallygate.store import budgets

app = typer.Typer(no_args_is_help=True)

Budget = Annotated[int, typer.Argument(help="Its number.")]
Amount = Annotated[str, typer.Argument(help="In points.")]


@app.command()
def create(
    amount: Amount,
    span: Annotated[str, typer.Argument(help="`day`, `month` or `total`.")],
    user: Annotated[str, typer.Option(help="Whose it is: a user's,")] = "",
    team: Annotated[str, typer.Option(help="or a team's.")] = "",
    zone: Annotated[
        str, typer.Option(help="Where days begin; TALLYGATE_TIME_ZONE if not given.")
    ] = "",
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Be told when 50, 80 and 100 percent are spent; nothing is refused."""
    if bool(user) == bool(team):
        raise Fault("name a --user or a --team", USAGE)
    change = CreateBudget(
        subject_kind=budgets.USER if user else budgets.TEAM,
        subject_id=user or team,
        span=span,
        micros=points.read(amount),
        zone=zone or None,
    )
    _print([ordered(data, change, BudgetView, once)], as_json, is_one=True)


@app.command("list")
def list_budgets(data: options.Data = None, as_json: options.Json = False) -> None:
    """Every budget."""
    with as_faults():
        found = asyncio.run(_all(open_session(data)))
    _print(found, as_json)


@app.command()
def change(
    budget: Budget,
    amount: Amount,
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Another amount; what is spent stays."""
    wanted = PatchBudget(budget_id=budget, micros=points.read(amount))
    _print([ordered(data, wanted, BudgetView, once)], as_json, is_one=True)


@app.command()
def delete(
    budget: Budget,
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Nobody is told of it any more."""
    gone = ordered(data, DeleteBudget(budget_id=budget), BudgetView, once)
    _print([gone], as_json, is_one=True)


async def _all(session: Session) -> list[BudgetView]:
    async with session.database() as database:
        now_ms = await database.clock_ms()
        async with database.reading() as tx:
            return [api.as_of(one, now_ms) for one in await budgets.list_budgets(tx)]


def _print(found: list[BudgetView], as_json: bool, *, is_one: bool = False) -> None:
    if as_json:
        shown = [api.shown(view) for view in found]
        output.print_json(shown[0] if is_one else shown)
        return
    output.print_table(
        ("id", "of", "per", "points", "spent", "told of"),
        (
            (
                *(view.id, f"{view.subject_kind} {view.subject_id}", f"{view.span} ({view.zone})"),
                *(format_points(view.amount_micros), format_points(view.spent_micros)),
                f"{view.told_percent} %",
            )
            for view in found
        ),
        "no budgets yet: `tallygate budget create` makes one",
    )
