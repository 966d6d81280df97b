"""`tallygate`: all groups of commands, and how a command ends."""

import sys
from typing import Annotated

import typer

from tallygate import __version__
from tallygate.cli import db, doctor, imports, journal, keys, node, output, usage
from tallygate.cli.failures import Fault
from tallygate.cli.serve import serve
from tallygate.cli.verify import verify

app = typer.Typer(
    name="tallygate",
    help="One gate for every token: keys, quotas and metering for LLM APIs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(doctor.doctor)
app.command()(verify)
app.add_typer(keys.app, name="keys")
app.add_typer(usage.app, name="usage")
app.add_typer(db.app, name="db")
app.add_typer(journal.app, name="journal")
app.add_typer(node.app, name="node")
app.add_typer(imports.app, name="import")


def _print_version(wanted: bool) -> None:
    if wanted:
        output.print_line(f"tallygate {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What every command has in common: nothing but this help."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with its status; an operator's mistake is one line on stderr."""
    try:
        app(args=arguments)
    except Fault as fault:
        output.say(f"tallygate: {fault}")
        sys.exit(fault.status)
    except KeyboardInterrupt:
        sys.exit(130)
