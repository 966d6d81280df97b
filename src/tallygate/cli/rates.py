"""tallygate rate: how many points a US dollar is."""

import asyncio
from typing import Annotated

import typer

from tallygate.cli import options, output
from tallygate.cli.failures import Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.rates import exchange_rate, rate_change
from tallygate.core.money import format_points
from tallygate.core.price_commands import RateView, SetRate
from tallygate.store import prices

app = typer.Typer(no_args_is_help=True)


@app.command()
def show(data: options.Data = None, as_json: options.Json = False) -> None:
    """The rate in effect."""
    with as_faults():
        found = asyncio.run(_all(open_session(data)))
        if not found:
            raise Fault("no exchange rate is set")
    _print(found[0], as_json)


@app.command("set")
def set_rate(
    rate: Annotated[str, typer.Argument(help="Points for a US dollar.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the rate.")] = "",
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Set the rate, for every use from now on; what is billed stays as it is."""
    change = SetRate(rate=rate, reason=reason)
    with as_faults():
        made = asyncio.run(open_session(data).order(change, RateView))
    _print(made, as_json)


@app.command()
def history(data: options.Data = None, as_json: options.Json = False) -> None:
    """Every rate there was, with who set it and why."""
    with as_faults():
        found = asyncio.run(_all(open_session(data)))
    if as_json:
        output.print_json([rate_change(one) for one in found])
        return
    output.print_table(
        ("when", "points for 1 USD", "before", "by", "reason"),
        (
            (
                output.moment(one.created_ms),
                format_points(one.micros_per_usd),
                "" if one.old_micros_per_usd is None else format_points(one.old_micros_per_usd),
                one.actor,
                one.reason,
            )
            for one in found
        ),
        "no exchange rate was ever set",
    )


async def _all(session: Session) -> list[RateView]:
    async with session.database() as database, database.reading() as tx:
        return await prices.rate_history(tx)


def _print(view: RateView, as_json: bool) -> None:
    if as_json:
        output.print_json(exchange_rate(view))
    else:
        output.print_line(f"1 USD is {format_points(view.micros_per_usd)} points")
