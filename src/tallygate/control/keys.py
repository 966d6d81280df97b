"""/api/keys: keys with all that they can have: limits, expiry, models, addresses, rotation.

A secret is answered once, when it is made; from then on the key is named by its id.
"""

import datetime
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import bodies, lists
from tallygate.control.admin_keys import Deleted, UserId
from tallygate.control.bodies import Amount, Text
from tallygate.control.limits import Limits, ShownLimit, limit_specs, shown_limits
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.addresses import network_of
from tallygate.core.commands import (
    CreateKey,
    DeleteKey,
    KeyView,
    PatchKey,
    RotateKey,
)
from tallygate.core.errors import Code, Refusal
from tallygate.store import key_pages, keys, teams

GRACE_S_MAX = 31 * 86_400

Names = Annotated[
    list[Annotated[str, msgspec.Meta(min_length=1, max_length=256)]], msgspec.Meta(max_length=1000)
]

TeamId = str | int | None  # the token manager's teams had numbers


class KeyChange(bodies.Body, kw_only=True):
    """What of a key can be changed; `limits` replaces all but the daily one."""

    label: Text | UnsetType = UNSET
    daily_limit: Amount | UnsetType | None = UNSET
    limits: Limits | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    expires_at: datetime.datetime | UnsetType | None = UNSET
    models: Names | UnsetType | None = UNSET
    addresses: Names | UnsetType | None = UNSET
    scopes: Names | UnsetType = UNSET


class NewKey(bodies.Body, kw_only=True):
    """`daily_limit` absent is DAILY_REQ_LIMIT, null is unlimited."""

    label: Text = ""
    kind: Literal["roc"] = "roc"
    daily_limit: Amount | UnsetType | None = UNSET
    limits: Limits = msgspec.field(default_factory=list)
    user_id: UserId = ""
    team_id: UserId = ""
    expires_at: datetime.datetime | None = None
    models: Names | None = None
    addresses: Names | None = None
    scopes: Names = msgspec.field(default_factory=list)


class Rotation(bodies.Body, kw_only=True):
    """The old secret works `grace_s` seconds longer."""

    grace_s: Annotated[int, msgspec.Meta(ge=0, le=GRACE_S_MAX)] = 0


class ApiKey(msgspec.Struct, kw_only=True):
    """A key; `secret` only in the answer to its making or its rotation."""

    id: str
    kind: str
    masked: str
    label: str
    created_at: str
    daily_limit: int | None
    limits: list[ShownLimit]
    is_active: bool
    expires_at: str | None
    last_used: str | None
    user_id: str
    team_id: str
    models: list[str] | None
    addresses: list[str] | None
    scopes: list[str]
    secret: str | UnsetType = UNSET


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/keys", tags=["keys"])
    _reading(router, parts)
    _changing(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    @router.get("", **described(lists.Page[ApiKey]))
    async def list_keys(
        q: str = "",
        is_active: bool | None = None,
        user_id: str | None = None,
        sort: str = "",
        limit: str | None = None,
        cursor: str | None = None,
    ) -> Response:
        """Keys that exist, in the order of their making or of `sort`: `label`, `created_at`,
        `last_used` or `expires_at`, with `-` before it downwards. `q` is in the
        label, the user or what is shown of the key."""
        if sort and sort.removeprefix("-") not in key_pages.ORDERS:
            orders = ", ".join(key_pages.ORDERS)
            raise Refusal(Code.BAD_REQUEST, f"`sort`: use one of {orders}", param="sort")
        start, size = lists.read_cursor(cursor) or 0, lists.read_limit(limit)
        query = key_pages.Query(sort, q, is_active, user_id, size, start)
        async with parts.database.reading() as tx:
            found, total = await key_pages.page(tx, query)
        end = start + len(found)
        more = str(end) if found and end < total else None
        items = [api_key(view) for view in found]
        return bodies.answer(lists.Page(items=items, total=total, next=more))

    @router.get("/{key:path}", **described(ApiKey))
    async def show_key(key: str) -> Response:
        """One key, by its id or by the key itself."""
        async with parts.database.reading() as tx:
            found = await keys.find_view(tx, key)
        if found is None:
            raise Refusal(Code.NOT_FOUND, "there is no such key")
        return bodies.answer(api_key(found))


def _changing(router: APIRouter, parts: Parts) -> None:
    @router.post("", **described(ApiKey, status=201, body=NewKey))
    async def create_key(request: Request) -> Response:
        """Make a key. Its whole secret is in the answer, and only there."""
        body = await bodies.read(request, NewKey)
        change = CreateKey(
            kind=body.kind,
            label=body.label,
            daily_limit=body.daily_limit,
            limits=limit_specs(body.limits),
            user_id=body.user_id,
            team_id=await existing_team(parts, body.team_id),
            expires_ms=expiry(body.expires_at),
            models=body.models,
            addresses=networks(body.addresses),
            scopes=body.scopes,
        )
        return bodies.answer(api_key(await order(parts.clerk, request, change, KeyView)), 201)

    @router.post("/{key:path}/rotate", **described(ApiKey, body=Rotation))
    async def rotate_key(request: Request, key: str) -> Response:
        """A new secret for a key: limits, counters and history stay."""
        body = await bodies.read(request, Rotation)
        change = RotateKey(key=key, grace_s=body.grace_s)
        return bodies.answer(api_key(await order(parts.clerk, request, change, KeyView)))

    @router.patch("/{key:path}", **described(ApiKey, body=KeyChange))
    async def change_key(request: Request, key: str) -> Response:
        """Change a key; gateways obey within a second."""
        body = await bodies.read(request, KeyChange)
        change = PatchKey(
            key=key,
            label=body.label,
            daily_limit=body.daily_limit,
            limits=UNSET if body.limits is UNSET else limit_specs(body.limits),
            is_active=body.is_active,
            expires_ms=UNSET if body.expires_at is UNSET else expiry(body.expires_at),
            models=body.models,
            addresses=UNSET if body.addresses is UNSET else networks(body.addresses),
            scopes=body.scopes,
        )
        return bodies.answer(api_key(await order(parts.clerk, request, change, KeyView)))

    @router.delete("/{key:path}", **described(Deleted))
    async def delete_key(request: Request, key: str) -> Response:
        """Delete a key: it is unknown everywhere within a second. Its history stays."""
        await order(parts.clerk, request, DeleteKey(key=key), KeyView)
        return bodies.answer(Deleted())


def api_key(view: KeyView) -> ApiKey:
    shown = ApiKey(
        id=str(view.id),
        kind=view.kind,
        masked=view.masked,
        label=view.label,
        created_at=bodies.rfc3339(view.created_ms) or "",
        daily_limit=view.daily_limit,
        limits=shown_limits(view.limits),
        is_active=view.is_active,
        expires_at=bodies.rfc3339(view.expires_ms),
        last_used=bodies.rfc3339(view.last_used_ms),
        user_id=view.user_id,
        team_id=view.team_id,
        models=view.models,
        addresses=view.addresses,
        scopes=view.scopes,
    )
    if view.secret is not None:
        shown.secret = view.secret
    return shown


def expiry(moment: datetime.datetime | None) -> int | None:
    return None if moment is None else bodies.read_time(moment, "expires_at")


async def existing_team(parts: Parts, team_id: TeamId) -> str:
    """The team, if there is one of that name; "" where none is meant."""
    if team_id is None or team_id == "":
        return ""
    async with parts.database.reading() as tx:
        if await teams.find(tx, str(team_id)) is None:
            raise Refusal(
                Code.IMPOSSIBLE, f"there is no team {str(team_id)[:64]!r}", param="team_id"
            )
    return str(team_id)


def networks(addresses: list[str] | None) -> list[str] | None:
    """CIDRs in their normal form; a single address is a network of one."""
    if addresses is None:
        return None
    try:
        return [str(network_of(address)) for address in addresses]
    except ValueError as error:
        raise Refusal(
            Code.BAD_REQUEST,
            f"`addresses`: {error}; use networks like 192.0.2.0/24",
            param="addresses",
        ) from None
