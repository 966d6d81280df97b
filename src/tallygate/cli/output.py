"""What commands print: bare JSON for machines, tables for people; everything else on stderr."""

import datetime
import sys
from collections.abc import Iterable, Sequence

import msgspec


def print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def print_line(text: str) -> None:
    sys.stdout.write(text + "\n")


def announce(text: str) -> None:
    """A line of a program that goes on: read at once, though it may go into a file or a pipe."""
    print_line(text)
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    # Loaded by those who draw a table; `serve` also prints a line, and lives long.
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    listed = [[escape(str(value)) for value in row] for row in rows]
    if not listed:
        print_line(empty)
        return
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for row in listed:
        table.add_row(*row)
    # Written to a file or a pipe, nothing is cut to the width of a terminal that is not there.
    width = None if sys.stdout.isatty() else 240
    Console(file=sys.stdout, width=width).print(table)


def say(text: str) -> None:
    """A word to the person at the terminal; stdout stays for the result."""
    sys.stderr.write(text + "\n")


def moment(at_ms: int | None) -> str:
    if at_ms is None:
        return "never"
    at = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S")
