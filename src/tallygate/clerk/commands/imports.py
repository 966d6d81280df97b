"""Imports: what another system kept becomes keys, counters and history here."""

from tallygate.clerk.commands.context import Context
from tallygate.core.commands import ImportQuotaProxy
from tallygate.core.takeover import Report
from tallygate.store.quota_proxy import Sealing, take_over
from tallygate.store.quota_proxy_file import OldFile


class _DryRun(Exception):
    """Rolls back when all has been tried."""


async def quota_proxy(context: Context, wanted: ImportQuotaProxy) -> Report:
    """Repeatable: what earlier imports took over is known."""
    options = context.options
    old = OldFile(keys=wanted.keys, usages=wanted.usages)
    sealing = Sealing(options.master_key if options.keep_sealed_keys else None)
    report = Report()
    try:
        async with context.tx.savepoint():
            report = await take_over(
                context.tx, old, zone=options.time_zone, sealing=sealing, now_ms=context.now_ms
            )
            if wanted.is_dry_run:
                raise _DryRun
    except _DryRun:
        return report
    if report.keys or report.days:
        await context.audit(wanted.NAME, "store", None, report)
        context.publish("flush")  # gateways remember which keys they did not know
    return report
