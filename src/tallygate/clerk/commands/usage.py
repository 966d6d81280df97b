"""Usage: the daily reset, and the cleaning of old rows."""

import datetime
from typing import Any

from tallygate.clerk.commands.context import Context, bad
from tallygate.core.commands import ResetUsage
from tallygate.store import limits


async def reset(context: Context, wanted: ResetUsage) -> dict[str, Any]:
    """Counters are cleared and their leases void; usage rows and ledger stay as they are."""
    day = context.today if wanted.day is None else _day(wanted.day)
    cleared = await limits.reset_day(context.tx, day)
    await context.audit("usage.reset", f"day:{day}", None, {"reset": len(cleared)})
    for limit_id, window_s in cleared:
        context.publish("counter", limit_id, window_s)
    return {"day": day.isoformat(), "reset": len(cleared)}


def _day(text: str) -> datetime.date:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise bad("day must be a date like 2026-01-31", "day") from error
    if day.isoformat() != text:
        raise bad("day must be a date like 2026-01-31", "day")
    return day
