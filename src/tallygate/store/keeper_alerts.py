"""The keeper's alerts that are told once for each time, by a server or by a run."""

from typing import Final

from tallygate.core import credential_notices
from tallygate.core.budget import NewNotice
from tallygate.store import credentials, keeper_runs, notices
from tallygate.store.database import Tx

# Runs over a few come often: while an upstream is down they fail every few minutes.
AGAIN_MS: Final = 6 * 3_600_000


async def tell_if_idle(tx: Tx, now_ms: int) -> None:
    """Once for each time that nothing ran."""
    oldest_ms = await credentials.oldest_ms(tx)
    latest_ms = await keeper_runs.latest_ms(tx)
    if oldest_ms is None or not credential_notices.is_idle(latest_ms, oldest_ms, now_ms):
        return
    if not await notices.was_told(tx, credential_notices.IDLE, latest_ms or oldest_ms):
        await notices.insert(tx, [credential_notices.idle(latest_ms, now_ms)], now_ms)


async def tell_failing(tx: Tx, told: NewNotice, now_ms: int, *, is_of_few: bool) -> None:
    """Of each run over all; of runs over a few once in a while."""
    since_ms = now_ms - AGAIN_MS
    if not is_of_few or not await notices.was_told(tx, credential_notices.FAILING, since_ms):
        await notices.insert(tx, [told], now_ms)
