"""The commands of the control plane and the CLI: every change that is not a request's own use.

A command is a struct of arguments; the clerk runs it in its writer's transaction (a savepoint each)
together with its audit row, its feed event and its idempotency record, and answers a plain value.
`UNSET` means «leave as it is», None means «none» or «unlimited».
"""

from typing import ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from tallygate.core.limits import Limit
from tallygate.core.takeover import OldKey, OldUsage


class Arguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of all commands."""

    NAME: ClassVar[str]


class LimitSpec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A limit as an operator writes it; an amount of points is in micro-points."""

    dimension: str = "requests"
    span: str = "day"
    amount: int | None
    zone: str | None = None  # None: TALLYGATE_TIME_ZONE


class CreateKey(Arguments):
    """→ KeyView with `secret`."""

    NAME = "key.create"
    kind: str = "roc"
    label: str = ""
    daily_limit: int | UnsetType | None = UNSET
    limits: list[LimitSpec] = []
    user_id: str = ""
    team_id: str = ""
    expires_ms: int | None = None
    models: list[str] | None = None
    addresses: list[str] | None = None
    scopes: list[str] = []


class PatchKey(Arguments):
    """→ KeyView. `key` is the key itself or its id."""

    NAME = "key.patch"
    key: str
    label: str | UnsetType = UNSET
    daily_limit: int | UnsetType | None = UNSET
    limits: list[LimitSpec] | UnsetType = UNSET  # replaces all limits but the daily one
    is_active: bool | UnsetType = UNSET
    expires_ms: int | UnsetType | None = UNSET
    models: list[str] | UnsetType | None = UNSET
    addresses: list[str] | UnsetType | None = UNSET
    scopes: list[str] | UnsetType = UNSET
    team_id: str | UnsetType = UNSET


class DeleteKey(Arguments):
    """→ KeyView; NOT_FOUND when it is already deleted."""

    NAME = "key.delete"
    key: str


class RotateKey(Arguments):
    """A new secret for a key; the old one works `grace_s` longer. → KeyView with `secret`."""

    NAME = "key.rotate"
    key: str
    grace_s: int = 0


class DeactivateUnusedKeys(Arguments):
    """→ {"deactivated": [KeyView…]}; keys younger than `days` are spared."""

    NAME = "key.deactivate_unused"
    days: int
    is_dry_run: bool = False


class ResetUsage(Arguments):
    """Clear the day's counters of all keys. → {"day", "reset": <keys>}."""

    NAME = "usage.reset"
    day: str | None = None


class CleanUsage(Arguments):
    """Delete usage rows older than N days. → {"deleted": <rows>}."""

    NAME = "usage.clean"
    older_than_days: int
    is_dry_run: bool = False


class Settle(Arguments):
    """Settle everything that was answered before this, on every node. → {"stale": [node names]}."""

    NAME = "settle"
    timeout_ms: int = 2000


class SaveProvider(Arguments):
    """Create a provider or change one. → ProviderView."""

    NAME = "provider.save"
    name: str
    is_new: bool
    protocol: str | UnsetType = UNSET
    base_url: str | UnsetType = UNSET
    secret: str | UnsetType = UNSET
    credentials: str | UnsetType | None = UNSET  # a pool whose secrets it uses
    weight: int | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    models: list[str] | UnsetType | None = UNSET
    aliases: dict[str, str] | UnsetType = UNSET
    output_tokens_max: dict[str, int] | UnsetType = UNSET
    passthrough: list[str] | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    connect_ms: int | UnsetType = UNSET
    first_byte_ms: int | UnsetType = UNSET
    between_bytes_ms: int | UnsetType = UNSET
    total_ms: int | UnsetType = UNSET


class DeleteProvider(Arguments):
    NAME = "provider.delete"
    name: str


class RetireNode(Arguments):
    """Give up a dead node: what it had leased counts as spent. → {"node", "spent": {…}}."""

    NAME = "node.retire"
    node: str


class ImportQuotaProxy(Arguments):
    """Take over some of the seed's keys, each with all of its days. → takeover.Report."""

    NAME = "import.quota_proxy"
    keys: list[OldKey]
    usages: list[OldUsage]
    is_dry_run: bool = False


class Inspect(Arguments):
    """→ the clerk's own figures: workers, journal lag, lease refills, gauges of the workers.

    With `keeper`, the store's figures of credentials too.
    """

    NAME = "inspect"
    keeper: bool = False


class KeyView(msgspec.Struct, kw_only=True):
    """A key as commands answer it. `secret` only when it has just been made."""

    id: int
    kind: str
    masked: str
    label: str
    created_ms: int
    daily_limit: int | None
    has_daily_limit: bool
    limits: list[Limit]
    is_active: bool
    expires_ms: int | None
    last_used_ms: int | None
    user_id: str
    team_id: str
    models: list[str] | None
    addresses: list[str] | None
    scopes: list[str]
    sealed: bytes | None = None
    secret: str | None = None


class ProviderView(msgspec.Struct, kw_only=True):
    """A provider without its secret."""

    name: str
    protocol: str
    base_url: str
    has_secret: bool
    credentials: str | None
    weight: int
    priority: int
    models: list[str] | None
    aliases: dict[str, str]
    output_tokens_max: dict[str, int]
    passthrough: list[str]
    is_active: bool
    is_from_settings: bool
    is_demo: bool
    connect_ms: int
    first_byte_ms: int
    between_bytes_ms: int
    total_ms: int
