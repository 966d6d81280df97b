"""Whether who holds a credential lives, told by our own patience and not by anybody's clock.

The store's clock may have been set since a run's last sign of life: then a dead one would seem to
live for hours, or a living one to be dead. One that lives gives another sign every two seconds.
"""

import asyncio
from typing import Final

from tallygate.keeper.book import Book
from tallygate.store.keeper_runs import DEAD_MS, Pulse

PATIENCE_S: Final = DEAD_MS / 1000


class Watch:
    """Of one run over those that hold what it wants."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._seen: dict[int, tuple[Pulse, float]] = {}  # by run: its sign, and since when

    async def look(self, credential_id: int) -> None:
        """Give up whoever holds it if no other sign came for too long."""
        pulse = await self._book.pulse(credential_id)
        if pulse is None:
            return
        now_s = asyncio.get_running_loop().time()
        seen, since_s = self._seen.get(pulse.run_id, (None, now_s))
        if seen != pulse:
            self._seen[pulse.run_id] = (pulse, now_s)
        elif now_s - since_s > PATIENCE_S:
            await self._book.give_up(pulse)
