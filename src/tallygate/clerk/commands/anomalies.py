"""Anomalies: acknowledged, with or without giving the key back what it had."""

from tallygate.clerk import throttle
from tallygate.clerk.commands.context import Context, Handlers, bad
from tallygate.core.anomalies import Throttle
from tallygate.core.anomaly_commands import (
    AcknowledgeAnomaly,
    AnomalyView,
    KeyThrottleView,
    SetKeyThrottle,
)
from tallygate.core.errors import Code, Refusal
from tallygate.store import anomalies, keys

NOTE_MAX = 1000


async def acknowledge(context: Context, wanted: AcknowledgeAnomaly) -> AnomalyView:
    if len(wanted.note) > NOTE_MAX:
        raise bad(f"note must be at most {NOTE_MAX} characters", "note")
    before = await _find(context, wanted.anomaly_id)
    is_first = await anomalies.acknowledge(
        context.tx, before.id, context.actor.name, wanted.note, context.now_ms
    )
    is_lifted = False
    if wanted.lift_throttle:
        is_lifted = await throttle.lift(context, before.key_id)
    elif is_first:
        await anomalies.keep_throttle(context.tx, before.id)
    if not is_first and not is_lifted:
        raise Refusal(Code.CONFLICT, "this anomaly is acknowledged already")
    after = await _find(context, before.id)
    await context.audit(wanted.NAME, f"anomaly:{before.id}", _told(before), _told(after))
    return after


async def set_throttle(context: Context, wanted: SetKeyThrottle) -> KeyThrottleView:
    key = await keys.find_view(context.tx, wanted.key)
    if key is None:
        raise Refusal(Code.NOT_FOUND, "no such key")
    chosen = _throttle(wanted.throttle)
    before = (await anomalies.key_throttles(context.tx, [key.id])).get(key.id)
    await anomalies.set_key_throttle(context.tx, key.id, chosen)
    view = KeyThrottleView(key_id=key.id, throttle=chosen)
    old = KeyThrottleView(key_id=key.id, throttle=before)
    await context.audit(wanted.NAME, f"key:{key.id}", old, view)
    return view


def _throttle(name: str | None) -> Throttle | None:
    if name is None:
        return None
    try:
        return Throttle(name)
    except ValueError:
        known = ", ".join(Throttle)
        raise bad(f"throttle must be one of {known}", "throttle") from None


async def _find(context: Context, anomaly_id: int) -> AnomalyView:
    found = await anomalies.find(context.tx, anomaly_id)
    if found is None:
        raise Refusal(Code.NOT_FOUND, "no such anomaly")
    return found


def _told(view: AnomalyView) -> dict[str, object]:
    """Without the evidence, which does not change by being seen."""
    names = ("kind", "key_id", "state", "note", "throttle", "throttled_until_ms")
    return {name: getattr(view, name) for name in names}


HANDLERS: Handlers = {AcknowledgeAnomaly: acknowledge, SetKeyThrottle: set_throttle}
