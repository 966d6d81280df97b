"""The session's cookie, and how a call that changes something shows that our own page made it.

The token that such a call bears is computed from the cookie's secret: who knows the one can make
the other, and nobody else can, so nothing about it is kept.
"""

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from fastapi import Request

from tallygate.core.base64url import encoded
from tallygate.core.errors import Code, Refusal

COOKIE = "tallygate_session"
TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105 - a header's name, not a secret
SECRET_BYTES = 32
_OURS = ("same-origin", "none")  # none: typed into the address bar


def cookie_of(request: Request, name: str = COOKIE) -> str:
    """The cookie's value, or nothing."""
    try:
        found = SimpleCookie(request.headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def hash_of(cookie: str) -> bytes:
    """The only form in which a session is kept and looked up."""
    return hashlib.sha256(cookie.encode()).digest()


def token_for(cookie: str) -> str:
    made = hmac.new(cookie.encode(), b"csrf", hashlib.sha256).digest()
    return encoded(made)


def check_token(request: Request, cookie: str) -> None:
    sent = request.headers.get(TOKEN_HEADER, "")
    if not hmac.compare_digest(sent.encode(), token_for(cookie).encode()):
        raise Refusal(
            Code.FORBIDDEN, f"send `{TOKEN_HEADER}` with what `GET /api/session` answers for it"
        )


def check_origin(request: Request, public_url: str) -> None:
    """Refuse what a browser says another site's page has sent; who says nothing is no browser.

    `Sec-Fetch-Site` is the browser's own word. An `Origin` is compared with the host that was asked
    for, or with the URL that the operator says people use, where a proxy changes the host.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_ours = site in _OURS
    elif origin is not None:
        is_ours = _host(origin) == request.headers.get("host", "").lower() or (
            bool(public_url) and origin.lower() == public_url.lower()
        )
    else:
        is_ours = True
    if not is_ours:
        raise Refusal(Code.FORBIDDEN, "this call came from a page of another site")


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def is_https(request: Request, public_url: str) -> bool:
    """Whether the browser came by TLS: a trusted proxy says so, or the URL that people use."""
    if request.headers.get("x-forwarded-proto") == "https":
        return True
    parts = urlsplit(public_url)
    return parts.scheme == "https" and parts.netloc == request.headers.get("host", "")


def set_cookie(
    name: str, value: str, *, seconds: int, is_secure: bool, path: str = "/"
) -> dict[str, str]:
    """The header that makes a browser keep it; zero seconds make it forget."""
    secure = "; Secure" if is_secure else ""
    return {
        "set-cookie": f"{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; "
        f"SameSite=Lax{secure}"
    }
