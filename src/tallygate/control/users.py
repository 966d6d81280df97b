"""/api/users: accounts, for operators. A password goes in, never out, not even as a hash."""

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from tallygate.control import bodies, lists
from tallygate.control.amounts import Points, points
from tallygate.control.callers import caller_of
from tallygate.control.openapi import described
from tallygate.control.orders import idempotency_key, order
from tallygate.control.parts import Parts
from tallygate.control.passwords import salt_source
from tallygate.core.account_commands import AccountView, CreateUser, PatchUser
from tallygate.core.accounts import Role
from tallygate.core.errors import Code, Refusal
from tallygate.store import accounts

RoleName = Literal["admin", "operator", "viewer", "member"]
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Name = Annotated[str, msgspec.Meta(max_length=200)]
Language = Literal["en", "zh-CN", "zh-TW"]
Email = Annotated[str, msgspec.Meta(max_length=254)]
Password = Annotated[str, msgspec.Meta(min_length=8, max_length=1024)]


class UserChange(bodies.Body, kw_only=True):
    """What of an account can be changed. A new password signs it out everywhere."""

    name: Name | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    password: Password | UnsetType | None = UNSET
    role: RoleName | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    language: Language | UnsetType | None = UNSET


class NewUser(bodies.Body, kw_only=True):
    """`id` is what Dify's `user_id` names; one is made if it is left out."""

    id: Id | None = None
    name: Name = ""
    email: Email | None = None
    password: Password | None = None
    role: RoleName = "member"


class User(msgspec.Struct, kw_only=True):
    """An account. A deactivated one neither signs in nor has keys that work; its history stays."""

    id: str
    name: str
    email: str | None
    role: str
    is_active: bool
    language: str | None
    has_password: bool
    has_oidc: bool
    created_at: str
    balance: Points
    balance_micros: int


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/users", tags=["users"])
    _reading(router, parts)
    _changing(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    @router.get("", **described(lists.Page[User]))
    async def list_users(
        limit: str | None = None,
        cursor: str | None = None,
        q: str | None = None,
        role: str | None = None,
        is_active: bool | None = None,
    ) -> Response:
        """Accounts, the oldest first; `q` looks for a part of id, name or address."""
        size, start = lists.read_limit(limit), lists.read_cursor(cursor) or 0
        async with parts.database.reading() as tx:
            found, total = await accounts.page(
                tx, limit=size, offset=start, role=role, is_active=is_active, containing=q
            )
        following = str(start + size) if start + size < total else None
        items = [user(view) for view in found]
        return bodies.answer(lists.Page(items=items, total=total, next=following))

    @router.get("/{id}", **described(User))
    async def show_user(id: str) -> Response:
        """One account."""
        async with parts.database.reading() as tx:
            view = await accounts.find(tx, id)
        if view is None:
            raise Refusal(Code.NOT_FOUND, "there is no such user")
        return bodies.answer(user(view))


def _changing(router: APIRouter, parts: Parts) -> None:
    @router.post("", **described(User, status=201, body=NewUser))
    async def create_user(request: Request) -> Response:
        """Make an account and its wallet."""
        body = await bodies.read(request, NewUser)
        change = CreateUser(
            id=body.id,
            name=body.name,
            email=body.email,
            role=body.role,
            members_only=_members_only(request),
        )
        if body.password is not None:
            change.password_hash = await hash_for(parts, request, body.password, "")
        return bodies.answer(user(await order(parts.clerk, request, change, AccountView)), 201)

    @router.patch("/{id}", **described(User, body=UserChange))
    async def change_user(request: Request, id: str) -> Response:
        """Change, deactivate or reactivate an account."""
        body = await bodies.read(request, UserChange)
        change = PatchUser(
            id=id,
            name=body.name,
            email=body.email,
            role=body.role,
            is_active=body.is_active,
            language=body.language,
            members_only=_members_only(request),
            keep_session=caller_of(request).session,
        )
        if body.password is None:
            change.password_hash = None
        elif body.password is not UNSET:
            change.password_hash = await hash_for(parts, request, body.password, id)
        return bodies.answer(user(await order(parts.clerk, request, change, AccountView)))


async def hash_for(parts: Parts, request: Request, password: str, subject: str) -> str:
    """The same call sent again has the same hash, so that its Idempotency-Key recognises it."""
    once = salt_source(parts.master_key, idempotency_key(request), subject)
    return await parts.sign_in.passwords.hash(password, once=once)


def _members_only(request: Request) -> bool:
    """An operator reaches members only; the clerk holds them to it, in the transaction."""
    return caller_of(request).role is not Role.ADMIN


def user(view: AccountView) -> User:
    return User(
        id=view.id,
        name=view.name,
        email=view.email,
        role=view.role,
        is_active=view.is_active,
        language=view.language,
        has_password=view.has_password,
        has_oidc=view.has_subject,
        created_at=bodies.rfc3339(view.created_ms) or "",
        balance=points(view.balance_micros),
        balance_micros=view.balance_micros,
    )
