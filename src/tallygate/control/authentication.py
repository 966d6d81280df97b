"""Who may come in: the admin token, compared in constant time, with guessing slowed down.

Only a wrong token counts as a guess, never a missing one. An address that has used up its guesses
is refused unheard until the bucket fills again, so that a flood of guesses learns nothing.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from fastapi import Request

from tallygate.control.refusals import TryLater
from tallygate.core.errors import Code, Refusal

GUESSES_MAX = 60
GUESSES_REFILLED_PER_S = 1.0
ADDRESSES_MAX = 4096
_KEY_HEADERS = (b"x-api-key", b"x-trial-key")

IsKey = Callable[[bytes], Awaitable[bool]]


class GuessBudget:
    """A bucket of guesses per address or name; those seen longest ago are forgotten first."""

    def __init__(
        self,
        monotonic_s: Callable[[], float],
        guesses_max: int = GUESSES_MAX,
        refilled_per_s: float = GUESSES_REFILLED_PER_S,
    ) -> None:
        self._monotonic_s = monotonic_s
        self._guesses_max = float(guesses_max)
        self._refilled_per_s = refilled_per_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # left, as of

    def wait_s(self, address: str) -> int:
        """0: may try; else how many seconds until it may."""
        left = self._left(address)
        return 0 if left >= 1 else max(1, round((1 - left) / self._refilled_per_s))

    def spend(self, address: str) -> None:
        self._set(address, max(0.0, self._left(address) - 1))

    def give_back(self, address: str) -> None:
        """What was spent in advance turned out to be no guess."""
        self._set(address, min(self._guesses_max, self._left(address) + 1))

    def _set(self, address: str, left: float) -> None:
        self._buckets[address] = (left, self._monotonic_s())
        self._buckets.move_to_end(address)
        while len(self._buckets) > ADDRESSES_MAX:
            self._buckets.popitem(last=False)

    def _left(self, address: str) -> float:
        left, as_of = self._buckets.get(address, (self._guesses_max, self._monotonic_s()))
        refilled = (self._monotonic_s() - as_of) * self._refilled_per_s
        return min(self._guesses_max, left + refilled)

    def __len__(self) -> int:
        return len(self._buckets)


class AdminDoor:
    """Lets the admin token in; knows it only as a digest."""

    def __init__(self, admin_token: str, budget: GuessBudget) -> None:
        assert admin_token, "an empty admin token would let everyone in"
        self._digest = hashlib.sha256(admin_token.encode()).digest()
        self._budget = budget

    async def admit(self, request: Request, is_key: IsKey) -> None:
        """Nothing when the caller is the operator, else a Refusal.

        `is_key` says whether a token is one of our API keys: then we know who asks, and that they
        may not.
        """
        offered = offered_tokens(request)
        keys = [value.strip() for name, value in request.scope["headers"] if name in _KEY_HEADERS]
        if not offered and not any(keys):
            raise Refusal(
                Code.UNAUTHORIZED,
                "send the admin token as `Authorization: Bearer …` or `X-Admin-Token`",
            )
        address = client_address(request)
        if wait_s := self._budget.wait_s(address):
            raise TryLater(
                Code.RATE_LIMIT_EXCEEDED, "too many wrong admin tokens from this address", wait_s
            )
        matches = [hmac.compare_digest(self._digest, _digest_of(token)) for token in offered]
        if any(matches):
            return
        for token in (*offered, *keys):
            if token and await is_key(token):
                raise Refusal(Code.FORBIDDEN, "an API key opens no part of this API")
        self._budget.spend(address)
        raise Refusal(Code.UNAUTHORIZED, "this is not the admin token")


def offered_tokens(request: Request) -> list[bytes]:
    """What the caller sent as a token, in either header; raw bytes, as headers have no encoding."""
    offered = []
    for name, value in request.scope["headers"]:
        if name == b"x-admin-token" and value.strip():
            offered.append(value.strip())
        elif name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            if scheme.lower() == b"bearer" and token.strip():
                offered.append(token.strip())
    return offered


def client_address(request: Request) -> str:
    """The gateway names its client; who comes over the socket itself is this machine's own."""
    forwarded: str = request.headers.get("x-forwarded-for", "")
    return forwarded.rpartition(",")[2].strip() or "local"


def _digest_of(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
