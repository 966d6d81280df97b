"""Signatures of webhooks, made and checked: Standard Webhooks (id, time and raw body), or the body
alone.

The first are `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`. Several may be sent while a
secret is rotated; all comparisons take constant time.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"
SKEW_S_MAX: Final = 300
SIGNATURES_MAX: Final = 16
_SECONDS_LENGTH_MAX: Final = 12


def key_of(secret: str) -> bytes:
    """`whsec_…` is base64, anything else is the key itself; ValueError if it is neither."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    encoded = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("what follows whsec_ is not base64") from error
    if not key:
        raise ValueError("the secret is empty")
    return key


def sign(key: bytes, webhook_id: str, timestamp_s: int, body: bytes) -> str:
    signed = f"{webhook_id}.{timestamp_s}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def is_signed(
    key: bytes, *, message_id: str, timestamp: str, signatures: str, body: bytes, now_s: int
) -> bool:
    """Whether one of the Standard Webhooks signatures is ours, and its time is about now."""
    if not message_id or not timestamp.isdecimal() or len(timestamp) > _SECONDS_LENGTH_MAX:
        return False
    if not timestamp.isascii() or abs(int(timestamp) - now_s) > SKEW_S_MAX:
        return False
    wanted = sign(key, message_id, int(timestamp), body).encode()
    offered = signatures.encode().split(b" ")[:SIGNATURES_MAX]
    return sum(hmac.compare_digest(wanted, one) for one in offered) > 0


def is_plainly_signed(key: bytes, signature: str, body: bytes) -> bool:
    """Whether `sha256=<hex>` is the digest of the raw body under our key."""
    wanted = b"sha256=" + hmac.digest(key, body, hashlib.sha256).hex().encode()
    return hmac.compare_digest(wanted, signature.strip().lower().encode())
