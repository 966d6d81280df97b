"""ID tokens of OpenID Connect: a signature by one of the provider's keys, and claims that are ours.

Only RS256 and ES256, each with a key of its own kind: a token does not choose how it is verified. A
symmetric algorithm or none would let whoever knows our client id sign for anybody.
"""

import hmac
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tallygate.core.base64url import decoded

LEEWAY_S: Final = 60  # how far two clocks may be apart
TOKEN_LENGTH_MAX: Final = 32_768
RSA_BITS_MIN: Final = 2048
_ES256_BYTES: Final = 32


class BadToken(Exception):
    """This ID token proves nothing; the message says why, for the log and for people."""


class Jwk(msgspec.Struct, frozen=True):
    """One public key as a provider publishes it (RFC 7517); what else it says is ignored."""

    kty: str
    kid: str = ""
    use: str = ""
    alg: str = ""
    n: str = ""
    e: str = ""
    crv: str = ""
    x: str = ""
    y: str = ""


class _KeySet(msgspec.Struct):
    keys: list[Jwk]


class _Header(msgspec.Struct):
    alg: str
    kid: str = ""
    crit: msgspec.Raw | None = None


def parse_keys(document: bytes) -> tuple[Jwk, ...]:
    try:
        return tuple(msgspec.json.decode(document, type=_KeySet).keys)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadToken(f"the provider's keys cannot be read: {error}") from error


def key_id_of(token: str) -> str:
    """Which key the token says it is signed with; nothing when it does not say."""
    return _parts(token)[0].kid


def verify(
    token: str, keys: Sequence[Jwk], *, issuer: str, client_id: str, nonce: str, now_s: float
) -> dict[str, Any]:
    """The claims, once signature, issuer, audience, time and nonce are as they must be."""
    header, signed, payload, signature = _parts(token)
    if header.crit is not None:
        raise BadToken("it asks for an extension that is not known here")
    if header.alg not in _KINDS:
        raise BadToken(f"it is signed by {header.alg[:20]!r}; RS256 and ES256 are taken")
    if not any(_is_signed(header.alg, key, signed, signature) for key in _fitting(header, keys)):
        raise BadToken("its signature is by none of the provider's keys")
    try:
        claims = msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadToken("its claims cannot be read") from error
    _check(claims, issuer, client_id, nonce, now_s)
    return claims


def _parts(token: str) -> tuple[_Header, bytes, bytes, bytes]:
    pieces = token.split(".")
    if len(pieces) != 3 or len(token) > TOKEN_LENGTH_MAX:
        raise BadToken("it is no signed token")
    try:
        header = msgspec.json.decode(decoded(pieces[0]), type=_Header)
        signed = f"{pieces[0]}.{pieces[1]}".encode("ascii")
        return header, signed, decoded(pieces[1]), decoded(pieces[2])
    except (msgspec.DecodeError, ValueError) as error:
        raise BadToken("it is no signed token") from error


_KINDS: Final = {"RS256": "RSA", "ES256": "EC"}


def _fitting(header: _Header, keys: Sequence[Jwk]) -> list[Jwk]:
    return [
        key
        for key in keys
        if key.kty == _KINDS[header.alg]
        and key.use in ("", "sig")
        and key.alg in ("", header.alg)
        and (not header.kid or key.kid == header.kid)
    ]


def _is_signed(alg: str, key: Jwk, signed: bytes, signature: bytes) -> bool:
    try:
        if alg == "RS256":
            _rsa_key(key).verify(signature, signed, padding.PKCS1v15(), SHA256())
        else:
            if len(signature) != 2 * _ES256_BYTES:
                return False
            r, s = signature[:_ES256_BYTES], signature[_ES256_BYTES:]
            encoded = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
            _ec_key(key).verify(encoded, signed, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):  # a malformed key signs nothing
        return False
    return True


def _rsa_key(key: Jwk) -> rsa.RSAPublicKey:
    numbers = rsa.RSAPublicNumbers(_number(key.e), _number(key.n))
    if numbers.n.bit_length() < RSA_BITS_MIN:
        raise ValueError("too short a key")
    return numbers.public_key()


def _ec_key(key: Jwk) -> ec.EllipticCurvePublicKey:
    if key.crv != "P-256":
        raise ValueError("another curve than ES256 is made for")
    numbers = ec.EllipticCurvePublicNumbers(_number(key.x), _number(key.y), ec.SECP256R1())
    return numbers.public_key()


def _number(text: str) -> int:
    return int.from_bytes(decoded(text), "big")


def _check(claims: dict[str, Any], issuer: str, client_id: str, nonce: str, now_s: float) -> None:
    """OpenID Connect Core 1.0, 3.1.3.7."""
    if claims.get("iss") != issuer:
        raise BadToken("it is by another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise BadToken("it is for another client")
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise BadToken("it was given to another client")
    if not _is_number(claims.get("exp")) or claims["exp"] + LEEWAY_S <= now_s:
        raise BadToken("it has expired")
    if not _is_number(claims.get("iat")) or claims["iat"] - LEEWAY_S > now_s:
        raise BadToken("it is from the future")
    if "nbf" in claims and (not _is_number(claims["nbf"]) or claims["nbf"] - LEEWAY_S > now_s):
        raise BadToken("it is not valid yet")
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise BadToken("it is for another sign-in")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise BadToken("it names nobody")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
