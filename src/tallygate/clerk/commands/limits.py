"""Limits as operators write them; those that all keys of a user or of a team share."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from tallygate.clerk.commands.context import Context, bad
from tallygate.core.commands import Arguments, LimitSpec
from tallygate.core.errors import Code, Refusal
from tallygate.core.limit_commands import LimitsView, SetLimits
from tallygate.core.limits import AMOUNT_MAX, Dimension
from tallygate.core.windows import Span, zone_of
from tallygate.store import accounts, keys, limits, teams
from tallygate.store.limits import NewLimit

LIMITS_MAX: Final = 32
KEYS_TOLD_MAX: Final = 1000  # beyond that gateways forget all keys, which is one event


async def set_limits(context: Context, wanted: SetLimits) -> LimitsView:
    kind, id_ = wanted.subject_kind, wanted.subject_id
    await _check_subject(context, kind, id_)
    if len(wanted.limits) > LIMITS_MAX:
        raise bad(f"at most {LIMITS_MAX} limits", "limits")
    new = [new_limit(context, spec) for spec in wanted.limits]
    before = await _view(context, kind, id_)
    changed = await limits.replace(context.tx, kind, id_, new, context.now_ms)
    after = await _view(context, kind, id_)
    await context.audit(f"{kind}.limits", f"{kind}:{id_}", before, after)
    owned = await keys.ids_of(context.tx, kind, id_, KEYS_TOLD_MAX + 1)
    if len(owned) > KEYS_TOLD_MAX:
        context.publish("flush")
    else:
        for key_id in owned:
            context.publish("key", key_id)
    for limit_id in changed:
        context.publish("limit", limit_id)
    return after


def new_limit(context: Context, spec: LimitSpec) -> NewLimit:
    check_amount(spec.amount, "amount")
    zone = spec.zone or context.options.time_zone
    try:
        zone_of(zone)
        return NewLimit(Dimension(spec.dimension), Span(spec.span), zone, spec.amount)
    except ValueError as error:
        raise bad(f"this limit is not understood: {error}", "limits") from error


def check_amount(amount: int | None, param: str) -> None:
    if amount is not None and not 0 <= amount <= AMOUNT_MAX:
        raise bad(f"{param} must be from 0 to {AMOUNT_MAX}, or null for no limit", param)


async def _check_subject(context: Context, kind: str, id_: str) -> None:
    if kind == limits.USER:
        found = await accounts.find(context.tx, id_) is not None
    elif kind == limits.TEAM:
        found = await teams.find(context.tx, id_) is not None
    else:
        raise bad("subject_kind must be user or team", "subject_kind")
    if not found:
        raise Refusal(Code.NOT_FOUND, f"there is no such {kind}")


async def _view(context: Context, kind: str, id_: str) -> LimitsView:
    return LimitsView(limits=await limits.of_subjects(context.tx, [(kind, id_)]))


Handler = Callable[[Context, Any], Awaitable[Any]]  # a handler takes its own command's struct

HANDLERS: dict[type[Arguments], Handler] = {SetLimits: set_limits}
