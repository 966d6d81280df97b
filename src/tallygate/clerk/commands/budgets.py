"""Budgets: how much a user or a team means to spend in a day, a month, or in all."""

from tallygate.clerk.commands import wallet_change as change
from tallygate.clerk.commands.context import Context, Handlers, bad
from tallygate.core.errors import Code, Refusal
from tallygate.core.wallet_commands import BudgetView, CreateBudget, DeleteBudget, PatchBudget
from tallygate.core.windows import Span, zone_of
from tallygate.store import budgets

SPANS = (Span.DAY, Span.MONTH, Span.TOTAL)


async def create(context: Context, wanted: CreateBudget) -> BudgetView:
    change.check_micros(wanted.micros)
    if wanted.span not in SPANS:
        raise bad(f"span must be one of {', '.join(SPANS)}", "span")
    zone = wanted.zone or context.options.time_zone
    try:
        zone_of(zone)
    except ValueError as error:
        raise bad(str(error), "zone") from None
    if wanted.subject_kind not in (budgets.USER, budgets.TEAM):
        raise bad("a budget is a user's or a team's", "user_id")
    if not await budgets.subject_exists(context.tx, wanted.subject_kind, wanted.subject_id):
        raise Refusal(Code.NOT_FOUND, f"no such {wanted.subject_kind}")
    budget_id = await budgets.insert(
        context.tx,
        wanted.subject_kind,
        wanted.subject_id,
        wanted.span,
        zone,
        wanted.micros,
        context.now_ms,
    )
    view = await _find(context, budget_id)
    await context.audit(wanted.NAME, _subject(view), None, view)
    return view


async def patch(context: Context, wanted: PatchBudget) -> BudgetView:
    change.check_micros(wanted.micros)
    before = await _find(context, wanted.budget_id)
    await budgets.change_amount(context.tx, before, wanted.micros)
    after = await _find(context, wanted.budget_id)
    await context.audit(wanted.NAME, _subject(after), before, after)
    return after


async def delete(context: Context, wanted: DeleteBudget) -> BudgetView:
    before = await _find(context, wanted.budget_id)
    await budgets.delete(context.tx, before.id, context.now_ms)
    await context.audit(wanted.NAME, _subject(before), before, None)
    return before


def _subject(view: BudgetView) -> str:
    return f"budget:{view.id}"


async def _find(context: Context, budget_id: int) -> BudgetView:
    found = await budgets.find(context.tx, budget_id, is_locked=True)
    if found is None:
        raise Refusal(Code.NOT_FOUND, "no such budget")
    return found


HANDLERS: Handlers = {CreateBudget: create, PatchBudget: patch, DeleteBudget: delete}
