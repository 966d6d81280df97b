"""tallygate dify: the apps of Dify servers that are proxied and charged."""

import asyncio
import sys
from typing import Annotated

import typer
from msgspec import UNSET

from tallygate.cli import options, output
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.dify_apps import shown
from tallygate.core.dify_commands import (
    DeleteDifyApp,
    DifyAppView,
    RenewDifyTracing,
    SaveDifyApp,
)
from tallygate.core.money import BadAmount, format_points, parse_points
from tallygate.store import dify_apps

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The app's name.")]


@app.command("list")
def list_apps(data: options.Data = None, as_json: options.Json = False) -> None:
    """Every app that was added; the one of TALLYGATE_DIFY_API_URL is not among them."""
    with as_faults():
        found = asyncio.run(_all(open_session(data)))
    if as_json:
        output.print_json([shown(view) for view in found])
        return
    output.print_table(
        ("name", "server", "instance", "model", "hold", "billed by", "active"),
        (
            (
                view.name,
                view.api_url,
                view.instance,
                view.model,
                format_points(view.hold_micros),
                view.billed_by,
                "yes" if view.is_active else "no",
            )
            for view in found
        ),
        "no apps yet: `tallygate dify add` adds one",
    )


async def _all(session: Session) -> list[DifyAppView]:
    async with session.database() as database, database.reading() as tx:
        return await dify_apps.list_all(tx, None)


@app.command()
def add(
    name: Name,
    url: Annotated[str, typer.Option(help="Its server's API, as https://api.dify.ai/v1.")],
    model: Annotated[str, typer.Option(help="Whose price counts where none is named.")] = "",
    instance: Annotated[str, typer.Option(help="Which server it is, if you have several.")] = "",
    hold: Annotated[str | None, typer.Option(help="Points that a call sets aside.")] = None,
    billed_by: Annotated[str, typer.Option(help="`dify` or `gateway`.")] = "dify",
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Add an app; its API key is read from standard input. Prints its tracing pair, this once."""
    secret = sys.stdin.readline().strip()
    if not secret:
        raise Fault("send the app's API key on standard input", USAGE)
    change = SaveDifyApp(
        name=name,
        is_new=True,
        api_url=url,
        secret=secret,
        model=model,
        billed_by=billed_by,
        instance=instance or UNSET,
    )
    if hold is not None:
        change.hold_micros = _micros(hold)
    with as_faults():
        session = open_session(data)
        session.make_store()
        made = asyncio.run(session.order(change, DifyAppView))
    _print_pair(made, as_json)


@app.command("renew-tracing")
def renew_tracing(name: Name, data: options.Data = None, as_json: options.Json = False) -> None:
    """Give an app a new pair for its tracing export and print it; the old one ends."""
    with as_faults():
        made = asyncio.run(open_session(data).order(RenewDifyTracing(name=name), DifyAppView))
    _print_pair(made, as_json)


@app.command()
def remove(name: Name, data: options.Data = None, as_json: options.Json = False) -> None:
    """Remove an app; what it used stays charged."""
    with as_faults():
        gone = asyncio.run(open_session(data).order(DeleteDifyApp(name=name), DifyAppView))
    if as_json:
        output.print_json(shown(gone))
    else:
        output.print_line(f"removed {gone.name}")


def _print_pair(view: DifyAppView, as_json: bool) -> None:
    if as_json:
        output.print_json(shown(view))
        return
    path = shown(view).path
    output.say(f"{view.name} is served at {path}; its tracing pair, for Dify's Langfuse settings:")
    output.print_line(f"{view.trace_public} {view.trace_secret}")


def _micros(text: str) -> int:
    try:
        return parse_points(text)
    except BadAmount as error:
        raise Fault(f"--hold: {error}", USAGE) from None
