"""What a token is allowed on a route: its own limits, the route's, and its share of a route's.

A limit for each token needs a row for each token, because counters belong to rows. The clerk makes
it when a token first comes by; from then on it is known here, until routes change.
"""

from collections.abc import Callable
from typing import Protocol

from tallygate.core.limits import Limit
from tallygate.core.routes import Route
from tallygate.core.shares import Share, Shared
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.lease import Parked
from tallygate.gateway.lease_book import LeaseBook

SHARES_MAX = 50_000
SEEKERS_MAX = 10_000

_Place = tuple[int, int]  # the limit for each token, and the token's key


class Sharer(Parked, Protocol):
    """A request that waits for its share."""

    def share_found(self) -> None: ...


class RouteShares:
    """The shares of one worker, bounded; dropped whole when they are too many."""

    def __init__(self, book: LeaseBook, send: Callable[[Share], bool]) -> None:
        self._book = book
        self._send = send
        self._limits: dict[_Place, Limit] = {}
        self._allowed: dict[tuple[int, int], KnownKey] = {}  # by route and key
        self._seeking: dict[_Place, list[Sharer]] = {}
        self._asked: dict[int, _Place] = {}
        self._seekers = 0
        self._id = 0

    @property
    def limits_in_use(self) -> set[int]:
        return {limit.id for limit in self._limits.values()}

    def allowed(
        self, sharer: Sharer, known: KnownKey, route: Route, wall_ms: int
    ) -> KnownKey | None:
        """The key with all allowances that count here; None: `sharer` is told later."""
        if not (route.limits or route.token_limits):
            return known
        place = (route.id, known.key.id)
        allowed = self._allowed.get(place)
        if allowed is not None and allowed.key is known.key:
            return allowed
        limits = [*known.key.limits, *route.limits]
        for template in route.token_limits:
            limit = self._limits.get((template.id, known.key.id))
            if limit is None:
                self._seek((template.id, known.key.id), sharer)
                return None
            limits.append(limit)
        limits.sort(key=lambda limit: limit.id)
        allowances = tuple(self._book.allowance(limit, wall_ms) for limit in limits)
        if len(self._allowed) >= SHARES_MAX:
            self._allowed.clear()
        allowed = self._allowed[place] = KnownKey(known.key, allowances)
        return allowed

    def forget_all(self) -> None:
        """Routes changed, and their limits perhaps."""
        self._limits.clear()
        self._allowed.clear()

    def _seek(self, place: _Place, sharer: Sharer) -> None:
        if self._seekers >= SEEKERS_MAX:
            sharer.store_gone()
            return
        self._seekers += 1
        seekers = self._seeking.setdefault(place, [])
        seekers.append(sharer)
        if len(seekers) == 1:
            self._ask(place)

    def _ask(self, place: _Place) -> None:
        self._id += 1
        if self._send(Share(self._id, *place)):
            self._asked[self._id] = place

    def answered(self, shared: Shared) -> None:
        place = self._asked.pop(shared.id, None)
        if place is None:
            return
        if shared.limit is not None:
            if len(self._limits) >= SHARES_MAX:
                self.forget_all()
            self._limits[place] = shared.limit
        seekers = self._seeking.pop(place, [])
        self._seekers -= len(seekers)
        for sharer in seekers:
            if shared.limit is not None:
                sharer.share_found()
            else:  # the store is away, or the route has just changed: the next try will see
                sharer.store_gone()

    def reconnected(self) -> None:
        """Ask again what the last clerk did not answer."""
        self._asked.clear()
        for place in list(self._seeking):
            self._ask(place)
