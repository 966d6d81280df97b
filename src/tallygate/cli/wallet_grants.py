"""The part of `tallygate wallet` that is about grants and holds."""

import asyncio
from typing import Annotated

import typer

from tallygate.cli import options, output, points
from tallygate.cli.failures import Fault, as_faults
from tallygate.cli.session import Session, open_session, order
from tallygate.control import grants as api_grants
from tallygate.control import holds as api_holds
from tallygate.core.charging import consumption_id
from tallygate.core.money import format_points
from tallygate.core.wallet_commands import (
    CaptureHold,
    GrantPoints,
    GrantView,
    HoldView,
    PlaceHold,
    ReleaseHold,
    VoidGrant,
)
from tallygate.store import wallet_views
from tallygate.store.database import Tx

LIST_MAX = 1000

Amount = Annotated[str, typer.Argument(help="As 12 or 0.000001.")]
Number = Annotated[int, typer.Argument(help="Its number.")]
Limit = Annotated[int, typer.Option(min=1, max=LIST_MAX, help="How many, the newest first.")]
Owner = Annotated[str, typer.Option(help="Whose hold it has to be; anybody's if not given.")]


def register(app: typer.Typer) -> None:
    app.command()(grant)
    app.command()(grants)
    app.command("void-grant")(void_grant)
    app.command()(hold)
    app.command()(holds)
    app.command()(capture)
    app.command()(release)


def grant(
    user: options.User,
    amount: Amount,
    category: Annotated[str, typer.Option(help="`paid` or `promotional`.")] = "promotional",
    priority: Annotated[int, typer.Option(help="Lower is spent first.")] = 0,
    expires: options.End = None,
    reason: options.Reason = "",
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Add money that is spent before the rest, and perhaps ends."""
    change = GrantPoints(
        account_id=user,
        micros=points.read(amount),
        category=category,
        priority=priority,
        expires_ms=points.moment_ms(expires),
        reason=reason,
    )
    _print_grants([order(data, change, GrantView, once)], as_json, is_one=True)


def grants(
    user: options.User,
    limit: Limit = 50,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """A user's grants."""
    with as_faults():
        found = asyncio.run(_grants(open_session(data), user, limit))
    _print_grants(found, as_json)


def void_grant(
    grant: Number,
    reason: options.Reason = "",
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """End a grant now; what is held of it ends when it is let go."""
    change = VoidGrant(grant_id=grant, reason=reason)
    _print_grants([order(data, change, GrantView, once)], as_json, is_one=True)


def hold(
    user: options.User,
    amount: Amount,
    owner: Annotated[str, typer.Option(help="Who may charge it or let it go.")],
    minutes: Annotated[int, typer.Option(min=1, help="Let go by itself after that long.")] = 60,
    reason: options.Reason = "",
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Set money aside that is free."""
    change = PlaceHold(
        account_id=user,
        micros=points.read(amount),
        owner=owner,
        lasts_ms=minutes * 60_000,
        reason=reason,
    )
    _print_holds([order(data, change, HoldView, once)], as_json, is_one=True)


def holds(
    user: options.User,
    limit: Limit = 50,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """A user's holds."""
    with as_faults():
        found = asyncio.run(_holds(open_session(data), user, limit))
    _print_holds(found, as_json)


def capture(
    hold: Number,
    amount: Annotated[
        str | None, typer.Option("--points", help="A part of it; all of it by default.")
    ] = None,
    owner: Owner = "",
    reason: options.Reason = "",
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Charge a hold; what is not charged is free again."""
    micros = None if amount is None else points.read(amount)
    change = CaptureHold(hold_id=hold, micros=micros, owner=owner, reason=reason)
    _print_holds([order(data, change, HoldView, once)], as_json, is_one=True)


def release(
    hold: Number,
    owner: Owner = "",
    reason: options.Reason = "",
    once: options.Once = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Let a hold go."""
    change = ReleaseHold(hold_id=hold, owner=owner, reason=reason)
    _print_holds([order(data, change, HoldView, once)], as_json, is_one=True)


async def _wallet_id(tx: Tx, user: str) -> int:
    found = await wallet_views.find_wallet(tx, user)
    if found is None:
        raise Fault("no such user")
    return found.id


async def _grants(session: Session, user: str, limit: int) -> list[GrantView]:
    async with session.database() as database, database.reading() as tx:
        wallet_id = await _wallet_id(tx, user)
        return (await wallet_views.page_of_grants(tx, wallet_id, limit=limit, before_id=None))[0]


async def _holds(session: Session, user: str, limit: int) -> list[HoldView]:
    async with session.database() as database, database.reading() as tx:
        wallet_id = await _wallet_id(tx, user)
        return (await wallet_views.page_of_holds(tx, wallet_id, limit=limit, before_id=None))[0]


def _print_grants(found: list[GrantView], as_json: bool, *, is_one: bool = False) -> None:
    if as_json:
        shown = [api_grants.shown(view) for view in found]
        output.print_json(shown[0] if is_one else shown)
        return
    output.print_table(
        ("id", "user", "category", "priority", "points", "left", "ends", "void"),
        (
            (
                *(view.id, view.account_id, view.category, view.priority),
                *(format_points(view.amount_micros), format_points(view.left_micros)),
                output.moment(view.expires_ms),
                "yes" if view.voided_ms else "no",
            )
            for view in found
        ),
        "no grants",
    )


def _print_holds(found: list[HoldView], as_json: bool, *, is_one: bool = False) -> None:
    if as_json:
        shown = [api_holds.shown(view) for view in found]
        output.print_json(shown[0] if is_one else shown)
        return
    output.print_table(
        ("id", "user", "points", "owner", "state", "charge", "ends"),
        (
            (
                *(view.id, view.account_id, format_points(view.amount_micros)),
                *(view.owner, view.state),
                "" if view.charge_id is None else consumption_id(view.charge_id),
                output.moment(view.expires_ms),
            )
            for view in found
        ),
        "no holds",
    )
