"""Credentials of a pool at a private service: they take turns, and one that was refused rests.

Whether a refused one is dead its keeper finds out; here it is only left alone while others do.
"""

import urllib.parse

from tallygate.core.route_checks import SECRET
from tallygate.core.routes import HeaderRules, PoolUse, Route, with_parameter

REST_MS = 30_000


class Bearer:
    """One credential as one route shows it to its backend."""

    __slots__ = ("_parameter", "_value", "id", "is_renewable", "rests_until_ms", "rules", "secret")

    def __init__(self, use: PoolUse, number: int, secret: str, rules: HeaderRules) -> None:
        self.id = number
        self.secret = secret
        self.is_renewable = number in use.renewable
        self.rests_until_ms = 0
        self._parameter = use.parameter
        self._value = urllib.parse.quote(secret, safe="")
        self.rules = rules
        if not use.parameter:
            added = {**rules.add, use.header: use.template.replace(SECRET, secret)}
            self.rules = HeaderRules(rules.remove, rules.rename, added)

    def __repr__(self) -> str:
        return f"<Bearer {self.id}>"

    def target(self, target: str) -> str:
        """The target that the backend is sent; a parameter takes the place of the client's own."""
        return with_parameter(target, self._parameter, self._value) if self._parameter else target


class Bearers:
    """Those of one route."""

    __slots__ = ("_all", "_turn")

    def __init__(self, route: Route) -> None:
        use = route.credentials
        self._all: list[Bearer] = []
        if use is not None:
            self._all = [Bearer(use, *one, route.request_headers) for one in use.members]
        self._turn = 0

    def __len__(self) -> int:
        return len(self._all)

    def of(self, number: int) -> Bearer | None:
        return next((one for one in self._all if one.id == number), None)

    def choose(self, tried: tuple[Bearer, ...], now_ms: int) -> Bearer | None:
        """The next in turn that was not tried; one that rests only if there is no other."""
        left = [one for one in self._all if one not in tried]
        left = [one for one in left if one.rests_until_ms <= now_ms] or left
        if not left:
            return None
        self._turn += 1
        return left[self._turn % len(left)]
