"""Options that several commands share."""

import datetime
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="The data folder; TALLYGATE_DATA or ./data if not given."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print bare JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Once = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        help="The same command with the same key is done once, and answered the same.",
    ),
]
Reason = Annotated[str, typer.Option(help="Why, for the ledger.")]
User = Annotated[str, typer.Argument(help="The user's id.")]
End = Annotated[
    datetime.datetime | None,
    typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="The end of it, in UTC."),
]
