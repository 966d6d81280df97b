"""How often an address may guess wrong: a bucket of guesses that refills slowly."""

from collections import OrderedDict
from typing import Final

GUESSES_MAX: Final = 60
GUESSES_REFILLED_PER_S: Final = 1
ADDRESSES_MAX: Final = 4096


class GuessBudget:
    """A bucket of wrong guesses per address; the addresses seen longest ago are forgotten first."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # left, as of

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, address: str, now_s: float) -> int:
        """0: may try; else how many seconds until it may."""
        if address not in self._buckets:
            return 0
        left = self._left(address, now_s)
        return 0 if left >= 1 else max(1, round((1 - left) / GUESSES_REFILLED_PER_S))

    def spend(self, address: str, now_s: float) -> None:
        self._buckets[address] = (max(0.0, self._left(address, now_s) - 1), now_s)
        self._buckets.move_to_end(address)
        while len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)

    def _left(self, address: str, now_s: float) -> float:
        left, as_of = self._buckets.get(address, (float(GUESSES_MAX), now_s))
        return min(float(GUESSES_MAX), left + (now_s - as_of) * GUESSES_REFILLED_PER_S)
