"""tallygate prices import: many prices at once, looked at before they count."""

import asyncio
import datetime
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from tallygate.app import catalogue
from tallygate.cli import options, output, price_files
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Order, Session, open_session
from tallygate.clock import system_ms
from tallygate.core.price_commands import (
    CATALOGUE,
    FILE,
    ImportPrices,
    ImportReport,
    ModelChange,
)
from tallygate.core.price_terms import write_terms

_SHOWN = ("input_token_price", "output_token_price", "cache_read_token_price")


def import_prices(
    file: Annotated[Path | None, typer.Argument(help="A .csv or .json file.")] = None,
    from_catalogue: Annotated[
        bool, typer.Option("--catalogue", help="The prices that are part of this installation.")
    ] = False,
    provider: Annotated[
        list[str] | None,
        typer.Option(help="Only this list of the catalogue, such as openrouter; repeatable."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also what an operator has set by hand.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; kept with the versions.")] = "",
    dry_run: options.DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before applying.")] = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Import prices: show what would change, ask, then apply exactly that."""
    if (file is None) != from_catalogue or (provider and not from_catalogue):
        raise Fault("name a file, or --catalogue (with --provider, if you like)", USAGE)
    if not (yes or dry_run) and (as_json or not sys.stdin.isatty()):
        raise Fault("nobody can be asked here: add --yes or --dry-run", USAGE)
    with as_faults():
        change = _from_catalogue(provider or []) if file is None else _from_file(file)
        change.may_replace = replace
        change.reason = reason or change.reason
        session = open_session(data)
        session.make_store()
        report, is_applied = asyncio.run(_import(session, change, dry_run, yes, as_json))
    if as_json:
        output.print_json({**_row(report), "dry_run": dry_run, "applied": is_applied})
    else:
        output.print_line("applied" if is_applied else "nothing was changed")


def _from_catalogue(providers: list[str]) -> ImportPrices:
    now = datetime.datetime.fromtimestamp(system_ms() / 1000, datetime.UTC)
    try:
        models = catalogue.read(now, providers)
    except catalogue.UnknownProvider as error:
        raise Fault(f"--provider: {error}", USAGE) from None
    return ImportPrices(models=models, source=CATALOGUE, reason=catalogue.version())


def _from_file(file: Path) -> ImportPrices:
    return ImportPrices(models=price_files.read(file), source=FILE, reason=f"from {file.name}")


async def _import(
    session: Session, change: ImportPrices, is_dry_run: bool, is_agreed: bool, is_quiet: bool
) -> tuple[ImportReport, bool]:
    """The report, and whether it was applied."""
    async with session.clerk() as order:
        report = await _look(order, change)
        if not is_quiet:
            _print(report)
        applied = [one for one in report.changes if one.kind != "kept"]
        if is_dry_run or not applied:
            return report, False
        if not is_agreed and not typer.confirm(f"Apply {len(applied)} changes?", err=True):
            return report, False
        change.is_dry_run, change.book_version = False, report.book_version
        return await order(change, ImportReport), True


async def _look(order: Order, change: ImportPrices) -> ImportReport:
    change.is_dry_run = True
    return await order(change, ImportReport)


def _print(report: ImportReport) -> None:
    output.print_table(
        ("", "model", "was", "will be", "other names"),
        (
            (one.kind, one.model, _text(one.before), _after(one), ", ".join(one.aliases))
            for one in report.changes
        ),
        "no difference",
    )
    counts = Counter(one.kind for one in report.changes)
    found = [f"{counts[kind]} {kind}" for kind in ("new", "changed", "kept")]
    output.print_line(", ".join([*found, f"{report.same} the same"]))


def _after(change: ModelChange) -> str:
    return change.note or ("" if change.before == change.after else _text(change.after))


def _text(terms: Any) -> str:  # Terms or None
    if terms is None:
        return ""
    written = write_terms(terms)
    amounts = "/".join("-" if written[name] is None else written[name] for name in _SHOWN)
    off = "" if terms.is_active else ", inactive"
    return f"{amounts} {written['currency']} per {written['per_tokens']:,}{off}"


def _row(report: ImportReport) -> dict[str, Any]:
    return {
        "same": report.same,
        "changes": [
            {
                "model_name": one.model,
                "kind": one.kind,
                "before": None if one.before is None else write_terms(one.before),
                "after": write_terms(one.after),
                "aliases": one.aliases,
                "note": one.note,
            }
            for one in report.changes
        ],
    }
