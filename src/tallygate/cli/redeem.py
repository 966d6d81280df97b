"""tallygate redeem: codes that become points."""

import asyncio
from typing import Annotated

import typer

from tallygate.cli import options, output, points
from tallygate.cli.failures import Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.cli.session import order as ordered
from tallygate.control import redeem as api
from tallygate.core.money import format_points
from tallygate.core.wallet_commands import (
    BatchView,
    CreateBatch,
    RedeemCode,
    RedeemedView,
    VoidBatch,
)
from tallygate.store import redeem as codes_of
from tallygate.store.redeem import CodeView

app = typer.Typer(no_args_is_help=True)

Batch = Annotated[int, typer.Argument(help="The batch's number.")]


@app.command()
def create(
    count: Annotated[int, typer.Argument(min=1, max=api.CODES_MAX, help="How many codes.")],
    amount: Annotated[str, typer.Argument(help="What each is worth, in points.")],
    label: Annotated[str, typer.Option(help="What the batch is for.")] = "",
    expires: options.End = None,
    grant_days: Annotated[
        int | None, typer.Option(min=1, help="The points end so many days after redeeming.")
    ] = None,
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Make codes and print them, one a line. They are never shown again."""
    change = CreateBatch(
        count=count,
        micros=points.read(amount),
        label=label,
        expires_ms=points.moment_ms(expires),
        grant_days=grant_days,
    )
    made = ordered(data, change, BatchView, once)
    if as_json:
        output.print_json(api.shown(made))
        return
    for code in made.codes or ():
        output.print_line(code)
    output.say(f"batch {made.id}: {count} codes of {format_points(made.amount_micros)} points")


@app.command("list")
def list_batches(data: options.Data = None, as_json: options.Json = False) -> None:
    """Every batch, the newest first."""
    with as_faults():
        found = asyncio.run(_batches(open_session(data)))
    _print_batches(found, as_json)


@app.command()
def codes(batch: Batch, data: options.Data = None, as_json: options.Json = False) -> None:
    """The codes of a batch, masked, and who redeemed them."""
    with as_faults():
        found = asyncio.run(_codes(open_session(data), batch))
    if as_json:
        output.print_json([api.masked(one) for one in found])
        return
    output.print_table(
        ("code", "user", "redeemed"),
        ((one.masked, one.account_id or "", output.moment(one.redeemed_ms)) for one in found),
        "no codes",
    )


@app.command()
def void(
    batch: Batch,
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """No code of a batch can be redeemed from now on."""
    done = ordered(data, VoidBatch(batch_id=batch), BatchView, once)
    if as_json:
        output.print_json(api.shown(done))
    else:
        output.print_line(f"batch {batch} is void; {done.redeemed} of its codes were redeemed")


@app.command()
def redeem(
    user: options.User,
    code: Annotated[str, typer.Argument(help="The code, in any case, with dashes or without.")],
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Redeem a code for a user."""
    done = ordered(data, RedeemCode(account_id=user, code=code), RedeemedView, once)
    if as_json:
        output.print_json(api.redeemed(done))
        return
    output.print_line(
        f"{format_points(done.amount_micros)} points for {user}, "
        f"who has {format_points(done.balance_micros)} now"
    )


async def _batches(session: Session) -> list[BatchView]:
    async with session.database() as database, database.reading() as tx:
        return await codes_of.list_batches(tx)


async def _codes(session: Session, batch_id: int) -> list[CodeView]:
    async with session.database() as database, database.reading() as tx:
        if await codes_of.find(tx, batch_id) is None:
            raise Fault("no such batch")
        return await codes_of.list_codes(tx, batch_id)


def _print_batches(found: list[BatchView], as_json: bool) -> None:
    if as_json:
        output.print_json([api.shown(view) for view in found])
        return
    output.print_table(
        ("id", "label", "points", "codes", "redeemed", "ends", "grant days", "void"),
        (
            (
                *(view.id, view.label, format_points(view.amount_micros), view.count),
                *(view.redeemed, output.moment(view.expires_ms), view.grant_days or ""),
                "yes" if view.voided_ms else "no",
            )
            for view in found
        ),
        "no batches yet: `tallygate redeem create` makes one",
    )
