"""A provider of OpenID Connect for tests: real signatures, real PKCE, codes that count once.

It answers what `control.oidc.Fetch` asks, without a socket; `serve` puts it behind one. `token` may
be replaced to make an ID token that is wrong in one way.
"""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tallygate.control.oidc import Asked
from tallygate.core.base64url import encoded

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
CLIENT_ID, CLIENT_SECRET = "tallygate", "the client's own: secret"


def sign(claims: dict[str, Any], alg: str = "RS256", kid: str = "", **header: Any) -> str:
    """A token as the provider makes it; `alg` may be one that it should never use."""
    head = {"alg": alg, "typ": "JWT", "kid": kid or alg.lower(), **header}
    head = {name: value for name, value in head.items() if value is not None}
    signed = f"{encoded(msgspec.json.encode(head))}.{encoded(msgspec.json.encode(claims))}"
    return f"{signed}.{encoded(_signature(alg, signed.encode()))}"


def _signature(alg: str, signed: bytes) -> bytes:
    if alg == "RS256":
        return RSA_KEY.sign(signed, padding.PKCS1v15(), SHA256())
    if alg == "ES256":
        r, s = decode_dss_signature(EC_KEY.sign(signed, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return b""


def key_set(*, with_ec: bool = True) -> dict[str, Any]:
    numbers = RSA_KEY.public_key().public_numbers()
    keys = [
        {
            "kty": "RSA",
            "kid": "rs256",
            "use": "sig",
            "alg": "RS256",
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }
    ]
    point = EC_KEY.public_key().public_numbers()
    if with_ec:
        x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
        keys.append({"kty": "EC", "kid": "es256", "crv": "P-256", "x": encoded(x), "y": encoded(y)})
    return {"keys": keys}


def _number(number: int) -> str:
    return encoded(number.to_bytes((number.bit_length() + 7) // 8, "big"))


class Issuer:
    """One provider with one person to sign in. `now_s` is its clock."""

    def __init__(self, issuer: str, now_s: Callable[[], float]) -> None:
        self.issuer = issuer
        self.now_s = now_s
        self.person: dict[str, Any] = {
            "sub": "sub-1",
            "name": "Ann",
            "email": "ann@example.com",
            "email_verified": True,
        }
        self.token: Callable[[dict[str, Any]], str] = sign
        self.document: dict[str, Any] = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/keys",
        }
        self.keys = key_set()
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._used: set[str] = set()

    def authorize(self, address: str) -> dict[str, str]:
        """The person signs in there: the query that the browser comes back with."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert query["response_type"] == "code" and query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256" and "openid" in query["scope"].split()
        code = f"code-{len(self._codes)}"
        self._codes[code] = query
        return {"code": code, "state": query["state"]}

    def forget_use_of(self, code: str) -> None:
        """A provider that lets a code be used twice, which it must not."""
        self._used.discard(code)

    async def fetch(self, asked: Asked) -> tuple[int, bytes]:
        path = asked.url.removeprefix(self.issuer)
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return 200, msgspec.json.encode(self.document)
        if path == "/keys":
            return 200, msgspec.json.encode(self.keys)
        if path == "/token" and asked.form is not None:
            return self._redeem(dict(asked.form), dict(asked.headers))
        return 404, b"{}"

    def _redeem(self, form: dict[str, str], headers: dict[str, str]) -> tuple[int, bytes]:
        code = form.get("code", "")
        begun = None if code in self._used else self._codes.get(code)
        self._used.add(code)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            begun is None
            or form["redirect_uri"] != begun["redirect_uri"]
            or encoded(challenge) != begun["code_challenge"]
            or self._client_of(form, headers) != (CLIENT_ID, CLIENT_SECRET)
        ):
            return 400, b'{"error":"invalid_grant"}'
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": self.now_s(),
            "exp": self.now_s() + 300,
            "nonce": begun["nonce"],
            **self.person,
        }
        answer = {"access_token": "a", "token_type": "Bearer", "id_token": self.token(claims)}
        return 200, msgspec.json.encode(answer)

    def _client_of(self, form: dict[str, str], headers: dict[str, str]) -> tuple[str, str]:
        scheme, _, pair = headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            id_, _, secret = base64.b64decode(pair).decode().partition(":")
            return unquote(id_), unquote(secret)
        return form.get("client_id", ""), form.get("client_secret", "")

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """The same behind a socket; its address, which is the issuer from then on."""

        async def answer(request: web.Request) -> web.Response:
            form = dict(await request.post()) if request.method == "POST" else None
            headers = {name.lower(): value for name, value in request.headers.items()}
            asked = Asked(self.issuer + request.path, form, headers)  # type: ignore[arg-type]  # no files
            status, body = await self.fetch(asked)
            return web.Response(status=status, body=body, content_type="application/json")

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        before, self.issuer = self.issuer, f"http://127.0.0.1:{port}"
        for name, value in self.document.items():
            self.document[name] = self.issuer + value.removeprefix(before)
        try:
            yield self.issuer
        finally:
            await runner.cleanup()
