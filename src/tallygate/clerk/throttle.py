"""Slowing a key down, or stopping it, because of an anomaly; and giving it back what it had.

Both are ordinary changes of a key: a limit more, or a key that is not active. They are audited, and
gateways hear of them by the feed. A key is throttled once, by the first anomaly that asks for it.
"""

from typing import Final

import msgspec

from tallygate.clerk.commands.context import Context
from tallygate.clerk.options import Options
from tallygate.core.anomalies import THROTTLED, Kind, Throttle
from tallygate.core.commands import KeyView
from tallygate.core.limits import Dimension
from tallygate.core.ports import Actor
from tallygate.core.windows import Span
from tallygate.store import anomalies, keys, limits
from tallygate.store.limits import NewLimit

STEWARD: Final = Actor("tallygate", "", "")
HOUR_MS: Final = 3_600_000


def wanted(options: Options, kind: Kind, of_key: Throttle | None) -> Throttle:
    """What an anomaly of that kind does to a key, by its own word or by the setting."""
    if kind not in THROTTLED:
        return Throttle.OFF
    return of_key if of_key is not None else Throttle(options.anomaly_throttle)


async def apply(context: Context, anomaly_id: int, key: KeyView, throttle: Throttle) -> Throttle:
    """What holds for the key from now on because of this anomaly."""
    if throttle is Throttle.OFF or not key.is_active:
        return Throttle.OFF
    if await anomalies.throttled(context.tx, key.id):
        return Throttle.OFF
    limit_id = None
    if throttle is Throttle.SLOW:
        limit_id = await _slow(context, key)
    else:
        await keys.patch(context.tx, key.id, is_active=False)
    hours = context.options.anomaly_throttle_hours
    until_ms = context.now_ms + hours * HOUR_MS if hours else None
    await anomalies.set_throttle(context.tx, anomaly_id, throttle, limit_id, until_ms)
    await _told(context, "key.throttle", key, {"anomaly_id": anomaly_id, "throttle": throttle})
    return throttle


async def lift(context: Context, key_id: int) -> bool:
    """Give a key back what anomalies took from it; False: nothing was."""
    held = await anomalies.throttled(context.tx, key_id)
    if not held:
        return False
    key = await keys.find_view(context.tx, str(key_id))
    for anomaly_id, throttle, limit_id in held:
        await anomalies.set_throttle(context.tx, anomaly_id, Throttle.OFF, None, None)
        if limit_id is not None and await limits.delete(context.tx, limit_id, context.now_ms):
            context.publish("limit", limit_id)
        if throttle is Throttle.STOP and key is not None:
            await keys.patch(context.tx, key_id, is_active=True)
    if key is not None:  # it may have been deleted meanwhile
        ids = [anomaly_id for anomaly_id, _, _ in held]
        await _told(context, "key.lift_throttle", key, {"anomaly_ids": ids})
    return True


async def _slow(context: Context, key: KeyView) -> int:
    options = context.options
    amount = options.anomaly_throttle_per_minute
    limit = NewLimit(Dimension.REQUESTS, Span.MINUTE, options.time_zone, amount)
    return await limits.insert(
        context.tx, limits.KEY, str(key.id), limit, context.now_ms, is_daily=False
    )


async def _told(context: Context, action: str, before: KeyView, why: dict[str, object]) -> None:
    after = await keys.find_view(context.tx, str(before.id))
    told = {**msgspec.to_builtins(after, builtin_types=(bytes,)), **why}
    told.pop("sealed", None)
    await context.audit(action, f"key:{before.id}", before, told)
    context.publish("key", before.id)
