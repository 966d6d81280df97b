"""Where the time comes from: the only module that reads the wall clock.

Everything else is given its time, as `core.ports.Clock` or as a function of these.
"""

import time


def system_ms() -> int:
    """This machine's wall clock; it may jump."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """For deadlines and durations; it never goes back and means nothing elsewhere."""
    return time.monotonic_ns() // 1_000_000


class StoreClock:
    """The store's time out of this process's monotonic clock (`core.ports.Clock`).

    The clerk tells how far the two are apart. A new offset may lie a little before the last one;
    then time stands still until it has caught up, for it never goes back.
    """

    __slots__ = ("_latest_ms", "_offset_ms")

    def __init__(self, offset_ms: int) -> None:
        self._offset_ms = offset_ms
        self._latest_ms = 0

    def __repr__(self) -> str:
        return f"<StoreClock offset_ms={self._offset_ms}>"

    def set_offset(self, offset_ms: int) -> None:
        self._offset_ms = offset_ms

    def now_ms(self) -> int:
        now = monotonic_ms() + self._offset_ms
        if now > self._latest_ms:
            self._latest_ms = now
        return self._latest_ms

    def monotonic_ms(self) -> int:
        return monotonic_ms()
