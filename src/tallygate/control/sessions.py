"""/api/session: signing in by password, who is signed in, signing out."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies
from tallygate.control.callers import account_name, caller_of, client_address
from tallygate.control.cookies import (
    COOKIE,
    SECRET_BYTES,
    check_origin,
    cookie_of,
    hash_of,
    is_https,
    set_cookie,
    token_for,
)
from tallygate.control.openapi import described
from tallygate.control.orders import actor_of
from tallygate.control.parts import Parts
from tallygate.core.account_commands import AccountView, CloseSessions, OpenSession
from tallygate.core.accounts import fold_email
from tallygate.core.base64url import encoded
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import Actor
from tallygate.store import accounts

# Anything beyond is no password of ours, and hashing it is work that somebody asked for.
Password = Annotated[str, msgspec.Meta(max_length=1024)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Credentials(bodies.Body, kw_only=True):
    """An address or an id, and the password."""

    email: Name | None = None
    id: Name | None = None
    password: Password


class SignedIn(msgspec.Struct, kw_only=True):
    """Who is signed in; `id` is null for the admin token, `language` for who chose none.

    Every changing call that is made with the cookie sends `csrf_token` as `X-CSRF-Token`.
    """

    id: str | None
    name: str
    email: str | None
    role: str
    csrf_token: str | None
    language: str | None = None


class Methods(msgspec.Struct, kw_only=True):
    """How one can sign in here; `oidc` is where to send the browser, if that is set up."""

    password: bool
    oidc: str | None


class SignedOut(msgspec.Struct, kw_only=True):
    """How many sessions have ended."""

    closed: int


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/session", tags=["session"])

    @router.get("", **described(SignedIn))
    async def show_session(request: Request) -> Response:
        """Who is signed in, and the token that changing calls send along with the cookie."""
        caller = caller_of(request)
        if caller.account_id is None:
            admin = SignedIn(id=None, name="admin", email=None, role="admin", csrf_token=None)
            return bodies.answer(admin)
        async with parts.database.reading() as tx:
            view = await accounts.find(tx, caller.account_id)
        assert view is not None, "accounts are never deleted"
        return bodies.answer(signed_in(view, cookie_of(request)))

    @router.get("/methods", **described(Methods))
    async def show_methods() -> Response:
        """How one can sign in here."""
        oidc = "/api/session/oidc" if parts.sign_in.oidc else None
        return bodies.answer(Methods(password=True, oidc=oidc))

    @router.post("", **described(SignedIn, status=201, body=Credentials))
    async def sign_in(request: Request) -> Response:
        """Sign in by password. The session is a cookie that no script can read."""
        check_origin(request, parts.sign_in.public_url)
        body = await bodies.read(request, Credentials)
        account_id = await _check_password(parts, request, body)
        return await open_session(parts, request, account_id)

    @router.delete("", **described(SignedOut))
    async def sign_out(request: Request, everywhere: bool = False) -> Response:
        """Sign out here, or with `everywhere` in every browser."""
        caller = caller_of(request)
        if caller.account_id is None:
            raise Refusal(Code.BAD_REQUEST, "the admin token has no session; just do not send it")
        only = None if everywhere else caller.session
        change = CloseSessions(account_id=caller.account_id, hash=only)
        closed = await parts.clerk.command(change, actor_of(request))
        gone = set_cookie(COOKIE, "", seconds=0, is_secure=False)
        return bodies.answer(msgspec.convert(closed, SignedOut), headers=gone)

    return router


async def _check_password(parts: Parts, request: Request, body: Credentials) -> str:
    """The account's id. An unknown name and a wrong password look and last alike."""
    if (body.email is None) == (body.id is None):
        raise Refusal(Code.BAD_REQUEST, "send either `email` or `id`, with `password`")
    email = None if body.email is None else fold_email(body.email)
    async with parts.database.reading() as tx:
        known = await accounts.find_login(tx, id_=body.id, email=email)
    name = known.id if known is not None else f"{email or body.id}"
    hash_ = None if known is None else known.password_hash
    await check_one_password(parts, request, name, body.password, hash_)
    assert known is not None, "only a known account has a right password"
    if not known.is_active:
        raise Refusal(Code.FORBIDDEN, "this account was deactivated")
    return known.id


async def check_one_password(
    parts: Parts, request: Request, name: str, password: str, known: str | None
) -> None:
    """Refusal unless it is right; a wrong one counts against the name and the address."""
    throttle, address = parts.sign_in.throttle, client_address(request)
    throttle.spend(address, name)
    if not await parts.sign_in.passwords.is_right(password, known):
        raise Refusal(Code.UNAUTHORIZED, "the name or the password is wrong")
    throttle.give_back(address, name)


async def open_session(parts: Parts, request: Request, account_id: str) -> Response:
    """A session for somebody who has proved who they are."""
    cookie = encoded(parts.sign_in.entropy(SECRET_BYTES))
    change = OpenSession(
        account_id=account_id,
        hash=hash_of(cookie),
        expires_ms=parts.database.system_clock_ms() + parts.sign_in.max_ms,
        agent=request.headers.get("user-agent", ""),
    )
    value = await parts.clerk.command(change, actor_for(request, account_id))
    view = msgspec.convert(value, AccountView)
    return bodies.answer(signed_in(view, cookie), 201, session_cookie(parts, request, cookie))


def session_cookie(parts: Parts, request: Request, cookie: str) -> dict[str, str]:
    is_secure = is_https(request, parts.sign_in.public_url)
    seconds = parts.sign_in.max_ms // 1000
    return set_cookie(COOKIE, cookie, seconds=seconds, is_secure=is_secure)


def actor_for(request: Request, account_id: str) -> Actor:
    """Whoever signs in is known only now."""
    return Actor(account_name(account_id), client_address(request), request.state.request_id)


def signed_in(view: AccountView, cookie: str) -> SignedIn:
    return SignedIn(
        id=view.id,
        name=view.name or view.id,
        email=view.email,
        role=view.role,
        csrf_token=token_for(cookie) if cookie else None,
        language=view.language,
    )
