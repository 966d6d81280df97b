"""A loop whose time passes only when nobody has anything to do, and then at once."""

import asyncio
import selectors
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
REAL_WAIT_S = 1.0  # at most: whoever is done wakes the loop


class _Selector(selectors.DefaultSelector):
    """Waits for nothing: it moves the loop's clock to when the wait would have ended."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        is_waiting = self.loop.works and timeout != 0
        ready = super().select(REAL_WAIT_S if is_waiting else 0)
        if not ready and not self.loop.works:
            assert timeout is not None, "everybody waits for something that never comes"
            self.loop.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now_s = 1000.0
        self.works = 0
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While a thread or another process does something, time stands still and it is waited
        for."""
        self.works += 1
        try:
            yield
        finally:
            self.works -= 1


def run(work: Coroutine[Any, Any, T]) -> T:
    """To its end, in no time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
