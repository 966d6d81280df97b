"""tallygate users: people's accounts. A password is read from the terminal or from stdin."""

import asyncio
import getpass
import secrets
import sys
from typing import Annotated

import typer

from tallygate.cli import limits, options, output
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.passwords import Passwords
from tallygate.control.users import user
from tallygate.core.account_commands import AccountView, CloseSessions, CreateUser, PatchUser
from tallygate.core.accounts import Role
from tallygate.core.money import format_points
from tallygate.store import accounts

LISTED_MAX = 100_000

app = typer.Typer(no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The account's id.")]
RoleName = Annotated[
    str | None, typer.Option(help=f"One of {', '.join(role.value for role in Role)}.")
]


@app.command("list")
def list_users(
    containing: Annotated[
        str | None, typer.Option("--search", help="A part of id, name or address.")
    ] = None,
    role: RoleName = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Every account, the oldest first."""
    with as_faults():
        found = asyncio.run(_all(open_session(data), containing, _role(role)))
    if as_json:
        output.print_json([user(view) for view in found])
    else:
        _print_users(found)


async def _all(session: Session, containing: str | None, role: str | None) -> list[AccountView]:
    async with session.database() as database, database.reading() as tx:
        found, _ = await accounts.page(tx, limit=LISTED_MAX, role=role, containing=containing)
        return found


@app.command()
def create(
    id_: Annotated[
        str | None, typer.Option("--id", help="What Dify's user_id names; made if not given.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the person is called.")] = "",
    email: Annotated[str | None, typer.Option(help="An address to sign in with.")] = None,
    role: RoleName = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for a password, or read it from stdin.")
    ] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Make an account and its wallet. The first one makes the store, too."""
    change = CreateUser(id=id_, name=name, email=email, role=_role(role) or Role.MEMBER.value)
    with as_faults():
        if password:
            change.password_hash = _ask_password()
        session = open_session(data)
        session.make_store()
        made = asyncio.run(session.order(change, AccountView))
    _print_one(made, as_json)


@app.command()
def patch(
    id_: Id,
    name: Annotated[str | None, typer.Option(help="What the person is called.")] = None,
    email: Annotated[
        str | None, typer.Option(help="An address to sign in with; an empty one takes it away.")
    ] = None,
    role: RoleName = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Change an account's name, address or role."""
    change = PatchUser(id=id_)
    if name is not None:
        change.name = name
    if email is not None:
        change.email = email or None
    if role is not None:
        change.role = _role(role) or ""
    _order(change, data, as_json)


@app.command()
def password(
    id_: Id,
    remove: Annotated[bool, typer.Option("--remove", help="Take the password away.")] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Set a password, asked for or read from stdin. The account is signed out everywhere."""
    with as_faults():
        change = PatchUser(id=id_, password_hash=None if remove else _ask_password())
    _order(change, data, as_json)


@app.command()
def deactivate(id_: Id, data: options.Data = None, as_json: options.Json = False) -> None:
    """End an account's sessions and stop its keys, within a second. Its history stays."""
    _order(PatchUser(id=id_, is_active=False), data, as_json)


@app.command()
def activate(id_: Id, data: options.Data = None, as_json: options.Json = False) -> None:
    """Let a deactivated account in again, and its keys work."""
    _order(PatchUser(id=id_, is_active=True), data, as_json)


@app.command("sign-out")
def sign_out(id_: Id, data: options.Data = None, as_json: options.Json = False) -> None:
    """Sign an account out everywhere."""
    with as_faults():
        change = CloseSessions(account_id=id_)
        closed = asyncio.run(open_session(data).order(change, dict[str, int]))
    if as_json:
        output.print_json(closed)
    else:
        output.print_line(f"{closed['closed']} sessions ended")


@app.command("limits")
def show_limits(
    id_: Id,
    wanted: limits.Set = None,
    unwanted: limits.Remove = None,
    zone: limits.Zone = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Show what all keys of an account may use together, or change it."""
    limits.run("user", id_, wanted, unwanted, zone, data, as_json)


def _order(change: PatchUser, data: options.Data, as_json: bool) -> None:
    with as_faults():
        changed = asyncio.run(open_session(data).order(change, AccountView))
    _print_one(changed, as_json)


def _print_one(view: AccountView, as_json: bool) -> None:
    if as_json:
        output.print_json(user(view))
    else:
        output.print_line(view.id)
        state = "" if view.is_active else ", deactivated"
        output.say(f"{view.role}{state}, {format_points(view.balance_micros)} points")


def _print_users(found: list[AccountView]) -> None:
    output.print_table(
        ("id", "name", "email", "role", "active", "points", "created"),
        (
            (
                *(view.id, view.name, view.email or "", view.role),
                "yes" if view.is_active else "no",
                format_points(view.balance_micros),
                output.moment(view.created_ms),
            )
            for view in found
        ),
        "no accounts yet: `tallygate users create` makes one",
    )


def _role(name: str | None) -> str | None:
    try:
        return None if name is None else Role.named(name).value
    except ValueError as error:
        raise Fault(f"--role: {error}", USAGE) from None


def _ask_password() -> str:
    """Its hash. Twice from a person, whose slip would lock somebody out; never from the command
    line, which other users of the machine can read."""
    if sys.stdin.isatty():
        given = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != given:
            raise Fault("the two passwords are not the same", USAGE)
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    return asyncio.run(Passwords(secrets.token_bytes).hash(given))
