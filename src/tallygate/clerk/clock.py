"""The store's time as this node keeps it; workers are told its offset to the monotonic clock."""

from tallygate import clock
from tallygate.store.database import Database


class NodeClock(clock.StoreClock):
    """Asks the store from time to time, and never goes backwards in between."""

    __slots__ = ("_db", "offset_ms")

    def __init__(self, db: Database) -> None:
        self._db = db
        self.offset_ms = db.system_clock_ms() - clock.monotonic_ms()
        super().__init__(self.offset_ms)

    async def adjust(self) -> None:
        """Ask the store what time it is; half of the way there and back is taken off."""
        asked_ms = clock.monotonic_ms()
        store_ms = await self._db.clock_ms()
        self.offset_ms = store_ms - (asked_ms + clock.monotonic_ms()) // 2
        self.set_offset(self.offset_ms)
