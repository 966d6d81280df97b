"""tallygate import token-manager: from the old server's PostgreSQL to a clerk, in portions."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tallygate.cli import output
from tallygate.cli.failures import Fault, as_faults
from tallygate.cli.session import open_session
from tallygate.core.token_takeover import ImportTokens, TokenReport
from tallygate.store import old_token_database as old
from tallygate.store.old_token_database import NotATokenDatabase, Source

ROWS_PER_PORTION = 200
USES_PER_PORTION = 2_000  # a server goes on granting leases between them

Send = Callable[[ImportTokens], Awaitable[TokenReport]]


def run(url: str, *, is_dry_run: bool, data: Path | None, as_json: bool) -> None:
    if not url.startswith(("postgresql://", "postgres://")):
        raise Fault("the old database: use a URL that starts with postgresql://")
    with as_faults():
        try:
            report = asyncio.run(_run(url, is_dry_run, data))
        except NotATokenDatabase as error:
            raise Fault(str(error)) from error
    if as_json:
        output.print_json({**_row(report), "dry_run": is_dry_run})
        return
    verb = "would be taken over" if is_dry_run else "taken over"
    output.print_line(
        f"{report.keys} tokens, {report.teams} teams, {report.routes} routes and "
        f"{report.requests} uses {verb}"
    )
    if report.known:
        output.print_line(f"{report.known} were taken over before")
    for reason, rows in report.skipped.items():
        output.print_line(f"skipped {rows}: {reason}")


async def _run(url: str, is_dry_run: bool, data: Path | None) -> TokenReport:
    """The old database first: without it not even a store is made."""
    async with old.opened(url) as source:
        session = open_session(data)
        await asyncio.to_thread(session.make_store)
        report = TokenReport()
        async with session.clerk() as order:

            async def send(part: ImportTokens) -> TokenReport:
                part.is_dry_run = is_dry_run
                return await order(part, TokenReport)

            await _take_over(source, send, report, is_dry_run=is_dry_run)
        for reason, rows in source.skipped.items():
            report.skip(reason, rows)
        return report


async def _take_over(source: Source, send: Send, report: TokenReport, *, is_dry_run: bool) -> None:
    origin = source.origin
    teams, tokens, routes = await source.teams(), await source.tokens(), await source.routes()
    for start in range(0, max(len(teams), len(tokens), len(routes)), ROWS_PER_PORTION):
        some = slice(start, start + ROWS_PER_PORTION)
        part = ImportTokens(
            origin=origin, teams=teams[some], tokens=tokens[some], routes=routes[some]
        )
        report.add(await send(part))
    async for uses in source.uses(USES_PER_PORTION):
        # A dry run leaves no tokens behind that uses could be of: each portion brings its own.
        needed = {use.token_hash for use in uses} if is_dry_run else set[str]()
        tried = [token for token in tokens if token.token_hash in needed]
        done = await send(ImportTokens(origin=origin, tokens=tried, uses=uses))
        if is_dry_run:
            done.keys = done.teams = 0
        report.add(done)


def _row(report: TokenReport) -> dict[str, object]:
    return {
        "tokens": report.keys,
        "teams": report.teams,
        "routes": report.routes,
        "uses": report.requests,
        "known": report.known,
        "skipped": report.skipped,
    }
