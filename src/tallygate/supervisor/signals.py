"""The supervisor's signals, turned into numbers that its loop reads.

TERM and INT stop, a second one hastens; HUP asks for a rolling restart, unless the terminal that
the node was started from has gone, which stops it; CHLD only wakes the loop.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

# `timeout` and some service managers signal a process and then its group: that is one wish.
SAME_WISH_S = 0.25

_CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Signals:
    """What has been asked for so far."""

    def __init__(self) -> None:
        self.stops = 0
        self._stopped_at = 0.0
        self._wants_roll = False
        self._wake_fd = -1
        self._had_terminal = os.isatty(0)

    @contextlib.contextmanager
    def caught(self) -> Iterator[int]:
        """Catch them; gives the file descriptor that becomes readable with each."""
        self._wake_fd, write_fd = os.pipe()
        os.set_blocking(self._wake_fd, False)
        os.set_blocking(write_fd, False)
        earlier_fd = signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
        earlier = {number: signal.signal(number, self._catch) for number in _CAUGHT}
        try:
            yield self._wake_fd
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(earlier_fd)
            os.close(write_fd)
            os.close(self._wake_fd)

    def _catch(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP and not (self._had_terminal and not os.isatty(0)):
            self._wants_roll = True
        elif number != signal.SIGCHLD:
            now = time.monotonic()
            if not self.stops or now > self._stopped_at + SAME_WISH_S:
                self.stops += 1
                self._stopped_at = now

    def drain(self) -> None:
        """Empty the pipe that woke the loop."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_fd, 512):
                pass

    def take_roll(self) -> bool:
        """Whether a rolling restart was asked for since the last time."""
        wanted, self._wants_roll = self._wants_roll, False
        return wanted
