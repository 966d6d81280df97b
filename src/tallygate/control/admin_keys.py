"""/admin/keys, to the letter of the seed: a bare array, milliseconds, 1 and 0.

`{key}` in a path is the key or its id, with any characters; it is never logged.
"""

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import bodies
from tallygate.control.bodies import Amount, Text
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.commands import CreateKey, DeleteKey, KeyView, PatchKey
from tallygate.core.keys import Kind
from tallygate.core.sealing import Unsealable, unseal_key
from tallygate.store import keys

UserId = Annotated[str, msgspec.Meta(max_length=256)]


class NewAdminKey(bodies.Body, kw_only=True):
    """`daily_limit`: 0 lets nothing through, null is unlimited, absent is DAILY_REQ_LIMIT."""

    label: Text | None = None
    daily_limit: Amount | UnsetType | None = UNSET
    user_id: UserId | None = None


class AdminKeyChange(bodies.Body, kw_only=True):
    """What of a key can be changed; a field that is left out stays as it is."""

    label: Text | UnsetType = UNSET
    daily_limit: Amount | UnsetType | None = UNSET
    is_active: bool | Literal[0, 1] | UnsetType = UNSET


class MadeKey(msgspec.Struct, kw_only=True):
    """A key that was just made."""

    key: str
    label: str
    created_at: int
    daily_limit: int | None


class AdminKey(msgspec.Struct, kw_only=True):
    """`key` is the whole key; where no copy of it is kept it is masked, and `id` names it."""

    key: str
    label: str
    created_at: int
    daily_limit: int | None
    is_active: int
    id: str | UnsetType = UNSET


class Deleted(msgspec.Struct, kw_only=True):
    deleted: bool = True


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/admin/keys", tags=["keys"])

    @router.post("", **described(MadeKey, body=NewAdminKey))
    async def create_admin_key(request: Request) -> Response:
        """Make a key. Its whole secret is in the answer."""
        body = await bodies.read(request, NewAdminKey)
        change = CreateKey(
            label=body.label or "", daily_limit=body.daily_limit, user_id=body.user_id or ""
        )
        made = await order(parts.clerk, request, change, KeyView)
        assert made.secret is not None, "a key that was just made comes with its secret"
        return bodies.answer(
            MadeKey(
                key=made.secret,
                label=made.label,
                created_at=made.created_ms,
                daily_limit=made.daily_limit,
            )
        )

    @router.get("", **described(list[AdminKey]))
    async def list_admin_keys() -> Response:
        """Every key that exists."""
        async with parts.database.reading() as tx:
            found = await keys.list_views(tx)
        shown = [shown_key(parts, one) for one in found if one.kind == Kind.TRIAL]
        return bodies.answer(shown)

    @router.patch("/{key:path}", **described(AdminKey, body=AdminKeyChange))
    async def change_admin_key(request: Request, key: str) -> Response:
        """Change a key; gateways obey within a second."""
        body = await bodies.read(request, AdminKeyChange)
        change = PatchKey(
            key=key,
            label=body.label,
            daily_limit=body.daily_limit,
            is_active=UNSET if body.is_active is UNSET else bool(body.is_active),
        )
        return bodies.answer(shown_key(parts, await order(parts.clerk, request, change, KeyView)))

    @router.delete("/{key:path}", **described(Deleted))
    async def delete_admin_key(request: Request, key: str) -> Response:
        """Delete a key: it is unknown everywhere within a second. Its history stays."""
        await order(parts.clerk, request, DeleteKey(key=key), KeyView)
        return bodies.answer(Deleted())

    return router


def shown_key(parts: Parts, view: KeyView) -> AdminKey:
    shown = AdminKey(
        key=unsealed(parts, view.id, view.sealed) or view.masked,
        label=view.label,
        created_at=view.created_ms,
        daily_limit=view.daily_limit,
        is_active=int(view.is_active),
    )
    if shown.key == view.masked:
        shown.id = str(view.id)
    return shown


def unsealed(parts: Parts, key_id: int, sealed: bytes | None) -> str | None:
    """The whole key, where a sealed copy of it is kept and opens."""
    if not parts.keeps_sealed_keys or sealed is None:
        return None
    try:
        return unseal_key(parts.master_key, sealed, key_id)
    except Unsealable:
        return None
