"""/api/session/oidc: a browser goes to the provider and comes back signed in.

What was drawn for a sign-in (state, nonce, PKCE verifier) rests sealed in the browser that began
it, and counts once: the store remembers each state that was used.
"""

import hashlib
import hmac

import msgspec
import structlog
from fastapi import APIRouter, Request, Response

from tallygate.control.callers import client_address
from tallygate.control.cookies import (
    SECRET_BYTES,
    cookie_of,
    hash_of,
    is_https,
    set_cookie,
)
from tallygate.control.oidc import Oidc
from tallygate.control.parts import Parts
from tallygate.control.sessions import session_cookie
from tallygate.core import sealing
from tallygate.core.account_commands import SignInSubject
from tallygate.core.base64url import decoded, encoded
from tallygate.core.errors import Code, Refusal
from tallygate.core.ports import Actor

PATH = "/api/session/oidc"
COOKIE = "tallygate_sign_in"
TIME_S = 600
NEXT_LENGTH_MAX = 512
_PURPOSE = "oidc.sign_in"

log = structlog.get_logger("tallygate.control")


class Begun(msgspec.Struct, array_like=True):
    """A sign-in that is under way; `next` is where the browser goes afterwards."""

    state: str
    nonce: str
    verifier: str
    next: str
    redirect_uri: str
    until_ms: int


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix=PATH, include_in_schema=False)

    @router.get("")
    async def begin(request: Request) -> Response:
        try:
            return await _begin(parts, request)
        except Refusal as refusal:
            return _told(request, refusal, _local(request.query_params.get("next", "/")))

    @router.get("/callback")
    async def come_back(request: Request) -> Response:
        try:
            return await _come_back(parts, request)
        except Refusal as refusal:
            return _told(request, refusal, _wanted(parts, request))

    return router


async def _begin(parts: Parts, request: Request) -> Response:
    oidc = _oidc(parts)
    draw = parts.sign_in.entropy
    begun = Begun(
        state=encoded(draw(SECRET_BYTES)),
        nonce=encoded(draw(SECRET_BYTES)),
        verifier=encoded(draw(SECRET_BYTES)),
        next=_local(request.query_params.get("next", "/")),
        redirect_uri=_redirect_uri(parts, request),
        until_ms=parts.database.system_clock_ms() + TIME_S * 1000,
    )
    address = await oidc.address(begun.redirect_uri, begun.state, begun.nonce, begun.verifier)
    return _redirect(address, _kept(parts, request, _seal(parts, begun), TIME_S))


async def _come_back(parts: Parts, request: Request) -> Response:
    oidc, query = _oidc(parts), request.query_params
    begun = _unseal(parts, cookie_of(request, COOKIE))
    if not hmac.compare_digest(begun.state.encode(), query.get("state", "").encode()):
        raise Refusal(Code.UNAUTHORIZED, "this is not the sign-in that this browser began")
    if "error" in query or not query.get("code"):
        raise Refusal(Code.UNAUTHORIZED, "the provider did not sign you in; begin again")
    person = await oidc.person(query["code"], begun.verifier, begun.redirect_uri, begun.nonce)
    cookie = encoded(parts.sign_in.entropy(SECRET_BYTES))
    default = oidc.options.default_role
    change = SignInSubject(
        state=hashlib.sha256(begun.state.encode()).digest(),
        subject=person.subject,
        name=person.name,
        email=person.email,
        role=None if person.role is None else person.role.value,
        default_role=None if default is None else default.value,
        hash=hash_of(cookie),
        expires_ms=parts.database.system_clock_ms() + parts.sign_in.max_ms,
        agent=request.headers.get("user-agent", ""),
    )
    request_id = request.state.request_id
    await parts.clerk.command(change, Actor("oidc", client_address(request), request_id))
    answer = _redirect(begun.next, session_cookie(parts, request, cookie))
    answer.headers.append("set-cookie", _kept(parts, request, "", 0)["set-cookie"])
    return answer


def _told(request: Request, refusal: Refusal, path: str) -> Response:
    """A person is led back to the page that they wanted, which says what happened in their own
    language; a program gets the refusal. Only its code is in the address: words would be anybody's.
    """
    if "text/html" not in request.headers.get("accept", ""):
        raise refusal
    log.warning("sign_in_refused", code=refusal.code.value, reason=str(refusal))
    return _redirect(f"{path}{'&' if '?' in path else '?'}sign_in={refusal.code.value}", {})


def _wanted(parts: Parts, request: Request) -> str:
    try:
        return _unseal(parts, cookie_of(request, COOKIE)).next
    except Refusal:
        return "/"


def _oidc(parts: Parts) -> Oidc:
    if parts.sign_in.oidc is None:
        raise Refusal(Code.NOT_FOUND, "signing in by OpenID Connect is not set up here")
    return parts.sign_in.oidc


def _redirect_uri(parts: Parts, request: Request) -> str:
    """As the provider knows it: by the operator's word, else by what the browser asked for."""
    public_url = parts.sign_in.public_url
    if not public_url:
        scheme = "https" if is_https(request, "") else "http"
        public_url = f"{scheme}://{request.headers.get('host', '')}"
    return f"{public_url}{PATH}/callback"


def _local(path: str) -> str:
    """A path of our own, so that a link to sign in here cannot lead anywhere else."""
    is_local = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if is_local and path.isprintable() and len(path) <= NEXT_LENGTH_MAX else "/"


def _redirect(address: str, headers: dict[str, str]) -> Response:
    return Response(None, 303, {"location": address, "cache-control": "no-store", **headers})


def _kept(parts: Parts, request: Request, value: str, seconds: int) -> dict[str, str]:
    is_secure = is_https(request, parts.sign_in.public_url)
    return set_cookie(COOKIE, value, seconds=seconds, is_secure=is_secure, path=PATH)


def _seal(parts: Parts, begun: Begun) -> str:
    nonce = parts.sign_in.entropy(sealing.NONCE_BYTES)
    plain = msgspec.msgpack.encode(begun)
    return encoded(sealing.seal(parts.master_key, plain, _PURPOSE, nonce))


def _unseal(parts: Parts, cookie: str) -> Begun:
    try:
        plain = sealing.unseal(parts.master_key, decoded(cookie), _PURPOSE)
        begun = msgspec.msgpack.decode(plain, type=Begun)
    except (sealing.Unsealable, msgspec.MsgspecError, ValueError) as error:
        message = "this browser has begun no sign-in, or it was too long ago; begin again"
        raise Refusal(Code.UNAUTHORIZED, message) from error
    if begun.until_ms <= parts.database.system_clock_ms():
        raise Refusal(Code.UNAUTHORIZED, "that took too long; begin again")
    return begun
