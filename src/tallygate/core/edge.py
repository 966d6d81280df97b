"""What the edge is told: the documents that lie in Cloudflare's KV, and their names there.

Pure and exact to the byte, for a document is published again only if its text is another. Tokens
are there by their hashes only. Headers that routes add are sealed with the edge's own secret, with
a nonce made of what is sealed: the same headers are the same text. contract/edge-vectors.json holds
the Worker (edge/src/layout.ts) to what is written here.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from tallygate.core import sealing
from tallygate.core.limits import Dimension, Limit
from tallygate.core.routes import Deadlines, HeaderRules, Route

LAYOUT: Final = 1
ROUTES: Final = "routes"  # one document with all of them
TOKEN: Final = "token:"  # noqa: S105 - a prefix; its SHA-256 in hexadecimal digits follows
VALUE_BYTES_MAX: Final = 25 << 20  # Cloudflare takes no larger value
DIGEST_LENGTH: Final = 32

HEADERS: Final = "its headers need TALLYGATE_EDGE_SECRET"
_DEFAULT: Final = Deadlines()

SHUT: Final = "the master key does not open its headers"
POOLED: Final = "it uses the credentials of a pool, which only the gateway has"


class EdgeLimit(msgspec.Struct, frozen=True):
    """Requests per span; what counts anything else is not the edge's."""

    id: int
    span: str
    zone: str
    amount: int


class EdgeToken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token; after `ends_ms` its secret is none any more, though the token may live on."""

    scopes: tuple[str, ...] = ()
    is_active: bool = True
    expires_ms: int | None = None
    ends_ms: int | None = None
    addresses: tuple[str, ...] | None = None
    limits: tuple[EdgeLimit, ...] = ()

    @property
    def revokes(self) -> bool:
        """Whether it lets nobody through, so that it must go before what only lets more."""
        return not self.is_active


class EdgeRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    remove: tuple[str, ...] = ()
    rename: dict[str, str] = {}
    add: dict[str, str] = {}
    sealed: str = ""  # what is added, for requests


class EdgeRoute(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A route; `withheld` says why the edge must not serve it, though it is there."""

    id: int
    path: str
    backend_url: str
    scope: str = ""
    methods: tuple[str, ...] = ()
    host: str = ""
    strip_prefix: bool = False
    rewrite: str = ""
    request_headers: EdgeRules | None = None
    response_headers: EdgeRules | None = None
    limits: tuple[EdgeLimit, ...] = ()
    token_limits: tuple[EdgeLimit, ...] = ()
    first_byte_ms: int | None = None  # nothing: as long as by default
    withheld: str = ""


class EdgeRoutes(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    routes: tuple[EdgeRoute, ...]


def token_name(token_hash: bytes) -> str:
    return TOKEN + token_hash.hex()


def limits_of(limits: Iterable[Limit]) -> tuple[EdgeLimit, ...]:
    return tuple(
        EdgeLimit(one.id, one.span.value, one.zone, one.amount)
        for one in limits
        if one.dimension is Dimension.REQUESTS and one.amount is not None
    )


def text_of(document: EdgeToken | EdgeRoutes) -> str:
    return msgspec.json.encode(document, order="deterministic").decode()


def digest_of(text: str) -> str:
    """By which two texts are known to be the same, here and in what KV keeps beside a value."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def key_of(secret: str) -> bytes:
    """What the edge's secret seals by; the Worker makes the same of it."""
    return hashlib.sha256(f"tallygate edge {secret}".encode()).digest()


def routes_of(served: Iterable[Route], shut: Mapping[int, Route], key: bytes | None) -> EdgeRoutes:
    """`shut` are those whose headers the master key does not open: they are withheld, for without
    them a shorter route would take their requests. Without `key` so is every route that adds any,
    and so are always those that use a pool.
    """
    found = {route.id: _route_of(route, key) for route in served}
    for id_, route in shut.items():
        found[id_] = msgspec.structs.replace(_route_of(route, None), withheld=SHUT)
    return EdgeRoutes(version=LAYOUT, routes=tuple(found[id_] for id_ in sorted(found)))


def _route_of(route: Route, key: bytes | None) -> EdgeRoute:
    added = route.request_headers.add
    withheld = HEADERS if added and key is None else ""
    first_byte_ms = route.deadlines.first_byte_ms
    sealed = seal_headers(added, route.id, key) if added and key is not None else ""
    return EdgeRoute(
        id=route.id,
        path=route.path,
        backend_url=route.backend_url,
        scope=route.scope,
        methods=route.methods,
        host=route.host,
        strip_prefix=route.strip_prefix,
        rewrite=route.rewrite,
        request_headers=_rules_of(route.request_headers, sealed),
        response_headers=_rules_of(route.response_headers, None),
        limits=limits_of(route.limits),
        token_limits=limits_of(route.token_limits),
        first_byte_ms=None if first_byte_ms == _DEFAULT.first_byte_ms else first_byte_ms,
        withheld=withheld if route.credentials is None else POOLED,
    )


def _rules_of(rules: HeaderRules, sealed: str | None) -> EdgeRules | None:
    if rules.are_empty:
        return None
    return EdgeRules(
        remove=rules.remove,
        rename=rules.rename,
        add=rules.add if sealed is None else {},
        sealed=sealed or "",
    )


def seal_headers(added: Mapping[str, str], route_id: int, key: bytes) -> str:
    plain = msgspec.json.encode(dict(added), order="deterministic")
    purpose = f"edge.route:{route_id}"
    # Made of what is sealed: a nonce comes twice only with the very same text.
    made = hmac.new(key, purpose.encode() + b"\0" + plain, hashlib.sha256).digest()
    nonce = made[: sealing.NONCE_BYTES]
    return base64.b64encode(sealing.seal(key, plain, purpose, nonce)).decode()
