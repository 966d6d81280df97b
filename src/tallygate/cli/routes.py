"""tallygate routes: which private service a path leads to, and which tokens may go there."""

import asyncio
from typing import Annotated

import typer

from tallygate.cli import options, output
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.routes import Route, shown
from tallygate.core.route_commands import (
    DeleteRoute,
    HeaderSpec,
    RouteLimitSpec,
    RouteView,
    SaveRoute,
)
from tallygate.core.windows import Span
from tallygate.store import routes

PAGE = 1000

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_routes(data: options.Data = None, as_json: options.Json = False) -> None:
    """Every route, by host and path."""
    with as_faults():
        found = asyncio.run(_all(open_session(data)))
    if as_json:
        output.print_json(found)
        return
    output.print_table(
        ("id", "host", "path", "backend", "scope", "methods", "active"),
        (
            (
                *(one.id, one.host or "any", one.path, one.backend_url, one.scope or "any token"),
                " ".join(one.methods or ("all",)),
                "yes" if one.is_active else "no",
            )
            for one in found
        ),
        "no routes yet: `tallygate routes create PATH BACKEND_URL` makes one",
    )


@app.command()
def create(
    path: Annotated[str, typer.Argument(help="The path; all that is below it comes along.")],
    backend_url: Annotated[str, typer.Argument(help="Where it leads, like http://10.0.0.7:9000.")],
    scope: Annotated[str, typer.Option(help="The scope that a token needs.")] = "",
    method: Annotated[
        list[str] | None, typer.Option(help="A method that is allowed; again for more.")
    ] = None,
    host: Annotated[str, typer.Option(help="Serve it under this host only.")] = "",
    strip_prefix: Annotated[
        bool, typer.Option("--strip-prefix", help="Leave the path out of what the backend sees.")
    ] = False,
    rewrite: Annotated[str, typer.Option(help="What takes the place of the path.")] = "",
    header: Annotated[
        list[str] | None, typer.Option(help="A header for the backend, `Name: value`.")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="Like 60/minute, or 60/minute/token for each token.")
    ] = None,
    credentials: Annotated[
        str, typer.Option(metavar="POOL", help="Show the backend a credential of this pool.")
    ] = "",
    credential_header: Annotated[
        str, typer.Option(help="Where its secret goes: `authorization: Bearer {secret}`.")
    ] = "",
    credential_query: Annotated[
        str, typer.Option(metavar="NAME", help="Or a parameter of the query, in its place.")
    ] = "",
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Add a route; gateways serve it within a second. The longest path wins."""
    change = SaveRoute(
        id=None,
        path=path,
        backend_url=backend_url,
        scope=scope,
        methods=[one.upper() for one in method or ()],
        host=host,
        strip_prefix=strip_prefix,
        rewrite=rewrite,
        request_headers=HeaderSpec(add=dict(_header(one) for one in header or ())),
        limits=[_limit(one) for one in limit or ()],
        credentials=credentials,
        credential_header=credential_header,
        credential_query=credential_query,
    )
    with as_faults():
        session = open_session(data)
        session.make_store()
        made = shown(asyncio.run(session.order(change, RouteView)))
    if as_json:
        output.print_json(made)
    else:
        output.print_line(f"{made.host or ''}{made.path} leads to {made.backend_url}")
        output.say(f"id {made.id}")


@app.command()
def delete(
    route: Annotated[int, typer.Argument(help="The id of the route.", min=1)],
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Remove a route; its usage stays."""
    with as_faults():
        gone = shown(asyncio.run(open_session(data).order(DeleteRoute(id=route), RouteView)))
    if as_json:
        output.print_json(gone)
    else:
        output.print_line(f"{gone.host or ''}{gone.path} leads nowhere any more")


@app.command()
def enable(
    route: Annotated[int, typer.Argument(help="The id of the route.", min=1)],
    off: Annotated[bool, typer.Option("--off", help="Switch it off instead.")] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Switch a route on, or off: while it is off there is none."""
    with as_faults():
        change = SaveRoute(id=route, is_active=not off)
        done = shown(asyncio.run(open_session(data).order(change, RouteView)))
    if as_json:
        output.print_json(done)
    else:
        output.print_line(f"{done.host or ''}{done.path} is {'off' if off else 'on'}")


async def _all(session: Session) -> list[Route]:
    found: list[Route] = []
    async with session.database() as database, database.reading() as tx:
        while True:
            views, total = await routes.page(tx, limit=PAGE, offset=len(found))
            found += [shown(view) for view in views]
            if not views or len(found) >= total:
                return found


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise Fault("--header: write it as `Name: value`", USAGE)
    return name.strip().lower(), value.strip()


def _limit(text: str) -> RouteLimitSpec:
    amount, _, rest = text.partition("/")
    span, _, per = rest.partition("/")
    spans = [one.value for one in Span]
    if not (amount.isascii() and amount.isdecimal() and len(amount) < 17):
        raise Fault("--limit: write it as 60/minute or 60/minute/token", USAGE)
    if span not in spans or per not in ("", "token", "route"):
        raise Fault(
            f"--limit: the span is one of {', '.join(spans)}, then /token or nothing", USAGE
        )
    return RouteLimitSpec(amount=int(amount), span=span, per=per or "route")
