"""/api/user: what people see and change of themselves, and the keys that they make."""

import datetime

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import bodies, keys, lists
from tallygate.control.admin_keys import Deleted
from tallygate.control.bodies import Amount, Text
from tallygate.control.callers import caller_of
from tallygate.control.keys import ApiKey, Names, Rotation
from tallygate.control.limits import Limits, limit_specs
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.control.sessions import Password as AnyPassword
from tallygate.control.sessions import check_one_password
from tallygate.control.users import Language, Password, User, hash_for, user
from tallygate.core.account_commands import (
    AccountView,
    CreateOwnKey,
    DeleteOwnKey,
    PatchUser,
    RotateOwnKey,
)
from tallygate.core.commands import KeyView
from tallygate.core.errors import Code, Refusal
from tallygate.store import accounts, teams
from tallygate.store import keys as api_keys


class NewOwnKey(bodies.Body, kw_only=True):
    """A key of one's own: all that it says can only restrict it. `daily_limit` absent is
    DAILY_REQ_LIMIT, which is also the most."""

    label: Text = ""
    daily_limit: Amount | UnsetType = UNSET
    limits: Limits = msgspec.field(default_factory=list)
    expires_at: datetime.datetime | None = None
    models: Names | None = None
    addresses: Names | None = None


class OwnChange(bodies.Body, kw_only=True):
    """The language that one is told things in; null is the operator's."""

    language: Language | None


class NewPassword(bodies.Body, kw_only=True):
    """Whoever found an open browser must not be able to lock its owner out."""

    current_password: AnyPassword
    password: Password


class TeamName(msgspec.Struct, kw_only=True):
    id: str
    name: str


class OwnAccount(msgspec.Struct, kw_only=True):
    user: User
    teams: list[TeamName]


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/user", tags=["user"])
    _account(router, parts)
    _keys(router, parts)
    return router


def own_id(request: Request) -> str:
    """The account of whoever asks; the admin token has none."""
    account_id = caller_of(request).account_id
    if account_id is None:
        message = "the admin token belongs to no user; sign in as one, or use the operators' calls"
        raise Refusal(Code.BAD_REQUEST, message)
    return account_id


def _account(router: APIRouter, parts: Parts) -> None:
    @router.get("", **described(OwnAccount))
    async def show_own_account(request: Request) -> Response:
        """One's own account and teams."""
        account_id = own_id(request)
        async with parts.database.reading() as tx:
            view = await accounts.find(tx, account_id)
            found = await teams.teams_of(tx, account_id)
        if view is None:
            raise Refusal(Code.NOT_FOUND, "this key belongs to a user that has no account")
        named = [TeamName(id=one[0], name=one[1]) for one in found]
        return bodies.answer(OwnAccount(user=user(view), teams=named))

    @router.patch("", **described(User, body=OwnChange))
    async def change_own_account(request: Request) -> Response:
        """Say in which language one wants to be told of one's money."""
        account_id = own_id(request)
        body = await bodies.read(request, OwnChange)
        change = PatchUser(id=account_id, language=body.language)
        return bodies.answer(user(await order(parts.clerk, request, change, AccountView)))

    @router.post("/password", **described(User, body=NewPassword))
    async def change_own_password(request: Request) -> Response:
        """Set a new password; every other browser is signed out."""
        account_id = own_id(request)
        body = await bodies.read(request, NewPassword)
        async with parts.database.reading() as tx:
            known = await accounts.find_login(tx, id_=account_id)
        if known is None or known.password_hash is None:
            message = "this account has no password; ask an admin for one"
            raise Refusal(Code.CONFLICT, message)
        given = body.current_password
        await check_one_password(parts, request, account_id, given, known.password_hash)
        change = PatchUser(
            id=account_id,
            password_hash=await hash_for(parts, request, body.password, account_id),
            keep_session=caller_of(request).session,
        )
        return bodies.answer(user(await order(parts.clerk, request, change, AccountView)))


def _keys(router: APIRouter, parts: Parts) -> None:
    @router.get("/keys", **described(lists.Page[ApiKey]))
    async def list_own_keys(
        request: Request, limit: str | None = None, cursor: str | None = None
    ) -> Response:
        """One's own keys, masked."""
        async with parts.database.reading() as tx:
            found = await api_keys.list_of_user(tx, own_id(request))
        return bodies.answer(lists.cut([keys.api_key(view) for view in found], limit, cursor))

    @router.post("/keys", **described(ApiKey, status=201, body=NewOwnKey))
    async def create_own_key(request: Request) -> Response:
        """Make a key that is charged to one's own wallet. Its secret is in the answer only."""
        account_id = own_id(request)
        body = await bodies.read(request, NewOwnKey)
        change = CreateOwnKey(
            account_id=account_id,
            label=body.label,
            daily_limit=body.daily_limit,
            limits=limit_specs(body.limits),
            expires_ms=keys.expiry(body.expires_at),
            models=body.models,
            addresses=keys.networks(body.addresses),
        )
        made = await order(parts.clerk, request, change, KeyView)
        return bodies.answer(keys.api_key(made), 201)

    @router.post("/keys/{key}/rotate", **described(ApiKey, body=Rotation))
    async def rotate_own_key(request: Request, key: str) -> Response:
        """A new secret for one's own key; its limits stay."""
        account_id = own_id(request)
        body = await bodies.read(request, Rotation)
        change = RotateOwnKey(account_id=account_id, key=key, grace_s=body.grace_s)
        return bodies.answer(keys.api_key(await order(parts.clerk, request, change, KeyView)))

    @router.delete("/keys/{key}", **described(Deleted))
    async def delete_own_key(request: Request, key: str) -> Response:
        """Delete one's own key: it is unknown everywhere within a second."""
        change = DeleteOwnKey(account_id=own_id(request), key=key)
        await order(parts.clerk, request, change, KeyView)
        return bodies.answer(Deleted())
