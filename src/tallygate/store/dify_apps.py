"""Dify apps: rows with a sealed key each, and the one that the settings describe.

A row named as the settings' app takes its place, so that an operator can change what the
environment began.
"""

import hashlib
import secrets
from typing import Any

import sqlalchemy as sa
from msgspec import UNSET

from tallygate.core import sealing
from tallygate.core.dify import App, BilledBy
from tallygate.core.dify_commands import DifyAppView, SaveDifyApp
from tallygate.core.errors import Code, Refusal
from tallygate.store.database import Tx
from tallygate.store.money_schema import dify_app as _rows

_COLUMNS = ("instance", "api_url", "billed_by", "model", "hold_micros", "is_active")


async def list_all(tx: Tx, from_settings: App | None) -> list[DifyAppView]:
    """All of them, by name."""
    views = [_view(row._mapping) for row in await tx.execute(sa.select(_rows))]
    if from_settings and all(view.name != from_settings.name for view in views):
        views.append(view_of_settings(from_settings))
    return sorted(views, key=lambda view: view.name)


async def find(tx: Tx, name: str) -> DifyAppView | None:
    found = (await tx.execute(sa.select(_rows).where(_rows.c.name == name))).first()
    return _view(found._mapping) if found else None


async def find_tracing(tx: Tx, public: str) -> tuple[DifyAppView, bytes] | None:
    """The app whose tracing export bears this public key, and the hash of its secret."""
    found = (await tx.execute(sa.select(_rows).where(_rows.c.trace_public == public))).first()
    if found is None or found.trace_hash is None:
        return None
    return _view(found._mapping), bytes(found.trace_hash)


async def save(tx: Tx, master_key: bytes, change: SaveDifyApp, now_ms: int) -> DifyAppView:
    """Make an app or change one; the caller has checked every value."""
    exists = await find(tx, change.name) is not None
    if change.is_new and exists:
        raise Refusal(
            Code.CONFLICT,
            f"an app named {change.name!r} exists; PATCH /api/dify/apps/{change.name}",
        )
    if not change.is_new and not exists:
        raise Refusal(Code.NOT_FOUND, f"no Dify app is named {change.name!r}")
    given = {name: getattr(change, name) for name in _COLUMNS}
    values = {name: value for name, value in given.items() if value is not UNSET}
    if change.secret is not UNSET:
        values["sealed"] = _sealed(master_key, change.secret, change.name)
    if change.is_new:
        row: dict[str, Any] = {"name": change.name, "sealed": None, "model": "", "is_active": True}
        row |= {"billed_by": BilledBy.DIFY.value, "created_ms": now_ms, **values}
        await tx.execute(sa.insert(_rows), row)
    elif values:
        await tx.execute(sa.update(_rows).where(_rows.c.name == change.name).values(values))
    saved = await find(tx, change.name)
    assert saved is not None, "it was written in this transaction"
    return saved


async def set_tracing(tx: Tx, name: str, public: str, secret: str) -> None:
    values = {"trace_public": public, "trace_hash": tracing_hash(secret)}
    await tx.execute(sa.update(_rows).where(_rows.c.name == name).values(values))


async def delete(tx: Tx, name: str) -> DifyAppView:
    """Answers what it was, for the audit log."""
    view = await find(tx, name)
    if view is None:
        raise Refusal(Code.NOT_FOUND, f"no Dify app is named {name!r}")
    await tx.execute(sa.delete(_rows).where(_rows.c.name == name))
    return view


async def load(
    tx: Tx, master_key: bytes, from_settings: App | None
) -> tuple[tuple[App, ...], list[str]]:
    """What gateways proxy, and the names of those left out because their key stays shut."""
    found = [row._mapping for row in await tx.execute(sa.select(_rows).order_by(_rows.c.name))]
    apps, shut = [], []
    for row in found:
        if not row["is_active"]:
            continue
        try:
            apps.append(_app(row, master_key))
        except sealing.Unsealable:
            shut.append(row["name"])
    if from_settings and all(row["name"] != from_settings.name for row in found):
        apps.append(from_settings)
    return tuple(apps), shut


def tracing_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _purpose(name: str) -> str:
    return f"dify_app.sealed:{name}"


def _sealed(master_key: bytes, secret: str, name: str) -> bytes | None:
    if not secret:
        return None
    nonce = secrets.token_bytes(sealing.NONCE_BYTES)
    return sealing.seal(master_key, secret.encode(), _purpose(name), nonce)


def _app(row: Any, master_key: bytes) -> App:  # a row mapping of SQLAlchemy
    secret = b""
    if row["sealed"] is not None:
        secret = sealing.unseal(master_key, bytes(row["sealed"]), _purpose(row["name"]))
    return App(
        name=row["name"],
        instance=row["instance"],
        api_url=row["api_url"],
        secret=secret.decode(),
        billed_by=BilledBy(row["billed_by"]),
        model=row["model"],
        hold_micros=row["hold_micros"],
    )


def _view(row: Any) -> DifyAppView:  # a row mapping of SQLAlchemy
    return DifyAppView(
        id=row["id"],
        name=row["name"],
        instance=row["instance"],
        api_url=row["api_url"],
        has_secret=row["sealed"] is not None,
        billed_by=row["billed_by"],
        model=row["model"],
        hold_micros=row["hold_micros"],
        trace_public=row["trace_public"],
        is_active=row["is_active"],
        is_from_settings=False,
        created_ms=row["created_ms"],
    )


def view_of_settings(app: App) -> DifyAppView:
    return DifyAppView(
        id=0,
        name=app.name,
        instance=app.instance,
        api_url=app.api_url,
        has_secret=bool(app.secret),
        billed_by=app.billed_by.value,
        model=app.model,
        hold_micros=app.hold_micros,
        trace_public=None,
        is_active=True,
        is_from_settings=True,
        created_ms=0,
    )
