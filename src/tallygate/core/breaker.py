"""A circuit breaker: an upstream that keeps failing is left alone for a while, then tried once.

Pure: the time is an argument. Each further failure of a trial doubles the pause, to a bound.
"""

FAILURES_TO_OPEN = 5
PAUSE_MS = 2_000
PAUSE_MS_MAX = 60_000


class Breaker:
    """One upstream's health as one worker sees it."""

    __slots__ = ("_pause_ms", "_trial_until_ms", "failures", "open_until_ms")

    def __init__(self) -> None:
        self.failures = 0  # in a row; open only with some
        self._pause_ms = PAUSE_MS
        self._trial_until_ms = 0
        self.open_until_ms = 0

    def __repr__(self) -> str:
        return f"<Breaker failures={self.failures} open_until_ms={self.open_until_ms}>"

    @property
    def is_closed(self) -> bool:
        return not self.open_until_ms

    def admits(self, now_ms: int) -> bool:
        """Whether a request may go there now: always, or after the pause one, as a trial."""
        return now_ms >= self.open_until_ms and now_ms >= self._trial_until_ms

    def trial_begins(self, now_ms: int) -> None:
        """The one request is on its way: no other until it has ended, or has had its time."""
        self._trial_until_ms = now_ms + self._pause_ms

    def succeeded(self) -> None:
        if self.failures:
            self.failures = 0
            self._pause_ms = PAUSE_MS
            self.open_until_ms = 0
            self._trial_until_ms = 0

    def failed(self, now_ms: int) -> None:
        self.failures += 1
        if self.failures < FAILURES_TO_OPEN:
            return
        if self.open_until_ms and now_ms >= self.open_until_ms:
            self._pause_ms = min(PAUSE_MS_MAX, self._pause_ms * 2)
        self.open_until_ms = now_ms + self._pause_ms
        self._trial_until_ms = 0
