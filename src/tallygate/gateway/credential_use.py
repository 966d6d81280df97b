"""Which credentials of pools a worker used, and which ones were refused: told once a second."""

from collections.abc import Callable

from tallygate.core.ports import CredentialUse, FromWorker


class CredentialNotes:
    """Sets, because how often does not matter: a second is all that anybody counts by."""

    __slots__ = ("refused", "used")

    def __init__(self) -> None:
        self.used: set[int] = set()
        self.refused: set[int] = set()

    def tell(self, send: Callable[[FromWorker], object]) -> None:
        """What a clerk that is away misses is of no consequence: it happens again."""
        if self.used or self.refused:
            send(CredentialUse(sorted(self.used), sorted(self.refused)))
            self.used.clear()
            self.refused.clear()
