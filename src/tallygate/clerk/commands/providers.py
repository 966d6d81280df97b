"""Providers: made, changed, deleted. Gateways hear of it by a new snapshot."""

import re
from typing import Any
from urllib.parse import urlsplit

from msgspec import UNSET

from tallygate.clerk.commands.context import Context, bad
from tallygate.core.commands import DeleteProvider, ProviderView, SaveProvider
from tallygate.core.errors import Code, Refusal
from tallygate.core.provider import Protocol
from tallygate.store import providers

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_NUMBERS = {  # least and most
    "weight": (0, 1_000_000),
    "priority": (-1000, 1000),
    "connect_ms": (1, 86_400_000),
    "first_byte_ms": (1, 86_400_000),
    "between_bytes_ms": (1, 86_400_000),
    "total_ms": (1, 86_400_000),
}


async def save(context: Context, change: SaveProvider) -> ProviderView:
    _check(change)
    options = context.options
    before = await providers.find(context.tx, change.name)
    after = await providers.save(
        context.tx, options.master_key, change, options.settings_provider, context.now_ms
    )
    await context.audit("provider.save", f"provider:{change.name}", before, after)
    context.publish("config")
    return after


async def delete(context: Context, wanted: DeleteProvider) -> ProviderView:
    settings_provider = context.options.settings_provider
    before = await providers.delete(context.tx, wanted.name, settings_provider)
    await context.audit("provider.delete", f"provider:{wanted.name}", before, None)
    context.publish("config")
    return before


def _check(change: SaveProvider) -> None:
    if change.is_new and not _NAME.match(change.name):
        raise bad("name must be letters, digits, dots, dashes, underscores; at most 64", "name")
    if change.protocol is not UNSET and change.protocol not in list(Protocol):
        names = ", ".join(protocol.value for protocol in Protocol)
        raise bad(f"protocol must be one of {names}", "protocol")
    if change.base_url is not UNSET:
        _check_url(change.base_url)
    elif change.is_new:
        raise Refusal(Code.BAD_REQUEST, "base_url is needed", param="base_url")
    for name, (least, most) in _NUMBERS.items():
        value: Any = getattr(change, name)  # an int or UNSET
        if value is not UNSET and not least <= value <= most:
            raise bad(f"{name} must be from {least} to {most}", name)
    if (
        change.output_tokens_max is not UNSET
        and min(change.output_tokens_max.values(), default=1) < 1
    ):
        raise bad("output_tokens_max must hold numbers from 1 on", "output_tokens_max")


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or parts.username or parts.query or parts.fragment or not url.isprintable():
        raise bad(
            "base_url must be like https://host/v1, without user, query or fragment", "base_url"
        )
