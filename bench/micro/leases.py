"""A worker's side of admission: reserving and settling the three limits of one request."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tallygate.core.leases import Holding, chunk
from tallygate.core.windows import Span, window_at

LARGE = 10**15
NOW_S = 1_732_147_200


@contextmanager
def cases() -> Iterator[dict[str, Callable[[], object]]]:
    holdings = [Holding(lease_id, 1) for lease_id in (1, 2, 3)]
    for holding in holdings:
        holding.learn_granted(LARGE)

    def three_limits() -> None:
        for holding in holdings:
            holding.reserve(1)
        for holding in holdings:
            holding.settle(1, 1)

    yield {
        "reserve and settle three limits": three_limits,
        "chunk": lambda: chunk(1, 1_000, 4),
        "window of a minute": lambda: window_at(Span.MINUTE, "UTC", NOW_S),
        "window of a day in Asia/Taipei": lambda: window_at(Span.DAY, "Asia/Taipei", NOW_S),
    }
