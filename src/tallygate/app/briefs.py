"""What each role is told: settings and node facts as one flat map, cut down to what it may know.

A gateway faces the network, so no secret of the node's is in its brief but those that it checks
deliveries and reports by.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tallygate.config import Settings
from tallygate.core.money import MICROS
from tallygate.supervisor.folder import Node

# A gateway leaves before the supervisor would kill it, so that it ends its streams itself.
GATEWAY_DRAIN_SHARE = 0.7

_NEVER_TO_A_GATEWAY = frozenset(
    {
        "admin_token",
        "cloudflare_api_token",
        "database_url",
        "deepseek_api_key",
        "dify_api_key",
        "edge_secret",
        "master_key",
        "master_key_old",
        "mail_url",
        "notify_urls",
        "notify_webhook_secret",
        "notify_webhook_url",
        "oidc_client_secret",
        "otlp_headers",
        "settings",
    }
)


def plain(settings: Settings) -> dict[str, Any]:
    """The settings with their secrets in clear, for a pipe and for nothing else."""
    return {field: _plain(getattr(settings, field)) for field in Settings.model_fields}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value


def absolute(settings: Settings) -> Settings:
    """The same settings with a data folder that stays the same wherever a role stands."""
    return settings.model_copy(update={"data": settings.data.absolute()})


def of_node(
    settings: Settings, node: Node, *, master_key: bytes, admin_token: str, usage_secret: str
) -> dict[str, Any]:
    """All that any role may be told, before it is cut down for one."""
    values = plain(settings)
    return {
        **values,
        "settings": values,
        "node_uuid": node.uuid,
        "node_name": node.name,
        "master_key": master_key,
        "admin_token": admin_token,
        "admin_token_hash": hashlib.sha256(admin_token.encode()).digest(),
        "usage_secret": usage_secret,
        "charge_micros_max": settings.max_charge_points * MICROS,
        "default_daily_limit": settings.daily_req_limit,
        "clerk_socket": str(settings.socket_path("clerk")),
        "control_socket": str(settings.socket_path("control")),
    }


def for_gateway(brief: Mapping[str, Any], *, slot: int, boot: int, port: int) -> dict[str, Any]:
    """Who this worker is, and nothing that opens a store or a provider's account."""
    told = {name: value for name, value in brief.items() if name not in _NEVER_TO_A_GATEWAY}
    for name in ("dify_webhook_key", "dify_webhook_secret"):  # what deliveries are checked by
        told[name] = told[name] or ""
    drain_timeout_s = int(told["drain_timeout_s"] * GATEWAY_DRAIN_SHARE)
    return {**told, "slot": slot, "boot": boot, "port": port, "drain_timeout_s": drain_timeout_s}


def next_boot(journals: Path, slot: int, now_ms: int, last: int) -> int:
    """The number of a worker's next life: later than any that a journal or this process knows.

    It is a time, because the store remembers boots whose folders are gone long since.
    """
    try:
        names = [path.name for path in (journals / str(slot)).iterdir()]
    except FileNotFoundError:
        names = []
    known = [int(name) + 1 for name in names if name.isdecimal()]
    return max(now_ms, last + 1, *known)


def count_workers(setting: int, cores: int, quota: str) -> int:
    """One worker per core that this node may use; `quota` is the cgroup's cpu.max."""
    if setting:
        return setting
    allowed, _, period = quota.partition(" ")
    if allowed.isdecimal() and period.strip().isdecimal():
        cores = min(cores, -(-int(allowed) // int(period)))
    return max(1, cores)


def without_settings(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The environment of a role: settings reach it by its brief, and some are secrets."""
    hidden = set(names)
    return {
        name: value
        for name, value in environ.items()
        if name not in hidden and not name.startswith("TALLYGATE_")
    }
