"""/api/routes: which private service a path leads to, and which tokens may go there.

The value of a request header that is added goes in, never out: it is answered as null, and null
sent back keeps it.
"""

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import bodies, lists
from tallygate.control.admin_keys import Deleted
from tallygate.control.bodies import Amount
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.errors import Code, Refusal
from tallygate.core.limits import Limit
from tallygate.core.route_commands import (
    DeleteRoute,
    HeaderSpec,
    RouteLimitSpec,
    RouteView,
    SaveRoute,
)
from tallygate.core.windows import Span
from tallygate.store import routes as rows

Path = Annotated[str, msgspec.Meta(max_length=512)]
Url = Annotated[str, msgspec.Meta(max_length=2048)]
Scope = Annotated[str, msgspec.Meta(max_length=500)]
Host = Annotated[str, msgspec.Meta(max_length=253)]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
Methods = Annotated[list[Method], msgspec.Meta(max_length=7)]
Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=86_400_000)]
Total = Annotated[int, msgspec.Meta(ge=0, le=86_400_000, description="0: no bound of its own")]
HeaderName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
HeaderValue = Annotated[str, msgspec.Meta(max_length=4096)]
Pool = Annotated[
    str,
    msgspec.Meta(max_length=200, description="of credentials: the backend is shown one of them"),
]
CredentialHeader = Annotated[
    str,
    msgspec.Meta(
        max_length=512,
        description="where its secret goes, `authorization: Bearer {secret}` if nothing is said",
    ),
]
Parameter = Annotated[
    str, msgspec.Meta(max_length=128, description="of the query, in place of a header")
]
_IS_SPELLED_SO = ("connect_ms", "first_byte_ms", "between_bytes_ms", "total_ms")
_OF_CREDENTIALS = ("credentials", "credential_header", "credential_query")


class RouteHeaders(bodies.Body, kw_only=True):
    """Removed first, then renamed; what is added takes the place of what was sent."""

    add: dict[HeaderName, HeaderValue | None] = msgspec.field(default_factory=dict)
    remove: list[HeaderName] = msgspec.field(default_factory=list)
    rename: dict[HeaderName, HeaderName] = msgspec.field(default_factory=dict)


class RouteLimit(bodies.Body, kw_only=True):
    """Requests per span: of each token, or of all together."""

    span: Span = Span.MINUTE
    amount: Amount | None
    per: Literal["token", "route"] = "route"
    zone: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class RouteChange(bodies.Body, kw_only=True):
    """What of a route can be changed; a field that is left out stays as it is."""

    path: Path | UnsetType = UNSET
    backend_url: Url | UnsetType = UNSET
    scope: Scope | UnsetType | None = UNSET
    methods: Methods | UnsetType | None = UNSET
    host: Host | UnsetType | None = UNSET
    strip_prefix: bool | UnsetType = UNSET
    rewrite: Path | UnsetType | None = UNSET
    request_headers: RouteHeaders | UnsetType | None = UNSET
    response_headers: RouteHeaders | UnsetType | None = UNSET
    limits: Annotated[list[RouteLimit], msgspec.Meta(max_length=32)] | UnsetType = UNSET
    connect_ms: Milliseconds | UnsetType = UNSET
    first_byte_ms: Milliseconds | UnsetType = UNSET
    between_bytes_ms: Milliseconds | UnsetType = UNSET
    total_ms: Total | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    credentials: Pool | UnsetType | None = UNSET
    credential_header: CredentialHeader | UnsetType | None = UNSET
    credential_query: Parameter | UnsetType | None = UNSET


class NewRoute(RouteChange, kw_only=True):
    """A route: `path` and all below it go to `backend_url`, for every method and any token."""

    path: Path
    backend_url: Url


class ShownHeaders(msgspec.Struct, kw_only=True):
    """`add` of request headers is answered with null for each value."""

    add: dict[str, str | None]
    remove: list[str]
    rename: dict[str, str]


class ShownRouteLimit(msgspec.Struct, kw_only=True):
    dimension: str
    span: str
    amount: int | None
    zone: str
    per: str


class Route(msgspec.Struct, kw_only=True):
    """A route without the values of request headers that it adds."""

    id: str
    path: str
    backend_url: str
    scope: str | None
    methods: list[str] | None
    host: str | None
    strip_prefix: bool
    rewrite: str | None
    request_headers: ShownHeaders
    response_headers: ShownHeaders
    limits: list[ShownRouteLimit]
    connect_ms: int
    first_byte_ms: int
    between_bytes_ms: int
    total_ms: int
    is_active: bool
    credentials: str | None
    credential_header: str | None
    credential_query: str | None
    created_at: str


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/routes", tags=["routes"])

    @router.get("", **described(lists.Page[Route]))
    async def list_routes(limit: str | None = None, cursor: str | None = None) -> Response:
        """Every route, by host and path."""
        start, size = lists.read_cursor(cursor) or 0, lists.read_limit(limit)
        async with parts.database.reading() as tx:
            found, total = await rows.page(tx, limit=size, offset=start)
        end = start + len(found)
        more = str(end) if found and end < total else None
        items = [shown(view) for view in found]
        return bodies.answer(lists.Page(items=items, total=total, next=more))

    @router.get("/{id}", **described(Route))
    async def show_route(id: str) -> Response:
        """One route."""
        async with parts.database.reading() as tx:
            found = await rows.find(tx, _number(id))
        if found is None:
            raise _unknown()
        return bodies.answer(shown(found))

    @router.post("", **described(Route, status=201, body=NewRoute))
    async def create_route(request: Request) -> Response:
        """Add a route; gateways serve it within a second. The longest path wins."""
        body = await bodies.read(request, NewRoute)
        made = await order(parts.clerk, request, change_of(body, None), RouteView)
        return bodies.answer(shown(made), 201)

    @router.patch("/{id}", **described(Route, body=RouteChange))
    async def change_route(request: Request, id: str) -> Response:
        """Change a route; requests on their way end as they would have."""
        body = await bodies.read(request, RouteChange)
        saved = await order(parts.clerk, request, change_of(body, _number(id)), RouteView)
        return bodies.answer(shown(saved))

    @router.delete("/{id}", **described(Deleted))
    async def delete_route(request: Request, id: str) -> Response:
        """Remove a route; its usage stays."""
        await order(parts.clerk, request, DeleteRoute(id=_number(id)), RouteView)
        return bodies.answer(Deleted())

    return router


def shown(view: RouteView) -> Route:
    """A route as the API and the command line answer it."""
    return Route(
        id=str(view.id),
        path=view.path,
        backend_url=view.backend_url,
        scope=view.scope or None,
        methods=view.methods or None,
        host=view.host or None,
        strip_prefix=view.strip_prefix,
        rewrite=view.rewrite or None,
        request_headers=_headers(view.request_headers),
        response_headers=_headers(view.response_headers),
        limits=_limits(view.limits, "route") + _limits(view.token_limits, "token"),
        is_active=view.is_active,
        credentials=view.credentials or None,
        credential_header=view.credential_header or None,
        credential_query=view.credential_query or None,
        created_at=bodies.rfc3339(view.created_ms) or "",
        **{name: getattr(view, name) for name in _IS_SPELLED_SO},
    )


def change_of(body: RouteChange, id_: int | None) -> SaveRoute:
    change = SaveRoute(id=id_)
    for name in ("path", "backend_url", "strip_prefix", "is_active", *_IS_SPELLED_SO):
        setattr(change, name, getattr(body, name))
    for name in ("scope", "host", "rewrite", *_OF_CREDENTIALS):
        value: str | UnsetType | None = getattr(body, name)
        setattr(change, name, "" if value is None else value)
    if body.methods is not UNSET:
        change.methods = list(body.methods or ())
    for name in ("request_headers", "response_headers"):
        rules: RouteHeaders | UnsetType | None = getattr(body, name)
        if rules is not UNSET:
            setattr(change, name, _spec(rules or RouteHeaders()))
    if body.limits is not UNSET:
        change.limits = [
            RouteLimitSpec(span=one.span.value, amount=one.amount, per=one.per, zone=one.zone)
            for one in body.limits
        ]
    return change


def _spec(rules: RouteHeaders) -> HeaderSpec:
    """Names in lower case, as they are compared."""
    return HeaderSpec(
        add={name.lower(): value for name, value in rules.add.items()},
        remove=[name.lower() for name in rules.remove],
        rename={old.lower(): new.lower() for old, new in rules.rename.items()},
    )


def _headers(spec: HeaderSpec) -> ShownHeaders:
    return ShownHeaders(add=spec.add, remove=spec.remove, rename=spec.rename)


def _limits(limits: list[Limit], per: str) -> list[ShownRouteLimit]:
    return [
        ShownRouteLimit(
            dimension=limit.dimension.value,
            span=limit.span.value,
            amount=limit.amount,
            zone=limit.zone,
            per=per,
        )
        for limit in limits
    ]


def _number(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    raise _unknown()


def _unknown() -> Refusal:
    return Refusal(Code.NOT_FOUND, "there is no such route")
