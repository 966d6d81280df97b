"""tallygate import: taking over what another system kept."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from tallygate.cli import import_points, import_tokens, options, output
from tallygate.cli import keeper_intake as intake
from tallygate.cli.failures import as_faults
from tallygate.cli.session import Session, open_session
from tallygate.core.commands import ImportQuotaProxy
from tallygate.core.takeover import OldKey, OldUsage, Report
from tallygate.keeper.wording import BAOMING
from tallygate.store.quota_proxy_file import OldFile, read_file

KEYS_PER_PORTION = 100

app = typer.Typer(no_args_is_help=True)


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


@app.command("token-manager")
def import_token_manager(
    url: Annotated[str, typer.Argument(help="The old server's PostgreSQL; only read.")],
    dry_run: options.DryRun = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Take over tokens, teams, routes and uses. Old tokens work unchanged; repeatable."""
    import_tokens.run(url, is_dry_run=dry_run, data=data, as_json=as_json)


@app.command("supabase")
def import_supabase(
    place: Annotated[
        str, typer.Argument(help="Supabase's PostgreSQL URL, or a folder of exports; only read.")
    ],
    dry_run: options.DryRun = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Take over users with their balances, prices, rates and history; repeatable."""
    import_points.run(place, is_dry_run=dry_run, data=data, as_json=as_json)


def _row(report: Report) -> dict[str, object]:
    return {
        "keys": report.keys,
        "days": report.days,
        "requests": report.requests,
        "known": report.known,
        "skipped": report.skipped,
    }


async def _take_over(session: Session, old: OldFile, is_dry_run: bool) -> Report:
    """In many transactions: a server goes on granting leases between them."""
    report = Report(skipped=dict(old.skipped))
    async with session.clerk() as order:
        for keys, usages in _portions(old):
            part = ImportQuotaProxy(keys=keys, usages=usages, is_dry_run=is_dry_run)
            report.add(await order(part, Report))
    return report


def _portions(old: OldFile) -> Iterator[tuple[list[OldKey], list[OldUsage]]]:
    """Some keys at a time, each with all of its days; in the end what belongs to no key."""
    of_key: dict[str, list[OldUsage]] = {}
    for one in old.usages:
        of_key.setdefault(one.secret, []).append(one)
    for start in range(0, len(old.keys), KEYS_PER_PORTION):
        keys = old.keys[start : start + KEYS_PER_PORTION]
        yield keys, [day for key in keys for day in of_key.pop(key.secret, ())]
    if of_key:
        yield [], [day for days in of_key.values() for day in days]


@app.command("baoming")
def import_baoming(
    file: Annotated[Path, typer.Argument(help="Its export, as JSON lines or CSV; only read.")],
    var: intake.Variables = None,
    dry_run: options.DryRun = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Take over the tokens of the enrolment tool's refresher, for the keeper. Repeatable."""
    intake.import_file(file, BAOMING, var, dry_run, data, as_json)
