"""A plan: everything about a request that follows from its head alone, worked out once per head.

Heads are remembered by their bytes (wire/head.py), and the plan with them, so a client that sends
the same head again pays for reading it once. A plan holds until providers change.
"""

import enum
import ipaddress

from tallygate.core.addresses import Networks, is_within
from tallygate.core.errors import Code, Refusal
from tallygate.core.keys import hash_key, is_plausible, is_short_enough, mask
from tallygate.core.provider import Protocol
from tallygate.core.request import Dialect
from tallygate.core.routes import token_of
from tallygate.gateway.answers import Shape
from tallygate.gateway.backends import Backend, Backends
from tallygate.gateway.bearers import Bearer
from tallygate.gateway.delivery_head import WEBHOOK_PATH, DeliveryHead
from tallygate.gateway.dify_path import dify_path
from tallygate.gateway.known_keys import KnownKey
from tallygate.gateway.upstreams import Upstream
from tallygate.gateway.usage_head import USAGE_LOG_PATH, UsageHead
from tallygate.wire.head import RequestHead

AGENT_LENGTH_MAX = 128
TRACEPARENT_LENGTH = 55  # later versions may be longer, and begin alike


class Service(enum.Enum):
    """What a path is for."""

    METERED = "a metered call"
    PASSTHROUGH = "a call that is only counted"
    ROUTE = "a private service"
    DIFY = "a call of a Dify app that is not metered"
    MODELS = "the list of models"
    HEALTH = "liveness"
    READINESS = "readiness"
    WEBHOOK = "deliveries that say what somebody used"
    USAGE_LOG = "reports of uses that somebody else let through"
    CONTROL = "everything else, relayed to the control plane"


_METERED = {
    b"/v1/chat/completions": Dialect.OPENAI_CHAT,
    b"/v1/completions": Dialect.OPENAI_COMPLETIONS,
    b"/v1/embeddings": Dialect.OPENAI_EMBEDDINGS,
    b"/v1/responses": Dialect.OPENAI_RESPONSES,
    b"/v1/messages": Dialect.ANTHROPIC_MESSAGES,
}


class Plan:
    """What to do with requests that have this head."""

    __slots__ = (
        "agent",
        "backend",
        "delivery",
        "dialect",
        "dify",
        "forwarded_for",
        "idempotency_key",
        "is_loop",
        "key_hash",
        "known",
        "masked_key",
        "no_key",
        "prefixes",
        "protocol",
        "report",
        "route",
        "service",
        "shape",
        "traceparent",
        "version",
    )

    def __init__(
        self, head: RequestHead, version: int, via: bytes, backends: Backends | None = None
    ) -> None:
        self.version = version
        self.is_loop = b"via" in head.values and any(
            via in value for name, value, _ in head.fields if name == b"via"
        )
        self.route = head.path.decode("ascii")
        self.service = _service_of(head)
        self.dialect = _METERED.get(head.path)
        self.protocol = Protocol.OPENAI
        self.shape = Shape.OWN
        self.delivery: DeliveryHead | None = None
        self.report: UsageHead | None = None
        self.dify = dify_path(head)
        if self.service is Service.WEBHOOK:
            self.shape = Shape.WEBHOOK
            self.delivery = DeliveryHead(head)
        elif self.service is Service.USAGE_LOG:
            self.report = UsageHead(head)
        elif self.dify is not None:
            self.dialect = self.dify.dialect(head.method)
            self.service = Service.DIFY if self.dialect is None else Service.METERED
            self.shape = Shape.DIFY
        elif self.service in (Service.METERED, Service.PASSTHROUGH, Service.MODELS):
            self.shape = Shape.OPENAI
        if self.dialect is Dialect.ANTHROPIC_MESSAGES:
            self.protocol = Protocol.ANTHROPIC
            self.shape = Shape.ANTHROPIC
        agent = head.value(b"user-agent").decode("latin-1")
        self.agent = agent[:AGENT_LENGTH_MAX]
        self.traceparent = head.value(b"traceparent").decode("latin-1")[:TRACEPARENT_LENGTH]
        # A proxy may add a line of its own behind one that its client made up: all are one list.
        self.forwarded_for = head.listed(b"x-forwarded-for")
        self.idempotency_key = head.value(b"idempotency-key").decode("latin-1")
        self.known: KnownKey | None = None
        self.key_hash = b""
        self.masked_key = ""
        self.no_key: Refusal | None = None
        self.prefixes: dict[Upstream | Backend | Bearer, bytes] = {}  # the head for each, once made
        self.backend: Backend | None = None
        if backends is not None and backends.table.size:
            self._find_backend(head, backends)
        if self.shape is not Shape.OWN:
            self._read_key(key_of(head), "No API key was sent. Send it as `Authorization: Bearer`.")

    def _find_backend(self, head: RequestHead, backends: Backends) -> None:
        route = backends.table.match(head.value(b"host").decode("latin-1"), self.route)
        if route is None:
            return
        self.backend = backends.of(route)
        self.service, self.shape = Service.ROUTE, Shape.OWN
        self.dialect = self.dify = self.delivery = None
        self.route = route.path
        sent = [head.value(name).decode("latin-1") for name in (b"x-api-key", b"authorization")]
        self._read_key(
            token_of(*sent).encode("latin-1"), "No token was sent. Send it as `X-API-Key`."
        )

    def _read_key(self, secret: bytes, no_key: str) -> None:
        if not secret:
            self.no_key = Refusal(Code.INVALID_API_KEY, no_key)
            return
        self.masked_key = mask(secret.decode("latin-1"))
        # A token may be another system's that looks like ours: only the clerk knows those.
        is_possible = is_plausible if self.backend is None else is_short_enough
        if not is_possible(secret):
            self.no_key = unknown_key(self.masked_key)
        self.key_hash = hash_key(secret)


def key_of(head: RequestHead) -> bytes:
    """The key, from the first of the places where clients put it."""
    authorization = head.value(b"authorization")
    if authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip()
    return head.value(b"x-trial-key") or head.value(b"x-api-key")


def unknown_key(masked: str) -> Refusal:
    return Refusal(
        Code.INVALID_API_KEY,
        f"Incorrect API key provided: {masked}. Ask whoever runs this gateway for a key.",
    )


def _service_of(head: RequestHead) -> Service:
    path = head.path
    if path in _METERED:
        return Service.METERED
    if path == b"/v1/models" or path.startswith(b"/v1/models/"):
        return Service.MODELS
    if path.startswith(b"/v1/") or path == b"/v1":
        return Service.PASSTHROUGH
    if path == WEBHOOK_PATH:
        return Service.WEBHOOK
    if path == USAGE_LOG_PATH:
        return Service.USAGE_LOG
    if path == b"/healthz":
        return Service.HEALTH
    if path == b"/readyz":
        return Service.READINESS
    return Service.CONTROL


def client_address(peer: str, forwarded_for: bytes, trusted: Networks) -> str:
    """The rightmost address that is not one of our own proxies'."""
    if not trusted or not forwarded_for or not is_within(peer, trusted):
        return peer
    hops = [hop.strip() for hop in forwarded_for.decode("latin-1").split(",")]
    for hop in reversed(hops):
        if not _is_address(hop):
            return peer
        if not is_within(hop, trusted):
            return hop
    return hops[0]


def is_trusted(peer: str, trusted: Networks) -> bool:
    """Whether the connection is from one of our own proxies."""
    return bool(trusted) and is_within(peer, trusted)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
