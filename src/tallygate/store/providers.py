"""Providers: the upstreams that an operator configured, and the snapshot that gateways run on.

Three kinds appear in a snapshot: rows of this table; the one that DEEPSEEK_API_KEY makes, unless a
row bears its name; and the demo, while nobody has ever configured one of the others.
"""

import secrets
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import UNSET

from tallygate.core import sealing
from tallygate.core.commands import ProviderView, SaveProvider
from tallygate.core.errors import Code, Refusal
from tallygate.core.provider import Deadlines, Protocol, Provider, Snapshot
from tallygate.store import schema
from tallygate.store.database import Tx

DEEPSEEK = "deepseek"
DEMO = "demo"
DEMO_MODEL = "demo/echo"

_rows = schema.provider
_JSON_COLUMNS = ("models", "aliases", "output_tokens_max", "passthrough")
_DEADLINES = ("connect_ms", "first_byte_ms", "between_bytes_ms", "total_ms")
# Remembered in `imported`: a provider was configured once, so the demo is gone for good.
_EVER_CONFIGURED = {"source": "providers", "item": "ever_configured"}


def deepseek(api_key: str, base_url: str) -> Provider:
    """The provider that the seed's two settings describe."""
    return Provider(name=DEEPSEEK, protocol=Protocol.OPENAI, base_url=base_url, secret=api_key)


def demo(control_socket: str, path: str = "/internal/demo/v1") -> Provider:
    """The built-in echo, answered by the control plane on its own socket."""
    return Provider(
        name=DEMO,
        protocol=Protocol.OPENAI,
        base_url=f"unix:{control_socket}:{path}",
        secret="",
        models=(DEMO_MODEL,),
        is_demo=True,
    )


async def list_all(tx: Tx, from_settings: Provider | None) -> list[ProviderView]:
    """Everything configured, by name; the demo is not, and so is not listed."""
    found = await tx.execute(sa.select(_rows).order_by(_rows.c.name))
    views = [_view(row._mapping) for row in found]
    if from_settings and all(view.name != from_settings.name for view in views):
        views.append(_view_of_settings(from_settings))
    return sorted(views, key=lambda view: view.name)


async def find(tx: Tx, name: str) -> ProviderView | None:
    found = (await tx.execute(sa.select(_rows).where(_rows.c.name == name))).first()
    return _view(found._mapping) if found else None


async def save(
    tx: Tx, master_key: bytes, change: SaveProvider, from_settings: Provider | None, now_ms: int
) -> ProviderView:
    """Make a provider or change one; the caller has checked every value."""
    exists = await find(tx, change.name) is not None
    if not exists:
        _refuse_reserved(change.name, from_settings, is_new=change.is_new)
    if change.is_new and exists:
        raise Refusal(
            Code.CONFLICT,
            f"a provider named {change.name!r} exists; PATCH /api/providers/{change.name}",
        )
    if not change.is_new and not exists:
        raise Refusal(Code.NOT_FOUND, f"no provider is named {change.name!r}")
    values = _values(change, master_key)
    if change.is_new:
        await tx.execute(sa.insert(_rows).values({**_defaults(), **values, "created_ms": now_ms}))
        await remember_configured(tx, now_ms)
    elif values:
        await tx.execute(sa.update(_rows).where(_rows.c.name == change.name).values(values))
    saved = await find(tx, change.name)
    assert saved is not None, "it was written in this transaction"
    return saved


async def delete(tx: Tx, name: str, from_settings: Provider | None) -> ProviderView:
    """Answers what it was, for the audit log."""
    view = await find(tx, name)
    if view is None:
        _refuse_reserved(name, from_settings, is_new=False)
        raise Refusal(Code.NOT_FOUND, f"no provider is named {name!r}")
    await tx.execute(sa.delete(_rows).where(_rows.c.name == name))
    return view


async def remember_configured(tx: Tx, now_ms: int) -> None:
    """From now on the demo is gone; a clerk says so too when it starts with DEEPSEEK_API_KEY."""
    if not await was_ever_configured(tx):
        await tx.execute(sa.insert(schema.imported).values(**_EVER_CONFIGURED, at_ms=now_ms))


async def was_ever_configured(tx: Tx) -> bool:
    query = sa.select(schema.imported.c.at_ms).filter_by(**_EVER_CONFIGURED)
    return await tx.scalar(query) is not None


async def snapshot(
    tx: Tx, master_key: bytes, from_settings: Provider | None, demo: Provider
) -> tuple[Snapshot, list[str]]:
    """What gateways route by, and the names of those left out because their secret stays shut.

    The feed's number is its version. One row sealed under another master key must not take the
    others down with it.
    """
    version = int(await tx.scalar(sa.select(schema.store.c.feed_seq)) or 0)
    found = [row._mapping for row in await tx.execute(sa.select(_rows).order_by(_rows.c.name))]
    providers, shut = [], []
    for row in found:
        if not row["is_active"]:
            continue
        try:
            providers.append(_provider(row, master_key))
        except sealing.Unsealable:
            shut.append(row["name"])
    if from_settings and all(row["name"] != from_settings.name for row in found):
        providers.append(from_settings)
    if not found and not from_settings and not await was_ever_configured(tx):
        providers.append(demo)
    return Snapshot(version=version, providers=tuple(providers)), shut


def _refuse_reserved(name: str, from_settings: Provider | None, *, is_new: bool) -> None:
    if name == DEMO:
        raise Refusal(Code.IMPOSSIBLE, f"{DEMO!r} is the built-in demo provider; use another name")
    if from_settings and name == from_settings.name and not is_new:
        raise Refusal(
            Code.IMPOSSIBLE,
            f"{name!r} comes from DEEPSEEK_API_KEY; change the setting, or create a provider of "
            "that name to take its place",
        )


def _purpose(name: str) -> str:
    return f"provider.sealed:{name}"


def _defaults() -> dict[str, Any]:
    deadlines = Deadlines()
    return {
        "protocol": Protocol.OPENAI.value,
        "sealed": None,
        "credentials": None,
        "weight": 1,
        "priority": 0,
        "models": None,
        "aliases": "{}",
        "output_tokens_max": "{}",
        "passthrough": "[]",
        "is_active": True,
        **{name: getattr(deadlines, name) for name in _DEADLINES},
    }


def _values(change: SaveProvider, master_key: bytes) -> dict[str, Any]:
    """The columns that a command sets."""
    values: dict[str, Any] = {}
    for name in change.__struct_fields__:
        value = getattr(change, name)
        if value is UNSET or name in ("is_new", "secret"):
            continue
        if name in _JSON_COLUMNS:
            value = None if value is None else msgspec.json.encode(value).decode()
        values[name] = value
    if change.secret is not UNSET:
        nonce = secrets.token_bytes(sealing.NONCE_BYTES)
        purpose = _purpose(change.name)
        values["sealed"] = (
            sealing.seal(master_key, change.secret.encode(), purpose, nonce)
            if change.secret
            else None
        )
    return values


def _view(row: Any) -> ProviderView:  # a row mapping of SQLAlchemy
    return ProviderView(
        name=row["name"],
        protocol=row["protocol"],
        base_url=row["base_url"],
        has_secret=row["sealed"] is not None,
        credentials=row["credentials"],
        weight=row["weight"],
        priority=row["priority"],
        models=_json(row["models"], list[str] | None),
        aliases=_json(row["aliases"], dict[str, str]),
        output_tokens_max=_json(row["output_tokens_max"], dict[str, int]),
        passthrough=_json(row["passthrough"], list[str]),
        is_active=row["is_active"],
        is_from_settings=False,
        is_demo=False,
        **{name: row[name] for name in _DEADLINES},
    )


def _view_of_settings(provider: Provider) -> ProviderView:
    return ProviderView(
        name=provider.name,
        protocol=provider.protocol.value,
        base_url=provider.base_url,
        has_secret=True,
        credentials=None,
        weight=provider.weight,
        priority=provider.priority,
        models=None,
        aliases={},
        output_tokens_max={},
        passthrough=[],
        is_active=True,
        is_from_settings=True,
        is_demo=False,
        **{name: getattr(provider.deadlines, name) for name in _DEADLINES},
    )


def _provider(row: Any, master_key: bytes) -> Provider:  # a row mapping of SQLAlchemy
    secret = b""
    if row["sealed"] is not None:
        secret = sealing.unseal(master_key, bytes(row["sealed"]), _purpose(row["name"]))
    return Provider(
        name=row["name"],
        protocol=Protocol(row["protocol"]),
        base_url=row["base_url"],
        secret=secret.decode(),
        pool=row["credentials"] or "",
        weight=row["weight"],
        priority=row["priority"],
        models=_json(row["models"], tuple[str, ...] | None),
        aliases=_json(row["aliases"], dict[str, str]),
        output_tokens_max=_json(row["output_tokens_max"], dict[str, int]),
        passthrough=_json(row["passthrough"], tuple[str, ...]),
        deadlines=Deadlines(**{name: row[name] for name in _DEADLINES}),
    )


def _json(text: str | None, kind: Any) -> Any:  # msgspec takes any type form, unions included
    return None if text is None else msgspec.json.decode(text, type=kind)
