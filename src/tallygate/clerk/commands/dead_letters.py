"""Dead letters: sent in again once their cause is mended, or dismissed."""

from tallygate.clerk.billing import policy_of
from tallygate.clerk.commands import wallet_change as change
from tallygate.clerk.commands.context import Context, Handlers, MoneyLeased
from tallygate.clerk.shelf import Shelf
from tallygate.core.billing_commands import (
    DismissLetter,
    LetterView,
    Replayed,
    ReplayLetter,
)
from tallygate.core.charging import Event, Source
from tallygate.core.dify_events import Rules, read
from tallygate.core.errors import Code, Refusal
from tallygate.store import charge_views, dead_letters, dify_charges
from tallygate.store.charging import charge_batch
from tallygate.store.dead_letters import DISMISSED, OPEN, REPLAYED, Letter

# What we read ourselves is kept as we read it.
_OWN_SOURCES = frozenset((Source.PROXY.value, Source.TRACING.value))
_SHORT = Refusal(Code.INSUFFICIENT_BALANCE, "too much of the balance is leased to gateways")


async def replay(context: Context, wanted: ReplayLetter) -> Replayed:
    """All of its events, or none: whatever is refused again undoes this command."""
    letter = await _open_letter(context, wanted.letter_id)
    shelf = Shelf(None, context.options)  # read in this transaction, and for it alone
    await shelf.refresh(context.tx, context.now_ms)
    policy = policy_of(context.options)
    if letter.source in _OWN_SOURCES:
        events = [shelf.with_model(dify_charges.event_of_letter(letter.payload), letter.app)]
        if letter.source == Source.PROXY.value:
            policy = dify_charges.owed(policy)  # the call was let through
    else:
        events = _events_of(context, letter, shelf)
    if not events:
        raise Refusal(Code.USAGE_MISSING, "this letter tells of no usage; it can be dismissed")
    outcomes = await charge_batch(
        context.tx, events, shelf.prices, policy, context.now_ms, may_recall=context.may_recall
    )
    for outcome in outcomes:
        if outcome.wallet_id:
            raise MoneyLeased(outcome.wallet_id, _SHORT)
        if outcome.refusal is not None:
            raise outcome.refusal
    rows = [outcome.row for outcome in outcomes if outcome.row is not None]
    charge_id = rows[0].id if rows else None
    await dead_letters.close(context.tx, letter.id, REPLAYED, charge_id)
    view = await _audited(context, wanted.NAME, letter, {"charges": [row.id for row in rows]})
    return Replayed(letter=view, charges=[charge_views.view_of(row) for row in rows])


async def dismiss(context: Context, wanted: DismissLetter) -> LetterView:
    change.check_text(wanted.reason, "reason")
    letter = await _open_letter(context, wanted.letter_id)
    await dead_letters.close(context.tx, letter.id, DISMISSED, letter.charge_id)
    return await _audited(context, wanted.NAME, letter, {"reason": wanted.reason})


async def _open_letter(context: Context, letter_id: int) -> Letter:
    letter = await dead_letters.find(context.tx, letter_id, is_locked=True)
    if letter is None:
        raise Refusal(Code.NOT_FOUND, "no such dead letter")
    if letter.state != OPEN:
        raise Refusal(Code.CONFLICT, f"this letter is {letter.state} already")
    return letter


def _events_of(context: Context, letter: Letter, shelf: Shelf) -> list[Event]:
    rules = Rules(None, letter.account_id, Source(letter.source))
    events = []
    for item in read(letter.payload.encode(), context.now_ms, rules).items:
        if item.refusal is not None:
            raise item.refusal
        if item.event is not None:
            events.append(shelf.resolve(item.event, letter.app))
    return events


async def _audited(
    context: Context, action: str, letter: Letter, told: dict[str, object]
) -> LetterView:
    found = await dead_letters.find(context.tx, letter.id)
    assert found is not None, "letters are never deleted"
    before, after = _view(letter), _view(found)
    await context.audit(action, f"dead_letter:{letter.id}", before, {"state": after.state, **told})
    return after


def _view(letter: Letter) -> LetterView:
    return LetterView(
        id=letter.id,
        state=letter.state,
        code=letter.code,
        message=letter.message,
        charge_id=letter.charge_id,
    )


HANDLERS: Handlers = {ReplayLetter: replay, DismissLetter: dismiss}
