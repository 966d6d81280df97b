"""The store's time as this node keeps it: its offset to the machine's monotonic clock.

Workers on the same machine read the same monotonic clock, so one number tells them the time.
"""

import time

from tallygate.store.database import Database


def monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class NodeClock:
    """`core.ports.Clock`: asks the store from time to time, and never goes backwards."""

    __slots__ = ("_db", "_latest_ms", "offset_ms")

    def __init__(self, db: Database) -> None:
        self._db = db
        self._latest_ms = 0
        self.offset_ms = db.system_clock_ms() - monotonic_ms()

    def __repr__(self) -> str:
        return f"<NodeClock offset_ms={self.offset_ms}>"

    def now_ms(self) -> int:
        self._latest_ms = max(self._latest_ms, self.offset_ms + monotonic_ms())
        return self._latest_ms

    def monotonic_ms(self) -> int:
        return monotonic_ms()

    async def adjust(self) -> None:
        """Ask the store what time it is; half of the way there and back is taken off."""
        asked_ms = monotonic_ms()
        store_ms = await self._db.clock_ms()
        self.offset_ms = store_ms - (asked_ms + monotonic_ms()) // 2
