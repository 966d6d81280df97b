"""Who may come in: the admin token, whoever is signed in, a user's own API key; in this order.

A header decides before a cookie does: a page of somebody else's can make a browser send its cookie,
but no header. The admin token is compared in constant time, and guessing is slowed down: only a
wrong token counts as a guess, never a missing one. An address that has used up its guesses is
refused unheard until the bucket fills again, so that a flood of guesses learns nothing.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable

from fastapi import Request

from tallygate.control.callers import ADMIN, NOBODY, Caller, Kind, client_address
from tallygate.control.cookies import check_origin, check_token, cookie_of
from tallygate.control.people import People
from tallygate.control.refusals import TryLater
from tallygate.control.roles import Need, changes_something, may
from tallygate.core.errors import Code, Refusal

GUESSES_MAX = 60
GUESSES_REFILLED_PER_S = 1.0
ADDRESSES_MAX = 4096
_KEY_HEADERS = (b"x-api-key", b"x-trial-key")


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

    def wait_s(self, address: str, count: int = 1) -> int:
        """0: may try so often; else how many seconds until it may."""
        left = self._left(address)
        return 0 if left >= count else max(1, round((count - left) / self._refilled_per_s))

    def spend(self, address: str, count: int = 1) -> None:
        self._set(address, max(0.0, self._left(address) - count))

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
    """Knows the admin token, as a digest only, and lets in who may come in."""

    def __init__(self, admin_token: str, budget: GuessBudget) -> None:
        assert admin_token, "an empty admin token would let everyone in"
        self._digest = hashlib.sha256(admin_token.encode()).digest()
        self._budget = budget

    async def admit(self, request: Request, need: Need | None, people: People) -> Caller:
        """The caller, who may make this call; else a Refusal: 401 unknown, 403 known."""
        if need in (Need.OPEN, Need.OWN):
            return NOBODY
        caller = await self._recognise(request, people)
        if not may(caller, need):
            if caller.kind is Kind.KEY:
                raise Refusal(Code.FORBIDDEN, "an API key opens no part of this API")
            raise Refusal(
                Code.FORBIDDEN, f"your role, {caller.role}, does not allow this; ask an admin"
            )
        return caller

    async def _recognise(self, request: Request, people: People) -> Caller:
        offered = offered_tokens(request)
        keys = [value.strip() for name, value in request.scope["headers"] if name in _KEY_HEADERS]
        if offered or any(keys):
            return await self._by_token(request, offered, keys, people)
        cookie = cookie_of(request)
        caller = await people.signed_in(cookie) if cookie else None
        if caller is None:
            raise Refusal(
                Code.UNAUTHORIZED,
                "your session has ended; sign in again"
                if cookie
                else "sign in, or send the admin token as `Authorization: Bearer …` or "
                "`X-Admin-Token`",
            )
        if changes_something(request.method):
            check_origin(request, people.public_url)
            check_token(request, cookie)
        return caller

    async def _by_token(
        self, request: Request, offered: list[bytes], keys: list[bytes], people: People
    ) -> Caller:
        address = client_address(request)
        if wait_s := self._budget.wait_s(address):
            raise TryLater(
                Code.RATE_LIMIT_EXCEEDED, "too many wrong admin tokens from this address", wait_s
            )
        matches = [hmac.compare_digest(self._digest, _digest_of(token)) for token in offered]
        if any(matches):
            return ADMIN
        for token in (*offered, *keys):
            caller = await people.by_key(token, address) if token else None
            if caller is not None:
                return caller
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


def _digest_of(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
