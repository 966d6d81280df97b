"""tallygate teams: groups of accounts, and who is in them."""

import asyncio
from typing import Annotated

import typer

from tallygate.cli import limits, options, output
from tallygate.cli.failures import as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.teams import Member, team
from tallygate.core.account_commands import (
    AddMember,
    CreateTeam,
    DeleteTeam,
    PatchTeam,
    RemoveMember,
    TeamView,
)
from tallygate.core.commands import Arguments
from tallygate.core.errors import Code, Refusal
from tallygate.store import teams

LISTED_MAX = 100_000

app = typer.Typer(no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The team's id.")]
User = Annotated[str, typer.Argument(metavar="USER", help="The account's id.")]


@app.command("list")
def list_teams(data: options.Data = None, as_json: options.Json = False) -> None:
    """Every team, by name."""
    with as_faults():
        found = asyncio.run(_all(open_session(data)))
    if as_json:
        output.print_json([team(view) for view in found])
        return
    output.print_table(
        ("id", "name", "members", "created"),
        ((one.id, one.name, one.members, output.moment(one.created_ms)) for one in found),
        "no teams yet: `tallygate teams create` makes one",
    )


async def _all(session: Session) -> list[TeamView]:
    async with session.database() as database, database.reading() as tx:
        return (await teams.page(tx, limit=LISTED_MAX))[0]


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the team is called.")],
    id_: Annotated[str | None, typer.Option("--id", help="Its id; made if not given.")] = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Make a team."""
    with as_faults():
        session = open_session(data)
        session.make_store()
        made = asyncio.run(session.order(CreateTeam(name=name, id=id_), TeamView))
    _print_one(made, as_json)


@app.command()
def rename(
    id_: Id,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called from now on.")],
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Give a team another name."""
    _order(PatchTeam(id=id_, name=name), data, as_json)


@app.command()
def delete(id_: Id, data: options.Data = None, as_json: options.Json = False) -> None:
    """Delete a team that no key belongs to; its members stay."""
    _order(DeleteTeam(id=id_), data, as_json)


@app.command()
def add(id_: Id, user: User, data: options.Data = None, as_json: options.Json = False) -> None:
    """Take an account into a team."""
    _order(AddMember(team_id=id_, account_id=user), data, as_json)


@app.command()
def remove(id_: Id, user: User, data: options.Data = None, as_json: options.Json = False) -> None:
    """Take an account out of a team."""
    _order(RemoveMember(team_id=id_, account_id=user), data, as_json)


@app.command()
def members(id_: Id, data: options.Data = None, as_json: options.Json = False) -> None:
    """Who is in a team, by name."""
    with as_faults():
        found = asyncio.run(_members(open_session(data), id_))
    if as_json:
        output.print_json(found)
        return
    output.print_table(
        ("id", "name", "email"),
        ((one.user_id, one.name, one.email or "") for one in found),
        "nobody is in this team",
    )


async def _members(session: Session, id_: str) -> list[Member]:
    async with session.database() as database, database.reading() as tx:
        if await teams.find(tx, id_) is None:
            raise Refusal(Code.NOT_FOUND, "there is no such team")
        rows = await teams.members(tx, id_)
    return [Member(user_id=one[0], name=one[1], email=one[2]) for one in rows]


@app.command("limits")
def show_limits(
    id_: Id,
    wanted: limits.Set = None,
    unwanted: limits.Remove = None,
    zone: limits.Zone = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Show what all keys of a team may use together, or change it."""
    limits.run("team", id_, wanted, unwanted, zone, data, as_json)


def _order(change: Arguments, data: options.Data, as_json: bool) -> None:
    with as_faults():
        changed = asyncio.run(open_session(data).order(change, TeamView))
    _print_one(changed, as_json)


def _print_one(view: TeamView, as_json: bool) -> None:
    if as_json:
        output.print_json(team(view))
    else:
        output.print_line(view.id)
        output.say(f"{view.name}, {view.members} members")
