"""Routes: which private service a path leads to, who may go there, and what is asked of it.

Pure, and decided alike by the edge worker: contract/route-vectors.json has the cases that both must
answer the same. The longest path wins, cut only where a segment ends; the routes of a host hide
those without one. Matching costs a look-up for each segment of the deepest route, not one a route.
"""

import enum
import urllib.parse
from collections.abc import Iterable, Mapping

import msgspec

from tallygate.core.addresses import is_address_allowed
from tallygate.core.limits import Limit
from tallygate.core.paths import is_ambiguous, is_own

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
EVERY_SCOPE = "*"  # a token with this scope may use any route


class Deadlines(msgspec.Struct, frozen=True, array_like=True):
    """How long each stage may take; `total_ms` 0: as long as bytes keep coming."""

    connect_ms: int = 10_000
    first_byte_ms: int = 120_000
    between_bytes_ms: int = 300_000
    total_ms: int = 0


class HeaderRules(msgspec.Struct, frozen=True, array_like=True):
    """Names are in lower case. Removed first, then renamed; what is added takes others' place."""

    remove: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    add: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<HeaderRules {len(self.remove)} {len(self.rename)} {len(self.add)}>"

    @property
    def are_empty(self) -> bool:
        return not (self.remove or self.rename or self.add)


class PoolUse(msgspec.Struct, frozen=True, array_like=True):
    """Credentials of a pool that a backend is shown: in a header, or in the query.

    `members` are those that live, each with its id and its secret; `renewable` are the ids of those
    that can get another one.
    """

    pool: str
    header: str = ""  # in lower case; nothing: it goes into the query
    template: str = ""  # of the header's value, around `{secret}`
    parameter: str = ""
    members: tuple[tuple[int, str], ...] = ()
    renewable: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"<PoolUse {self.pool} {[number for number, _ in self.members]}>"


class Route(msgspec.Struct, frozen=True, array_like=True):
    """A route as gateways know it; `path` has no slash at its end but where it is `/`."""

    id: int
    path: str
    backend_url: str
    scope: str = ""  # nothing: any token will do
    methods: tuple[str, ...] = ()  # none named: all
    host: str = ""  # in lower case; nothing: any host, but never a path of our own
    strip_prefix: bool = False
    rewrite: str = ""  # what takes the place of `path`
    request_headers: HeaderRules = HeaderRules()
    response_headers: HeaderRules = HeaderRules()
    limits: tuple[Limit, ...] = ()  # for all tokens together
    token_limits: tuple[Limit, ...] = ()  # for each token
    deadlines: Deadlines = Deadlines()
    credentials: PoolUse | None = None

    def __repr__(self) -> str:
        return f"<Route {self.host}{self.path}>"


class Why(enum.StrEnum):
    """What became of a request at the gate, the same words here and at the edge."""

    OK = "ok"
    BAD_PATH = "bad_path"
    NO_ROUTE = "no_route"
    NO_TOKEN = "no_token"  # noqa: S105 - a verdict, not a secret
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105 - a verdict, not a secret
    INACTIVE = "inactive"
    EXPIRED = "expired"
    WRONG_ADDRESS = "wrong_address"
    WRONG_SCOPE = "wrong_scope"
    WRONG_METHOD = "method_not_allowed"


STATUS: Mapping[Why, int] = {
    Why.OK: 200,
    Why.BAD_PATH: 400,
    Why.NO_ROUTE: 404,
    Why.NO_TOKEN: 401,
    Why.UNKNOWN_TOKEN: 401,
    Why.INACTIVE: 403,
    Why.EXPIRED: 403,
    Why.WRONG_ADDRESS: 403,
    Why.WRONG_SCOPE: 403,
    Why.WRONG_METHOD: 405,
}


class RouteTable:
    """All routes, to be asked for the one that a request takes."""

    __slots__ = ("_anywhere", "_hosts", "size")

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self._anywhere = _Paths()
        self._hosts: dict[str, _Paths] = {}
        self.size = 0
        for route in routes:
            self.size += 1
            paths = self._hosts.setdefault(route.host, _Paths()) if route.host else self._anywhere
            paths.add(route)

    def __repr__(self) -> str:
        return f"<RouteTable {self.size}>"

    def match(self, host: str, path: str) -> Route | None:
        """The route of a path without its query; `host` as the client sent it."""
        if self._hosts:
            paths = self._hosts.get(without_port(host))
            if paths is not None:
                found = paths.match(path)
                if found is not None:
                    return found
        if not self._anywhere.routes or is_own(path):
            return None
        return self._anywhere.match(path)


class _Paths:
    """The routes of one host by their paths."""

    __slots__ = ("depth", "routes")

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.depth = 0  # segments of the deepest one

    def add(self, route: Route) -> None:
        self.routes[route.path] = route
        if route.path != "/":
            self.depth = max(self.depth, route.path.count("/"))

    def match(self, path: str) -> Route | None:
        end = 0
        ends = []
        for _ in range(self.depth):
            end = path.find("/", end + 1)
            if end < 0:
                ends.append(len(path))
                break
            ends.append(end)
        for end in reversed(ends):
            route = self.routes.get(path[:end])
            if route is not None:
                return route
        return self.routes.get("/")


def without_port(host: str) -> str:
    """The name in a Host field, in lower case."""
    name, colon, port = host.rpartition(":")
    if colon and (port.isdigit() or not port) and not name.endswith(":"):
        host = name
    return host.lower().rstrip(".")


def may_use(route: Route, scopes: Iterable[str]) -> bool:
    return not route.scope or route.scope in scopes or EVERY_SCOPE in scopes


def backend_path(route: Route) -> str:
    """The path of the backend's URL, without a slash at its end."""
    return urllib.parse.urlsplit(route.backend_url).path.rstrip("/")


def forwarded_target(route: Route, target: str) -> str:
    """The whole target that the backend is sent: its own path, ours, and the query as it is."""
    path, mark, query = target.partition("?")
    if route.strip_prefix or route.rewrite:
        rest = path if route.path == "/" else path[len(route.path) :]
        path = route.rewrite.rstrip("/") + rest
    return (backend_path(route) + path or "/") + mark + query


def with_parameter(target: str, name: str, value: str) -> str:
    """The target with this parameter, and with no other of its name; `value` is quoted already."""
    path, _, query = target.partition("?")
    kept = [pair for pair in query.split("&") if pair and _name_of(pair) != name]
    return f"{path}?{'&'.join([*kept, f'{name}={value}'])}"


def _name_of(pair: str) -> str:
    return urllib.parse.unquote_plus(pair.partition("=")[0])


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What the decision needs of a token."""

    scopes: tuple[str, ...] = ()
    is_active: bool = True
    expires_ms: int | None = None
    addresses: tuple[str, ...] | None = None


class Verdict(msgspec.Struct, frozen=True):
    """`route` is the matched path, `forwarded` the target at the backend; empty where refused."""

    why: Why
    route: str = ""
    forwarded: str = ""

    @property
    def status(self) -> int:
        return STATUS[self.why]


def why_not(route: Route, token: Token, method: str, address: str, now_ms: int) -> Why:
    """OK, or the first thing that stands against the token here."""
    if not token.is_active:
        return Why.INACTIVE
    if token.expires_ms is not None and token.expires_ms <= now_ms:
        return Why.EXPIRED
    if token.addresses is not None and not is_address_allowed(address, token.addresses):
        return Why.WRONG_ADDRESS
    if not may_use(route, token.scopes):
        return Why.WRONG_SCOPE
    if route.methods and method not in route.methods:
        return Why.WRONG_METHOD
    return Why.OK


def decide(
    table: RouteTable,
    tokens: Mapping[str, Token],
    *,
    method: str,
    host: str,
    target: str,
    headers: Mapping[str, str],
    address: str,
    now_ms: int,
) -> Verdict:
    """The verdict on a request; `tokens` by the token itself, `headers` by lower-case name."""
    path = target.partition("?")[0]
    if is_ambiguous(path):
        return Verdict(Why.BAD_PATH)
    route = table.match(host, path)
    if route is None:
        return Verdict(Why.NO_ROUTE)
    sent = token_of(headers.get("x-api-key", ""), headers.get("authorization", ""))
    if not sent:
        return Verdict(Why.NO_TOKEN, route.path)
    token = tokens.get(sent)
    if token is None:
        return Verdict(Why.UNKNOWN_TOKEN, route.path)
    why = why_not(route, token, method, address, now_ms)
    if why is not Why.OK:
        return Verdict(why, route.path)
    return Verdict(why, route.path, forwarded_target(route, target))


def token_of(api_key: str, authorization: str) -> str:
    """X-API-Key goes first: a client may need Authorization for something else."""
    if api_key.strip():
        return api_key.strip()
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
