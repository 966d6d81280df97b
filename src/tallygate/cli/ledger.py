"""tallygate ledger: the proof of the books, and of any single charge."""

import asyncio
from typing import Annotated

import msgspec
import typer

from tallygate.cli import options, output
from tallygate.cli.failures import FAILED, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.core.charging import charge_id_of, consumption_id
from tallygate.core.ledger import Checker, Difference
from tallygate.core.money import format_points
from tallygate.core.pricing import Cost
from tallygate.core.replay import Pinned, Unreplayable, Versions, explain, replay
from tallygate.store import ledger_check

app = typer.Typer(no_args_is_help=True)


class Proof(msgspec.Struct, kw_only=True):
    wallets: int
    entries: int
    charges: int
    differences: list[Difference]


@app.command()
def verify(data: options.Data = None, as_json: options.Json = False) -> None:
    """Prove every balance and every charge, also beside a running server; 1 if one is wrong."""
    found: list[Difference] = []

    def report(difference: Difference) -> None:
        found.append(difference)
        if not as_json:
            output.print_line(str(difference))

    with as_faults():
        checker = asyncio.run(_verify(open_session(data), report))
    if as_json:
        output.print_json(
            Proof(
                wallets=checker.wallets,
                entries=checker.entries,
                charges=checker.charges,
                differences=found,
            )
        )
    said = "zero difference" if not found else f"{len(found)} differences"
    output.say(
        f"{checker.charges} charges, {checker.entries} entries, {checker.wallets} wallets: {said}"
    )
    if found:
        raise typer.Exit(FAILED)


async def _verify(session: Session, report: ledger_check.Report) -> Checker:
    async with session.database() as database, database.reading() as tx:
        return await ledger_check.check(tx, report)


@app.command("replay")
def replay_charge(
    charge: Annotated[str, typer.Argument(help="As cons_7, or its number.")],
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Compute a charge again from the versions that it pins; 1 if it comes out otherwise."""
    number = charge_id_of(charge)
    with as_faults():
        if number is None:
            raise Fault("no such charge")
        pinned, versions = asyncio.run(_pinned(open_session(data), number))
    try:
        lines, again = list(explain(pinned, versions)), replay(pinned, versions)
    except Unreplayable as error:
        raise Fault(f"{consumption_id(pinned.id)} can not be computed again: {error}") from None
    is_same = again in (None, Cost(pinned.micros, pinned.output_micros))
    if as_json:
        micros = pinned.micros if again is None else again.micros
        output.print_json(
            {
                "charge_id": consumption_id(pinned.id),
                "state": pinned.state,
                "points_micros": pinned.micros,
                "replayed_micros": micros,
                "is_same": is_same,
                "computation": lines,
            }
        )
    else:
        output.print_line(f"{consumption_id(pinned.id)}: {pinned.model or 'no model'}")
        for line in lines:
            output.print_line(line)
        said = "as it was charged" if is_same else "NOT as it was charged"
        output.print_line(f"{said}: {format_points(pinned.micros)} points")
    if not is_same:
        raise typer.Exit(FAILED)


async def _pinned(session: Session, charge_id: int) -> tuple[Pinned, Versions]:
    async with session.database() as database, database.reading() as tx:
        pinned = await ledger_check.find_pinned(tx, charge_id)
        if pinned is None:
            raise Fault("no such charge")
        return pinned, await ledger_check.read_versions(tx)
