"""docs/reference/cli.md: every command with its arguments and options."""

from collections.abc import Iterator
from typing import Any

import typer

from tallygate.cli.root import whole

_HEAD = """# The command line

Results go to stdout, everything else to stderr; `--json` prints bare JSON. Exit status: 0 all good,
1 failures, 2 usage, 3 store or settings (`serve` ends with 1 whatever keeps it from starting).
Commands that only read never make a store. Beside a running server, changes go through its clerk.
Written by `make docs`.
"""


def page() -> str:
    root: Any = typer.main.get_command(whole())  # typer brings a click of its own
    return _HEAD + "".join(_sections(root, "tallygate"))


def _sections(command: Any, path: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner:
        for name in sorted(inner):
            yield from _sections(inner[name], f"{path} {name}")
        return
    yield f"\n## `{path}`\n\n{(command.help or '').strip()}\n\n"
    shown = [one for one in command.params if one.name != "help"]
    if shown:
        yield "| | |\n|---|---|\n"
    for parameter in shown:
        yield f"| {_names(parameter)} | {_meaning(parameter)} |\n"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    value = "" if parameter.is_flag else f" {(parameter.metavar or parameter.name).upper()}"
    return ", ".join(f"`{name}{value}`" for name in parameter.opts)


def _meaning(parameter: Any) -> str:
    text = " ".join((getattr(parameter, "help", "") or "").split())
    is_needed = parameter.required and parameter.param_type_name == "option"
    return f"{text} (required)" if is_needed else text
