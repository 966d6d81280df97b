"""tallygate tokens: what teams hand to automations."""

import asyncio
import datetime
from collections.abc import Callable
from typing import Annotated

import typer

from tallygate.cli import options, output
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.tokens import Token, shown
from tallygate.core.commands import Arguments, CreateKey, DeleteKey, KeyView, PatchKey, RotateKey
from tallygate.core.keys import Kind
from tallygate.store import keys, teams, tokens

app = typer.Typer(no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="The token itself, or its id.")]
Sort = Annotated[
    str, typer.Option(help="name, created_at, last_used or expires_at; `-` before it: downwards.")
]


@app.command("list")
def list_tokens(
    sort: Sort = "created_at",
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Every token that exists, masked, with its last use."""
    if sort.removeprefix("-") not in tokens.ORDERS:
        raise Fault(f"--sort: use one of {', '.join(tokens.ORDERS)}", USAGE)
    with as_faults():
        found = asyncio.run(_all(open_session(data), tokens.Query(sort, team, "", limit)))
    if as_json:
        output.print_json(found)
        return
    output.print_table(
        ("id", "name", "token", "team", "scopes", "active", "expires", "last used"),
        (
            (
                *(one.id, one.name, one.masked, one.team_id or "", " ".join(one.scopes)),
                "yes" if one.is_active else "no",
                one.expires_at or "never",
                one.last_used or "never",
            )
            for one in found
        ),
        "no tokens yet: `tallygate tokens create NAME` makes one",
    )


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    team: Annotated[str, typer.Option(help="The id of the team it belongs to.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help="What it may reach; again for more, * for all.")
    ] = None,
    expires: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="The end of it, in UTC."),
    ] = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Make a token and print it. The first one makes the store, too."""
    expires_ms = None
    if expires is not None:
        expires_ms = int(expires.replace(tzinfo=datetime.UTC).timestamp() * 1000)
    change = CreateKey(
        kind=Kind.TOKEN.value,
        label=name,
        team_id=team,
        scopes=scope or [],
        expires_ms=expires_ms,
        models=[],
    )
    with as_faults():
        session = open_session(data)
        session.make_store()
        made = asyncio.run(_create(session, change))
    _print_made(made, as_json)


@app.command()
def revoke(token: Which, data: options.Data = None, as_json: options.Json = False) -> None:
    """Delete a token: it is unknown everywhere within a second. Its history stays."""
    with as_faults():
        gone = asyncio.run(_changed(open_session(data), token, lambda id_: DeleteKey(key=id_)))
    if as_json:
        output.print_json(gone)
    else:
        output.print_line(f"revoked {gone.masked} (id {gone.id})")


@app.command()
def rotate(
    token: Which,
    grace: Annotated[
        int, typer.Option(min=0, help="Seconds for which the old one still works.")
    ] = 0,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Put another token in its place and print it; scopes, limits and history stay."""
    with as_faults():
        made = asyncio.run(
            _changed(open_session(data), token, lambda id_: RotateKey(key=id_, grace_s=grace))
        )
    _print_made(made, as_json)


@app.command()
def enable(
    token: Which,
    off: Annotated[bool, typer.Option("--off", help="Switch it off instead.")] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Switch a token on, or off: it is refused while it is off."""
    with as_faults():
        done = asyncio.run(
            _changed(open_session(data), token, lambda id_: PatchKey(key=id_, is_active=not off))
        )
    if as_json:
        output.print_json(done)
    else:
        output.print_line(f"{done.masked} (id {done.id}) is {'off' if off else 'on'}")


async def _all(session: Session, query: tokens.Query) -> list[Token]:
    async with session.database() as database, database.reading() as tx:
        found, _ = await tokens.page(tx, query)
        hashes = await tokens.hashes(tx, [view.id for view in found])
    return [shown(view, hashes.get(view.id, "")) for view in found]


async def _create(session: Session, change: CreateKey) -> Token:
    if change.team_id:
        async with session.database() as database, database.reading() as tx:
            if await teams.find(tx, change.team_id) is None:
                raise Fault(f"there is no team {change.team_id!r}")
    return await _with_hash(session, await session.order(change, KeyView))


async def _changed(session: Session, token: str, change: Callable[[str], Arguments]) -> Token:
    """A key of another kind is none of these."""
    async with session.database() as database, database.reading() as tx:
        found = await keys.find_view(tx, token)
    if found is None or found.kind != Kind.TOKEN:
        raise Fault("there is no such token")
    return await _with_hash(session, await session.order(change(str(found.id)), KeyView))


async def _with_hash(session: Session, view: KeyView) -> Token:
    async with session.database() as database, database.reading() as tx:
        hashes = await tokens.hashes(tx, [view.id])
    return shown(view, hashes.get(view.id, ""))


def _print_made(made: Token, as_json: bool) -> None:
    if as_json:
        output.print_json(made)
        return
    output.print_line(str(made.token))
    output.say(f"id {made.id}, scopes: {' '.join(made.scopes) or 'none'}")
