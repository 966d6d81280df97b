"""Options that several commands share."""

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
