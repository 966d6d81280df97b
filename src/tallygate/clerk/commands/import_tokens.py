"""Taking over the seed's token manager: teams, tokens, uses; its routes as if made here."""

from tallygate.clerk.commands import routes
from tallygate.clerk.commands.context import Context, Handlers
from tallygate.core.errors import Refusal
from tallygate.core.route_commands import SaveRoute
from tallygate.core.token_takeover import ImportTokens, OldRoute, TokenReport
from tallygate.store import old_tokens


class _DryRun(Exception):
    """Rolls back when all has been tried."""


async def take_over(context: Context, wanted: ImportTokens) -> TokenReport:
    """Repeatable: what earlier imports took over is known."""
    report = TokenReport()
    published = len(context.events)
    try:
        async with context.tx.savepoint():
            await _take(context, wanted, report)
            if wanted.is_dry_run:
                raise _DryRun
    except _DryRun:
        del context.events[published:]
        return report
    if report.teams or report.keys or report.requests:
        await context.audit(wanted.NAME, "store", None, report)
    if report.keys:
        context.publish("flush")  # gateways remember which tokens they did not know
    return report


async def _take(context: Context, wanted: ImportTokens, report: TokenReport) -> None:
    tx, now_ms = context.tx, context.now_ms
    await old_tokens.take_teams(tx, wanted.teams, report, now_ms)
    await old_tokens.take_tokens(tx, wanted.tokens, report, now_ms)
    for route in wanted.routes:
        await _take_route(context, route, report)
    await old_tokens.take_uses(tx, wanted.origin, wanted.uses, report, now_ms)


async def _take_route(context: Context, old: OldRoute, report: TokenReport) -> None:
    """One that this gateway would not have is skipped, and said why."""
    place = f"{old.host}{old.path}"
    if await old_tokens.was_route_taken(context.tx, place):
        report.known += 1
        return
    change = SaveRoute(
        id=None,
        path=old.path,
        backend_url=old.backend_url,
        scope=old.scope,
        methods=old.methods,
        host=old.host,
        strip_prefix=old.strip_prefix,
        is_active=old.is_active,
    )
    try:
        async with context.tx.savepoint():
            await routes.save(context, change)
    except Refusal as refusal:
        report.skip(f"the route {place}: {refusal.message}")
        return
    await old_tokens.remember_route(context.tx, place, context.now_ms)
    report.routes += 1


HANDLERS: Handlers = {ImportTokens: take_over}
