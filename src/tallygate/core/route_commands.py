"""Commands about routes: made, changed, deleted; and a token's share of what a route allows."""

import msgspec
from msgspec import UNSET, UnsetType

from tallygate.core.commands import Arguments, LimitSpec
from tallygate.core.limits import Limit


class HeaderSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Header rules as an operator writes them. A value of None keeps the one that is there."""

    remove: list[str] = []
    rename: dict[str, str] = {}
    add: dict[str, str | None] = {}

    def __repr__(self) -> str:
        return f"<HeaderSpec {sorted(self.add)}>"  # values are mostly credentials


class RouteLimitSpec(LimitSpec, kw_only=True, forbid_unknown_fields=True):
    """Requests per span, for each token or for all of them together."""

    per: str = "route"


class SaveRoute(Arguments):
    """Create a route or change one; CONFLICT when host and path are taken. → RouteView."""

    NAME = "route.save"
    id: int | None  # None: a new one
    path: str | UnsetType = UNSET
    backend_url: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    methods: list[str] | UnsetType = UNSET
    host: str | UnsetType = UNSET
    strip_prefix: bool | UnsetType = UNSET
    rewrite: str | UnsetType = UNSET
    request_headers: HeaderSpec | UnsetType = UNSET
    response_headers: HeaderSpec | UnsetType = UNSET
    limits: list[RouteLimitSpec] | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    credentials: str | UnsetType = UNSET  # a pool whose secrets the backend is shown; "": none
    credential_header: str | UnsetType = UNSET  # `name: value with {secret}`
    credential_query: str | UnsetType = UNSET  # or the name of a parameter
    connect_ms: int | UnsetType = UNSET
    first_byte_ms: int | UnsetType = UNSET
    between_bytes_ms: int | UnsetType = UNSET
    total_ms: int | UnsetType = UNSET


class DeleteRoute(Arguments):
    """→ RouteView. Its usage stays."""

    NAME = "route.delete"
    id: int


class RouteView(msgspec.Struct, kw_only=True):
    """A route without the values of the request headers that it adds."""

    id: int
    path: str
    backend_url: str
    scope: str
    methods: list[str]
    host: str
    strip_prefix: bool
    rewrite: str
    request_headers: HeaderSpec
    response_headers: HeaderSpec
    limits: list[Limit]
    token_limits: list[Limit]
    is_active: bool
    credentials: str
    credential_header: str
    credential_query: str
    connect_ms: int
    first_byte_ms: int
    between_bytes_ms: int
    total_ms: int
    created_ms: int
