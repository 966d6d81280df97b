"""tallygate import supabase: from the old tables to a clerk, in portions."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tallygate.cli import output
from tallygate.cli.failures import Fault, as_faults
from tallygate.cli.session import open_session
from tallygate.core import points_takeover as old
from tallygate.core.money import format_points
from tallygate.core.points_takeover import ImportPoints, Nonsense, PointsReport
from tallygate.store import old_points_source as source

ROWS_PER_PORTION = 500  # a server goes on charging between them

T = TypeVar("T")


def run(place: str, *, is_dry_run: bool, data: Path | None, as_json: bool) -> None:
    with as_faults():
        try:
            report = asyncio.run(_run(place, is_dry_run, data))
        except source.NotAPointsStore as error:
            raise Fault(str(error)) from error
    if as_json:
        output.print_json({**_row(report), "dry_run": is_dry_run})
        return
    verb = "would be taken over" if is_dry_run else "taken over"
    output.print_line(
        f"{report.accounts} users with {format_points(report.opening_micros)} points, "
        f"{report.prices} prices, {report.rates} rates and {report.requests} uses {verb}"
    )
    if report.known:
        output.print_line(f"{report.known} were taken over before")
    for reason, rows in report.skipped.items():
        output.print_line(f"skipped {rows}: {reason}")


async def _run(place: str, is_dry_run: bool, data: Path | None) -> PointsReport:
    """The old tables first: without them not even a store is made."""
    tables = await source.read_tables(place)
    report = PointsReport()
    portions = list(_portions(tables, report))
    session = open_session(data)
    await asyncio.to_thread(session.make_store)
    async with session.clerk() as order:
        for portion in portions:
            portion.is_dry_run = is_dry_run
            report.add(await order(portion, PointsReport))
    return report


def _portions(tables: dict[str, source.Rows], report: PointsReport) -> Iterator[ImportPoints]:
    for accounts in _cut(_read(source.users_of(tables), old.read_account, report)):
        yield ImportPoints(accounts=accounts)
    for prices in _cut(_read(tables.get("model_configs", []), old.read_price, report)):
        yield ImportPoints(prices=prices)
    yield from (ImportPoints(rates=rates) for rates in _cut(_rates(tables, report)))
    for uses in _cut(_read(tables.get("token_usage", []), old.read_use, report)):
        yield ImportPoints(uses=uses)


def _rates(tables: dict[str, source.Rows], report: PointsReport) -> list[old.OldRate]:
    """The history in its order, and in the end the rate in effect if it is not the last of it."""
    history = _read(tables.get("exchange_rate_history", []), old.read_rate, report)
    history.sort(key=lambda one: one.at_ms)
    active = [row for row in tables.get("exchange_rates", []) if _is_active(row)]
    current = sorted(_read(active, old.read_rate, report), key=lambda one: one.at_ms)[-1:]
    if current and (not history or history[-1].points != current[0].points):
        history += current
    return history


def _is_active(row: dict[str, Any]) -> bool:
    return str(row.get("is_active", True)).strip().lower() in ("true", "t", "1", "yes")


def _read(rows: source.Rows, read: Callable[[Any], T], report: PointsReport) -> list[T]:
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except Nonsense as reason:
            report.skip(str(reason))
    return found


def _cut(rows: list[T]) -> Iterator[list[T]]:
    for start in range(0, len(rows), ROWS_PER_PORTION):
        yield rows[start : start + ROWS_PER_PORTION]


def _row(report: PointsReport) -> dict[str, object]:
    return {
        "users": report.accounts,
        "opening_micros": report.opening_micros,
        "prices": report.prices,
        "rates": report.rates,
        "uses": report.requests,
        "known": report.known,
        "skipped": report.skipped,
    }
