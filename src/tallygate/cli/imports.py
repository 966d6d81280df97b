"""tallygate import: taking over what another system kept."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tallygate.cli import options, output
from tallygate.cli.failures import as_faults
from tallygate.cli.session import Session, open_session
from tallygate.store import feed, quota_proxy
from tallygate.store.database import Database
from tallygate.store.quota_proxy import Report
from tallygate.store.quota_proxy_file import OldFile, read_file

app = typer.Typer(no_args_is_help=True)


class _DryRun(Exception):
    """Rolls the transaction back when all has been tried."""


@app.callback()
def each() -> None:
    """Keeps the name of the source in the command, also while there is one source only."""


@app.command("quota-proxy")
def import_quota_proxy(
    file: Annotated[Path, typer.Argument(help="The old server's SQLite file; only read.")],
    dry_run: options.DryRun = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Take over keys and counts of the quota proxy. Old keys work unchanged; repeatable."""
    with as_faults():
        old = read_file(file)
        session = open_session(data)
        session.make_store()
        report = asyncio.run(_take_over(session, old, dry_run))
    if as_json:
        output.print_json({**_row(report), "dry_run": dry_run})
        return
    verb = "would be taken over" if dry_run else "taken over"
    output.print_line(
        f"{report.keys} keys and {report.requests} requests on {report.days} days {verb}"
    )
    if report.known:
        output.print_line(f"{report.known} were taken over before")
    for reason, rows in report.skipped.items():
        output.print_line(f"skipped {rows}: {reason}")


def _row(report: Report) -> dict[str, object]:
    return {
        "keys": report.keys,
        "days": report.days,
        "requests": report.requests,
        "known": report.known,
        "skipped": report.skipped,
    }


async def _take_over(session: Session, old: OldFile, is_dry_run: bool) -> Report:
    settings = session.settings
    sealing = quota_proxy.Sealing(session.master_key if settings.keep_sealed_keys else None)
    async with session.database() as database:
        now_ms = await database.clock_ms()
        try:
            return await _in_one(database, old, settings.time_zone, sealing, now_ms, is_dry_run)
        except _DryRun as done:
            report: Report = done.args[0]
            return report


async def _in_one(
    database: Database,
    old: OldFile,
    zone: str,
    sealing: quota_proxy.Sealing,
    now_ms: int,
    is_dry_run: bool,
) -> Report:
    """All or nothing; a running server forgets which keys it did not know."""
    async with database.writing() as tx:
        report = await quota_proxy.take_over(tx, old, zone=zone, sealing=sealing, now_ms=now_ms)
        if is_dry_run:
            raise _DryRun(report)
        await feed.append(tx, "flush", 0, 0, "import", now_ms)
    return report
