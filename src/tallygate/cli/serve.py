"""tallygate serve: start a node."""

from pathlib import Path
from typing import Annotated

import typer

from tallygate.app.node import ROLES
from tallygate.app.node import serve as serve_node
from tallygate.cli import options, output


def serve(
    host: Annotated[str | None, typer.Option(help="Where to listen; 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port; 8787.")] = None,
    data: options.Data = None,
    workers: Annotated[
        int | None, typer.Option(min=0, max=256, help="Gateways; one per core.")
    ] = None,
    roles: Annotated[str, typer.Option(help="Which to run, separated by commas.")] = ",".join(
        ROLES
    ),
) -> None:
    """Start a node and serve until told to stop (SIGTERM or Ctrl-C)."""
    given: dict[str, str | int | Path | None] = {
        "host": host,
        "port": port,
        "data": data,
        "workers": workers,
    }
    chosen = [role.strip() for role in roles.split(",") if role.strip()]
    status = serve_node(given, chosen, announce=output.announce, complain=output.say)
    raise typer.Exit(status)
