"""How long a post stays empty after its process died: not at all, unless it keeps dying.

The first restart is immediate, so that a killed role serves again within two seconds. A life that
was ready and lasted counts as healthy; only lives that were not make the next restart wait.
"""

from dataclasses import dataclass

HEALTHY_AFTER_S = 1.0
FIRST_DELAY_S = 0.25
DELAY_S_MAX = 5.0


@dataclass(slots=True)
class Backoff:
    """Counts the deaths of one post that came too early."""

    early_deaths: int = 0

    def delay_s(self, *, was_ready: bool, lived_s: float) -> float:
        """The wait before the next life, given how the last one went."""
        if was_ready and lived_s >= HEALTHY_AFTER_S:
            self.early_deaths = 0
            return 0.0
        self.early_deaths += 1
        if self.early_deaths == 1:
            return 0.0
        doublings = min(self.early_deaths - 2, 10)
        return min(DELAY_S_MAX, FIRST_DELAY_S * 2.0**doublings)
