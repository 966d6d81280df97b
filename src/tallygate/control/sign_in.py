"""What signing in is made of: passwords, the slowing down of guesses, how long a session lasts."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from tallygate.control.authentication import GuessBudget
from tallygate.control.oidc import Oidc
from tallygate.control.passwords import Passwords
from tallygate.control.refusals import TryLater
from tallygate.core.errors import Code

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


class Throttle:
    """Wrong passwords, counted per address and per name that was tried.

    A try is spent before the password is looked at and given back if it was right: many tries sent
    at once are no way around.
    """

    def __init__(self, monotonic_s: Callable[[], float] = monotonic) -> None:
        self._addresses = GuessBudget(monotonic_s, guesses_max=30, refilled_per_s=0.5)
        self._names = GuessBudget(monotonic_s, guesses_max=10, refilled_per_s=0.1)

    def spend(self, address: str, name: str) -> None:
        """TryLater when this address or this name was tried too often."""
        if wait_s := max(self._addresses.wait_s(address), self._names.wait_s(name)):
            message = "too many wrong passwords; wait a little"
            raise TryLater(Code.RATE_LIMIT_EXCEEDED, message, wait_s)
        self._addresses.spend(address)
        self._names.spend(name)

    def give_back(self, address: str, name: str) -> None:
        self._addresses.give_back(address)
        self._names.give_back(name)


def _passwords() -> Passwords:
    return Passwords(secrets.token_bytes)


@dataclass(frozen=True, slots=True)
class SignIn:
    """`public_url` is what people reach this server by, if the operator has said so."""

    passwords: Passwords = field(default_factory=_passwords)
    throttle: Throttle = field(default_factory=Throttle)
    oidc: Oidc | None = None
    public_url: str = ""
    idle_ms: int = 12 * HOUR_MS
    max_ms: int = 7 * 24 * HOUR_MS
    entropy: Callable[[int], bytes] = secrets.token_bytes
