"""tallygate wallet: balances, what changes them, and the ledger that explains them."""

import asyncio
from typing import Annotated

import msgspec
import typer

from tallygate.cli import options, output, points, wallet_grants
from tallygate.cli.failures import Fault, as_faults
from tallygate.cli.session import Session, open_session, order
from tallygate.control import holds, wallets
from tallygate.core.charging import charge_id_of, consumption_id
from tallygate.core.commands import Settle
from tallygate.core.money import format_points
from tallygate.core.wallet_commands import (
    AdjustWallet,
    ConfigureWallet,
    RefundCharge,
    RefundView,
    TopUpWallet,
    WalletView,
)
from tallygate.store import wallet_views
from tallygate.store.wallet_views import EntryView

LIST_MAX = 1000
SIGNED = {"ignore_unknown_options": True}  # «-5» is a number, not an option

app = typer.Typer(no_args_is_help=True)

Points = Annotated[str, typer.Argument(help="As 12 or 0.000001.")]
Limit = Annotated[int, typer.Option(min=1, max=LIST_MAX, help="How many, the newest first.")]


class Settled(msgspec.Struct):
    stale: list[str]


@app.command()
def show(user: options.User, data: options.Data = None, as_json: options.Json = False) -> None:
    """A user's balance; beside a running server, with everything answered until now."""
    with as_faults():
        session = open_session(data)
        view, stale = asyncio.run(_settled(session, user))
    if stale:
        output.say(f"may be missing still: {', '.join(stale)}")
    _print_wallet(view, as_json)


async def _settled(session: Session, user: str) -> tuple[WalletView, list[str]]:
    settled = Settled([])
    if session.is_served:
        settled = await session.order(Settle(), Settled)
    async with session.database() as database, database.reading() as tx:
        found = await wallet_views.find_wallet(tx, user)
    if found is None:
        raise Fault("no such user")
    return found, settled.stale


@app.command("list")
def list_wallets(data: options.Data = None, as_json: options.Json = False) -> None:
    """Every wallet."""
    with as_faults():
        found = asyncio.run(_all(open_session(data)))
    if as_json:
        output.print_json([wallets.shown(view) for view in found])
        return
    output.print_table(
        ("user", "balance", "held", "leased", "free", "of grants", "floor", "warn below"),
        (
            (
                view.account_id,
                *map(
                    format_points,
                    (
                        *(view.balance_micros, view.held_micros, view.leased_micros),
                        *(view.free_micros, view.granted_micros, view.floor_micros),
                    ),
                ),
                "" if view.warn_micros is None else format_points(view.warn_micros),
            )
            for view in found
        ),
        "no wallets yet: each user has one",
    )


async def _all(session: Session) -> list[WalletView]:
    found: list[WalletView] = []
    async with session.database() as database, database.reading() as tx:
        while some := await wallet_views.list_wallets(
            tx, limit=LIST_MAX, after_id=found[-1].id if found else 0
        ):
            found += some
    return found


@app.command("top-up")
def top_up(
    user: options.User,
    amount: Points,
    reason: options.Reason = "",
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Add ordinary money."""
    change = TopUpWallet(account_id=user, micros=points.read(amount), reason=reason)
    _print_wallet(order(data, change, WalletView, once), as_json)


@app.command(context_settings=SIGNED)
def adjust(
    user: options.User,
    amount: Annotated[str, typer.Argument(help="As 5 or -5.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also below the floor, and what is held or leased.")
    ] = False,
    reason: options.Reason = "",
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Correct a balance, up, or down to the wallet's floor."""
    change = AdjustWallet(
        account_id=user, micros=points.read(amount), reason=reason, is_forced=force
    )
    _print_wallet(order(data, change, WalletView, once), as_json)


@app.command(context_settings=SIGNED)
def configure(
    user: options.User,
    floor: Annotated[
        str | None, typer.Option(help="0, or below: how far it may be overdrawn.")
    ] = None,
    warn_below: Annotated[
        str | None, typer.Option(help="The balance below which to warn, or `never`.")
    ] = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Set how far a wallet may be overdrawn, and when to warn of a low balance."""
    change = ConfigureWallet(account_id=user)
    if floor is not None:
        change.floor_micros = points.read(floor)
    if warn_below is not None:
        change.warn_micros = None if warn_below == "never" else points.read(warn_below)
    _print_wallet(order(data, change, WalletView, None), as_json)


@app.command()
def ledger(
    user: options.User,
    limit: Limit = 50,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """What changed a balance, the newest first."""
    with as_faults():
        found = asyncio.run(_entries(open_session(data), user, limit))
    if as_json:
        output.print_json([wallets.entry(view) for view in found])
        return
    output.print_table(
        ("at", "kind", "points", "held", "balance", "charge", "by", "reason"),
        (
            (
                output.moment(view.at_ms),
                view.kind,
                *map(format_points, (view.amount_micros, view.held_micros, view.balance_micros)),
                "" if view.charge_id is None else consumption_id(view.charge_id),
                view.actor,
                view.reason,
            )
            for view in found
        ),
        "nothing has changed this balance yet",
    )


async def _entries(session: Session, user: str, limit: int) -> list[EntryView]:
    async with session.database() as database, database.reading() as tx:
        wallet = await wallet_views.find_wallet(tx, user)
        if wallet is None:
            raise Fault("no such user")
        return (await wallet_views.page_of_ledger(tx, wallet.id, limit=limit, after_id=None))[0]


@app.command()
def refund(
    charge: Annotated[str, typer.Argument(help="As cons_7, or its number.")],
    amount: Annotated[
        str | None, typer.Option("--points", help="A part of it; all that is left by default.")
    ] = None,
    reason: options.Reason = "",
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Give back a charge, or a part of it."""
    number = charge_id_of(charge)
    if number is None:
        raise Fault("no such charge")
    micros = None if amount is None else points.read(amount)
    change = RefundCharge(charge_id=number, micros=micros, reason=reason)
    done = order(data, change, RefundView, once)
    if as_json:
        output.print_json(holds.refund(done))
        return
    output.print_line(
        f"refunded {format_points(done.now_refunded_micros)} points of {charge}; "
        f"{done.account_id} has {format_points(done.balance_micros)}"
    )


def _print_wallet(view: WalletView, as_json: bool) -> None:
    if as_json:
        output.print_json(wallets.shown(view))
        return
    output.print_line(f"{view.account_id}: {format_points(view.balance_micros)} points")
    for name, micros in (
        ("held", view.held_micros),
        ("leased to gateways", view.leased_micros),
        ("of grants", view.granted_micros),
        ("may be overdrawn down to", view.floor_micros),
    ):
        if micros:
            output.print_line(f"  {name}: {format_points(micros)}")


wallet_grants.register(app)
