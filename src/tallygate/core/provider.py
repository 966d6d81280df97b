"""A provider: an upstream API that requests are forwarded to."""

import enum

import msgspec

from tallygate.core.dify import App
from tallygate.core.routes import Route


class Protocol(enum.StrEnum):
    """Which API a provider speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Deadlines(msgspec.Struct, frozen=True, array_like=True):
    """How long each stage of one attempt may take."""

    connect_ms: int = 10_000
    first_byte_ms: int = 300_000
    between_bytes_ms: int = 120_000
    total_ms: int = 1_800_000


class Provider(msgspec.Struct, frozen=True, array_like=True):
    """`models` None: its list could not be read (or is still unknown); it is used all the same."""

    name: str
    protocol: Protocol
    base_url: str  # http(s)://host[:port]/path, or unix:/path/to/socket:/path
    secret: str
    weight: int = 1
    priority: int = 0  # lower is tried first; equal priorities share by weight
    models: tuple[str, ...] | None = None
    aliases: dict[str, str] = {}  # model name as asked → as this provider calls it
    output_tokens_max: dict[str, int] = {}  # a model's cap, for reservations
    passthrough: tuple[str, ...] = ()  # other /v1/* paths that may go there
    deadlines: Deadlines = Deadlines()
    is_private_allowed: bool = True  # made by an operator: private addresses are their right
    is_demo: bool = False
    pool: str = ""  # of credentials, whose secrets take the place of its own
    credential_id: int = 0  # the one of the pool that `secret` is
    parent: str = ""  # the provider as it is configured, of one that stands for one credential
    is_renewable: bool = False  # `secret` can be renewed by the keeper

    @property
    def label(self) -> str:
        """What people know it by."""
        return self.parent or self.name

    def __repr__(self) -> str:
        return f"<Provider {self.name} {self.protocol.value} weight={self.weight}>"


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """Everything about upstreams that a gateway needs; sent whole at each change."""

    version: int
    providers: tuple[Provider, ...]
    apps: tuple[App, ...] = ()  # of Dify
    routes: tuple[Route, ...] = ()
