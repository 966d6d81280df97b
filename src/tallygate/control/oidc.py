"""OpenID Connect, as a client: where to send a browser, and who came back with it.

Authorization code with PKCE. The provider's own document says where its endpoints are; it and its
keys are kept for an hour, and the keys are fetched again when a token names one that is not known.
"""

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import structlog

from tallygate.core.accounts import Role, flaw_of_email, fold_email, highest_role
from tallygate.core.base64url import encoded
from tallygate.core.errors import Code, Refusal
from tallygate.core.id_token import BadToken, Jwk, key_id_of, parse_keys, verify

KEPT_S = 3600.0
KEYS_AGAIN_S = 60.0
ANSWER_BYTES_MAX = 1 << 20
DEADLINE_S = 10.0

log = structlog.get_logger("tallygate.control")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """One call to the provider; `form` makes it a POST."""

    url: str
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Asked {self.url}>"  # the form holds secrets


Fetch = Callable[[Asked], Awaitable[tuple[int, bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcOptions:
    """What the operator has set; `default_role` None refuses who is in no known group."""

    issuer: str
    client_id: str
    client_secret: str | None = None
    scopes: str = "openid email profile"
    domains: frozenset[str] = frozenset()
    default_role: Role | None = Role.MEMBER
    role_claim: str = "groups"
    roles: Mapping[str, Role] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<OidcOptions {self.issuer}>"


@dataclass(frozen=True, slots=True)
class Person:
    """Who the provider says it is. `email` only when it vouches for that, too."""

    subject: str
    name: str
    email: str | None
    role: Role | None


class _Provider(msgspec.Struct):
    """What of the provider's document is used (OpenID Connect Discovery 1.0)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(
        default_factory=lambda: ["client_secret_basic"]
    )


class _Tokens(msgspec.Struct):
    id_token: str


class Oidc:
    def __init__(self, options: OidcOptions, fetch: Fetch, wall_s: Callable[[], float]) -> None:
        self.options = options
        self._fetch = fetch
        self._wall_s = wall_s
        self._provider: _Provider | None = None
        self._provider_until_s = 0.0
        self._keys: tuple[Jwk, ...] = ()
        self._keys_at_s = 0.0

    async def address(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes to sign in."""
        provider = await self._read_provider()
        query = {
            "response_type": "code",
            "client_id": self.options.client_id,
            "redirect_uri": redirect_uri,
            "scope": self.options.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        separator = "&" if urlsplit(provider.authorization_endpoint).query else "?"
        return f"{provider.authorization_endpoint}{separator}{urlencode(query)}"

    async def person(self, code: str, verifier: str, redirect_uri: str, nonce: str) -> Person:
        """Who came back with this code; Refusal when that is not proved, or not for here."""
        token = await self._redeem(code, verifier, redirect_uri)
        try:
            keys = await self._keys_for(key_id_of(token))
            claims = verify(
                token,
                keys,
                issuer=self.options.issuer,
                client_id=self.options.client_id,
                nonce=nonce,
                now_s=self._wall_s(),
            )
        except BadToken as error:
            log.warning("id_token_refused", reason=str(error))
            message = f"the provider's ID token was refused: {error}"
            raise Refusal(Code.UNAUTHORIZED, message) from error
        return self._person_of(claims)

    async def _redeem(self, code: str, verifier: str, redirect_uri: str) -> str:
        """The ID token for a code (RFC 6749, 4.1.3)."""
        provider, options = await self._read_provider(), self.options
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        methods = provider.token_endpoint_auth_methods_supported
        if options.client_secret is not None and "client_secret_basic" in methods:
            pair = f"{quote(options.client_id, safe='')}:{quote(options.client_secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = options.client_id
            if options.client_secret is not None:
                form["client_secret"] = options.client_secret
        status, body = await self._fetch(Asked(provider.token_endpoint, form, headers))
        if 400 <= status < 500:
            log.warning("sign_in_refused_by_provider", status=status)
            raise Refusal(Code.UNAUTHORIZED, "the provider did not confirm this sign-in")
        return _read(status, body, _Tokens, "tokens").id_token

    async def _read_provider(self) -> _Provider:
        if self._provider is not None and self._wall_s() < self._provider_until_s:
            return self._provider
        url = f"{self.options.issuer.rstrip('/')}/.well-known/openid-configuration"
        provider = _read(*await self._fetch(Asked(url)), _Provider, "configuration")
        if provider.issuer != self.options.issuer:
            raise _misbehaved("its configuration names another issuer")
        is_tls = self.options.issuer.startswith("https:")
        for endpoint in (provider.token_endpoint, provider.jwks_uri):
            if is_tls and not endpoint.startswith("https:"):
                raise _misbehaved("an endpoint of it is not https")
        self._provider, self._provider_until_s = provider, self._wall_s() + KEPT_S
        return provider

    async def _keys_for(self, key_id: str) -> tuple[Jwk, ...]:
        age_s = self._wall_s() - self._keys_at_s
        is_known = bool(self._keys) and (not key_id or any(k.kid == key_id for k in self._keys))
        if age_s >= KEPT_S or (not is_known and age_s >= KEYS_AGAIN_S):
            provider = await self._read_provider()
            status, body = await self._fetch(Asked(provider.jwks_uri))
            if status != 200:
                raise _misbehaved("its keys cannot be fetched")
            self._keys, self._keys_at_s = parse_keys(body), self._wall_s()
        return self._keys

    def _person_of(self, claims: Mapping[str, Any]) -> Person:
        options, email = self.options, _verified_email(claims)
        if options.domains and (email or "").rpartition("@")[2] not in options.domains:
            raise Refusal(Code.FORBIDDEN, "your address is not of a domain that may sign in here")
        groups = claims.get(options.role_claim)
        named = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
        role = highest_role([one for one in named if isinstance(one, str)], options.roles)
        if options.roles and role is None:
            role = options.default_role
            if role is None:
                raise Refusal(Code.FORBIDDEN, "none of your groups may sign in here")
        name = claims.get("name")
        subject = f"{options.issuer} {claims['sub']}"
        return Person(subject, name if isinstance(name, str) else "", email, role)


def challenge_of(verifier: str) -> str:
    """S256 (RFC 7636)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return encoded(digest)


def _verified_email(claims: Mapping[str, Any]) -> str | None:
    """An address that the provider does not vouch for may be anybody's."""
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") not in (True, "true"):
        return None
    folded = fold_email(email)
    return None if flaw_of_email(folded) else folded


def _read(status: int, body: bytes, kind: type[T], what: str) -> T:
    try:
        if status == 200:
            return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _misbehaved(f"its {what} cannot be read") from error
    raise _misbehaved(f"its {what} came with status {status}")


def _misbehaved(what: str) -> Refusal:
    log.warning("identity_provider_misbehaved", reason=what)
    return Refusal(Code.UPSTREAM_MISBEHAVED, f"the identity provider misbehaves: {what}")


async def fetch(asked: Asked) -> tuple[int, bytes]:
    """Over the network, by a client that follows no redirect and reads no more than it must."""
    import aiohttp  # only where somebody signs in by a provider

    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    method = "GET" if asked.form is None else "POST"
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.request(
                method, asked.url, data=asked.form, headers=asked.headers, allow_redirects=False
            ) as answer,
        ):
            body = await answer.content.read(ANSWER_BYTES_MAX)
            while len(body) < ANSWER_BYTES_MAX and (
                more := await answer.content.read(ANSWER_BYTES_MAX - len(body))
            ):
                body += more
            return answer.status, body
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        log.warning("identity_provider_unreachable", error=str(error))
        message = "the identity provider cannot be reached; try again"
        raise Refusal(Code.UPSTREAM_UNREACHABLE, message) from error
