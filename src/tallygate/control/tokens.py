"""/api/tokens: what teams hand to automations, to be let through to private services.

A token is a key of its own kind: limits, expiry and addresses are a key's. It may call no model
unless its `models` say so.
"""

import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import bodies, lists
from tallygate.control.admin_keys import Deleted, UserId
from tallygate.control.keys import Names, Rotation, TeamId, existing_team, expiry, networks
from tallygate.control.limits import Limits, ShownLimit, limit_specs, shown_limits
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.commands import CreateKey, DeleteKey, KeyView, PatchKey, RotateKey
from tallygate.core.errors import Code, Refusal
from tallygate.core.keys import Kind
from tallygate.store import keys, tokens

TokenName = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class TokenChange(bodies.Body, kw_only=True):
    """What of a token can be changed; a field that is left out stays as it is."""

    name: TokenName | UnsetType = UNSET
    team_id: TeamId | UnsetType = UNSET
    scopes: Names | UnsetType | None = UNSET
    expires_at: datetime.datetime | UnsetType | None = UNSET
    limits: Limits | UnsetType = UNSET
    addresses: Names | UnsetType | None = UNSET
    models: Names | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET


class NewToken(bodies.Body, kw_only=True):
    """Only `name` is needed. `scopes` are free strings, `*` stands for all of them."""

    name: TokenName
    team_id: TeamId = None
    scopes: Names | None = None
    expires_at: datetime.datetime | None = None
    limits: Limits = msgspec.field(default_factory=list)
    addresses: Names | None = None
    models: Names | None = msgspec.field(default_factory=list)
    user_id: UserId = ""


class Token(msgspec.Struct, kw_only=True):
    """A token; the token itself only in the answer to its making or its rotation."""

    id: str
    name: str
    team_id: str | None
    scopes: list[str]
    masked: str
    token_hash: str
    is_active: bool
    created_at: str
    expires_at: str | None
    last_used: str | None
    limits: list[ShownLimit]
    addresses: list[str] | None
    models: list[str] | None
    user_id: str
    token: str | UnsetType = UNSET


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/tokens", tags=["tokens"])
    _reading(router, parts)
    _changing(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    @router.get("", **described(lists.Page[Token]))
    async def list_tokens(
        sort: str = "created_at",
        team: str | None = None,
        name: str = "",
        limit: str | None = None,
        cursor: str | None = None,
    ) -> Response:
        """Tokens, sorted by `name`, `created_at`, `last_used` or `expires_at`; `-` is downwards."""
        if sort.removeprefix("-") not in tokens.ORDERS:
            orders = ", ".join(tokens.ORDERS)
            raise Refusal(Code.BAD_REQUEST, f"`sort`: use one of {orders}", param="sort")
        start, size = lists.read_cursor(cursor) or 0, lists.read_limit(limit)
        query = tokens.Query(sort, team, name, size, start)
        async with parts.database.reading() as tx:
            found, total = await tokens.page(tx, query)
            hashes = await tokens.hashes(tx, [view.id for view in found])
        end = start + len(found)
        more = str(end) if found and end < total else None
        items = [shown(view, hashes.get(view.id, "")) for view in found]
        return bodies.answer(lists.Page(items=items, total=total, next=more))

    @router.get("/{token:path}", **described(Token))
    async def show_token(token: str) -> Response:
        """One token, by its id or by the token itself."""
        return bodies.answer(await _shown(parts, await _find(parts, token)))


def _changing(router: APIRouter, parts: Parts) -> None:
    @router.post("", **described(Token, status=201, body=NewToken))
    async def create_token(request: Request) -> Response:
        """Make a token. The whole token is in the answer, and only there."""
        body = await bodies.read(request, NewToken)
        change = CreateKey(
            kind=Kind.TOKEN.value,
            label=body.name,
            team_id=await existing_team(parts, body.team_id),
            scopes=body.scopes or [],
            expires_ms=expiry(body.expires_at),
            limits=limit_specs(body.limits),
            addresses=networks(body.addresses),
            models=body.models,
            user_id=body.user_id,
        )
        made = await order(parts.clerk, request, change, KeyView)
        return bodies.answer(await _shown(parts, made), 201)

    @router.post("/{token:path}/rotate", **described(Token, body=Rotation))
    async def rotate_token(request: Request, token: str) -> Response:
        """Another token in its place: scopes, limits and history stay."""
        body = await bodies.read(request, Rotation)
        found = await _find(parts, token)
        change = RotateKey(key=str(found.id), grace_s=body.grace_s)
        made = await order(parts.clerk, request, change, KeyView)
        return bodies.answer(await _shown(parts, made))

    @router.patch("/{token:path}", **described(Token, body=TokenChange))
    async def change_token(request: Request, token: str) -> Response:
        """Change a token; gateways obey within a second."""
        body = await bodies.read(request, TokenChange)
        found = await _find(parts, token)
        change = PatchKey(
            key=str(found.id),
            label=body.name,
            team_id=UNSET if body.team_id is UNSET else await existing_team(parts, body.team_id),
            scopes=UNSET if body.scopes is UNSET else body.scopes or [],
            expires_ms=UNSET if body.expires_at is UNSET else expiry(body.expires_at),
            limits=UNSET if body.limits is UNSET else limit_specs(body.limits),
            addresses=UNSET if body.addresses is UNSET else networks(body.addresses),
            models=body.models,
            is_active=body.is_active,
        )
        changed = await order(parts.clerk, request, change, KeyView)
        return bodies.answer(await _shown(parts, changed))

    @router.delete("/{token:path}", **described(Deleted))
    async def delete_token(request: Request, token: str) -> Response:
        """Delete a token: it is unknown everywhere within a second. Its history stays."""
        found = await _find(parts, token)
        await order(parts.clerk, request, DeleteKey(key=str(found.id)), KeyView)
        return bodies.answer(Deleted())


def shown(view: KeyView, token_hash: str) -> Token:
    """A token as the API and the command line answer it."""
    token = Token(
        id=str(view.id),
        name=view.label,
        team_id=view.team_id or None,
        scopes=view.scopes,
        masked=view.masked,
        token_hash=token_hash,
        is_active=view.is_active,
        created_at=bodies.rfc3339(view.created_ms) or "",
        expires_at=bodies.rfc3339(view.expires_ms),
        last_used=bodies.rfc3339(view.last_used_ms),
        limits=shown_limits(view.limits),
        addresses=view.addresses,
        models=view.models,
        user_id=view.user_id,
    )
    if view.secret is not None:
        token.token = view.secret
    return token


async def _shown(parts: Parts, view: KeyView) -> Token:
    async with parts.database.reading() as tx:
        hashes = await tokens.hashes(tx, [view.id])
    return shown(view, hashes.get(view.id, ""))


async def _find(parts: Parts, token: str) -> KeyView:
    """A key of another kind is none of these, whatever its id."""
    async with parts.database.reading() as tx:
        found = await keys.find_view(tx, token)
    if found is None or found.kind != Kind.TOKEN:
        raise Refusal(Code.NOT_FOUND, "there is no such token")
    return found
