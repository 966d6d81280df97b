"""Taking over the seed's points system: one portion, or what it would come to."""

from tallygate.clerk.commands.context import Context, Handlers
from tallygate.core.points_takeover import ImportPoints, PointsReport
from tallygate.store import old_points


class _DryRun(Exception):
    """Rolls back when all has been tried."""


async def take_over(context: Context, wanted: ImportPoints) -> PointsReport:
    """Repeatable: what earlier imports took over is known."""
    report = PointsReport()
    try:
        async with context.tx.savepoint():
            await old_points.take_accounts(context.tx, wanted.accounts, report, context.now_ms)
            await old_points.take_prices(context.tx, wanted.prices, report, context.now_ms)
            await old_points.take_rates(context.tx, wanted.rates, report, context.now_ms)
            await old_points.take_uses(context.tx, wanted.uses, report, context.now_ms)
            if wanted.is_dry_run:
                raise _DryRun
    except _DryRun:
        return report
    if report.accounts or report.prices or report.rates or report.requests:
        await context.audit(wanted.NAME, "store", None, report)
    if report.prices or report.rates:
        context.publish("prices")
    if report.accounts:
        context.publish("flush")  # keys that were made for them are charged from now on
    return report


HANDLERS: Handlers = {ImportPoints: take_over}
