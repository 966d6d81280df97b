"""tallygate usage: what was used, and cleaning it up."""

import asyncio
import datetime
from typing import Annotated

import msgspec
import typer

from tallygate.cli import options, output, usage_charts, usage_tops
from tallygate.cli.failures import USAGE, Fault, as_faults
from tallygate.cli.session import Session, open_session
from tallygate.control.bodies import read_day
from tallygate.control.usage_reports import UsageReports, summary
from tallygate.core.commands import CleanUsage, Settle
from tallygate.core.errors import Refusal
from tallygate.core.windows import zone_of
from tallygate.store import usage, usage_intake

CLEAN_DEADLINE_S = 3600.0  # ten million rows go in many short steps

app = typer.Typer(no_args_is_help=True)


class Cleaned(msgspec.Struct):
    deleted: int


class Settled(msgspec.Struct):
    stale: list[str]


@app.command()
def show(
    day: Annotated[str | None, typer.Option(help="YYYY-MM-DD; today if not given.")] = None,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """What each key used on a day; beside a running server, everything answered until now."""
    wanted = None if day is None else _day(day)
    with as_faults():
        session = open_session(data)
        session.require_store()
        asked, used, stale = asyncio.run(_of_day(session, wanted))
    for name in stale:
        output.say(f"warning: node {name} did not answer; what it served last is missing")
    total = sum(one.requests for one in used)
    if as_json:
        rows = [_row(one) for one in used]
        report = {"day": str(asked), "total_keys": len(used), "total_requests": total}
        output.print_json({**report, "keys": rows, "stale": stale})
        return
    output.print_table(
        ("id", "key", "label", "requests", "a day", "last"),
        (
            (
                one.key_id,
                one.masked,
                one.label,
                one.requests,
                "unlimited" if one.daily_limit is None else one.daily_limit,
                output.moment(one.updated_ms),
            )
            for one in used
        ),
        "no keys yet",
    )
    output.print_line(f"{asked}: {total} requests by {len(used)} keys")


async def _of_day(
    session: Session, day: datetime.date | None
) -> tuple[datetime.date, list[usage.DayUsage], list[str]]:
    settled = Settled([])
    if session.is_served:
        settled = await session.order(Settle(), Settled)
    async with session.database() as database:
        if day is None:
            now_s = await database.clock_ms() / 1000
            day = datetime.datetime.fromtimestamp(now_s, zone_of(session.settings.time_zone)).date()
        async with database.reading() as tx:
            return day, await usage.day_usage(tx, day), settled.stale


def _day(text: str) -> datetime.date:
    try:
        return read_day(text, "--day")
    except Refusal as refusal:
        raise Fault(refusal.message, USAGE) from None


def _row(one: usage.DayUsage) -> dict[str, object]:
    return {
        "id": str(one.key_id),
        "key": one.masked,
        "label": one.label,
        "created_at": one.created_ms,
        "daily_limit": one.daily_limit,
        "requests": one.requests,
        "updated_at": one.updated_ms if one.requests else None,
    }


@app.command()
def reports(
    days: Annotated[int, typer.Option(min=1, max=usage_intake.KEEP_DAYS)] = 7,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """What uses reported to /api/usage-log became, and which reports were refused."""
    with as_faults():
        session = open_session(data)
        session.require_store()
        found = asyncio.run(_reported(session, days))
    if as_json:
        output.print_json(msgspec.to_builtins(found))
        return
    output.print_table(
        ("day", "logged", "repeated", "unknown", "refused"),
        ((one.day, one.logged, one.repeated, one.unknown, one.refused) for one in found.days),
        "nothing was reported",
    )
    for unknown in found.unknown_tokens:
        output.print_line(f"unknown token {unknown.token_hash}: {unknown.uses} uses")
    for refused in found.refused_for:
        told = f"{refused.reports} reports, the last from {refused.address} at {refused.last_at}"
        output.print_line(f"refused, {refused.code}: {told}")


async def _reported(session: Session, days: int) -> UsageReports:
    if session.is_served:
        await session.order(Settle(), Settled)
    async with session.database() as database:
        now_ms = await database.clock_ms()
        since_ms = now_ms - (days - 1) * usage_intake.DAY_S * 1000
        async with database.reading() as tx:
            return summary(await usage_intake.read(tx, since_ms), since_ms, now_ms)


@app.command()
def clean(
    older_than: Annotated[int, typer.Option(min=1, metavar="DAYS", help="Days to keep.")],
    dry_run: options.DryRun = False,
    data: options.Data = None,
    as_json: options.Json = False,
) -> None:
    """Delete usage rows older than that many days; counters and keys stay."""
    with as_faults():
        change = CleanUsage(older_than_days=older_than, is_dry_run=dry_run)
        done = asyncio.run(open_session(data).order(change, Cleaned, deadline_s=CLEAN_DEADLINE_S))
    if as_json:
        output.print_json({"deleted": done.deleted, "dry_run": dry_run})
    else:
        verb = "would be deleted" if dry_run else "deleted"
        output.print_line(f"{done.deleted} usage rows older than {older_than} days {verb}")


usage_charts.add_to(app)
usage_tops.add_to(app)
