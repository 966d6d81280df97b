"""`tallygate`: all groups of commands, and how a command ends.

Only the group that is called is imported: `serve` goes on for months in the process that it starts
in, and `--help` should not wait for a store's library. The others are known by their line of help.
"""

import importlib
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

import typer

from tallygate import __version__
from tallygate.cli.fault import Fault


@dataclass(frozen=True, slots=True)
class Group:
    """What a word on the command line stands for: a module's `app`, or its one function."""

    module: str
    help: str
    function: str = ""


GROUPS = {
    "serve": Group("serve", "Start a node and serve until told to stop.", "serve"),
    "doctor": Group("doctor", "Look for what is wrong here; status 1 if something is.", "doctor"),
    "verify": Group("verify", "Walk the contract against a running server.", "verify"),
    "keys": Group("keys", "Make, list and revoke keys."),
    "tokens": Group("tokens", "Make, list and revoke tokens of automations."),
    "routes": Group("routes", "Say which private service a path leads to."),
    "edge": Group("edge", "Publish tokens and routes to Cloudflare's edge."),
    "users": Group("users", "Make, change and deactivate accounts."),
    "teams": Group("teams", "Make teams, and say who is in them."),
    "anomalies": Group("anomalies", "See what keys do out of the ordinary, and say it was seen."),
    "usage": Group("usage", "Show and clean up what was used."),
    "wallet": Group("wallet", "Show and change balances; grants, holds, refunds."),
    "redeem": Group("redeem", "Make and redeem codes."),
    "budget": Group("budget", "Say what is meant to be spent, and hear when it is."),
    "ledger": Group("ledger", "Prove the books."),
    "prices": Group("prices", "Show, set, import and export what models cost."),
    "rate": Group("rates", "Show and set how many points a US dollar is."),
    "dify": Group("dify", "Add and list apps of Dify servers."),
    "db": Group("db", "Back up, restore, check, repair, migrate the store."),
    "journal": Group("journal", "Look at the journals of this node."),
    "node": Group("node", "List nodes and give up dead ones."),
    "keeper": Group("keeper", "Keep upstream credentials alive."),
    "secrets": Group("secrets", "Look after the master key."),
    "import": Group("imports", "Take over what another system kept."),
}


def whole() -> typer.Typer:
    """Everything imported: for the reference."""
    return build(GROUPS)


def build(wanted: Collection[str]) -> typer.Typer:
    """The command line, with the groups in `wanted` ready to be run."""
    app = typer.Typer(
        name="tallygate",
        help="One gate for every token: keys, quotas and metering for LLM APIs.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    if wanted:
        importlib.import_module("tallygate.telemetry.lean")  # before anybody loads structlog whole
    for name, group in GROUPS.items():
        if name not in wanted:
            app.command(name, help=group.help)(_not_loaded)
            continue
        module = importlib.import_module(f"tallygate.cli.{group.module}")
        if group.function:
            app.command(name, short_help=group.help)(getattr(module, group.function))
        else:
            app.add_typer(module.app, name=name, help=group.help)
    return app


def _not_loaded() -> None:
    raise AssertionError("only the called group can run, and it is loaded")


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"tallygate {__version__}\n")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What every command has in common: nothing but this help."""


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with its status; an operator's mistake is one line on stderr."""
    given = sys.argv[1:] if arguments is None else arguments
    called = next((word for word in given if not word.startswith("-")), "")
    try:
        build({called} & GROUPS.keys())(args=given)
    except Fault as fault:
        sys.stderr.write(f"tallygate: {fault}\n")
        sys.exit(fault.status)
    except KeyboardInterrupt:
        sys.exit(130)
