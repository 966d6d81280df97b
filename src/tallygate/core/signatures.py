"""Signatures of deliveries: Standard Webhooks (id, time and raw body), or a plain one of the body.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md. Several
signatures may be sent while a secret is rotated; all comparisons take constant time.
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

SKEW_S_MAX: Final = 300
SIGNATURES_MAX: Final = 16
_PREFIX: Final = "whsec_"


def signing_key(secret: str) -> bytes:
    """The bytes that a secret stands for; ValueError if it says it is base64 and is not."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a secret that begins with whsec_ goes on in base64") from error


def sign(key: bytes, message_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    """A Standard Webhooks signature with its version."""
    signed = b"%b.%b.%b" % (message_id, timestamp, body)
    return b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))


def is_signed(
    key: bytes, *, message_id: bytes, timestamp: bytes, signatures: bytes, body: bytes, now_s: int
) -> bool:
    """Whether one of the Standard Webhooks signatures is ours, and its time is about now."""
    if not message_id or not timestamp.isdigit() or len(timestamp) > 12:
        return False
    if abs(int(timestamp) - now_s) > SKEW_S_MAX:
        return False
    wanted = sign(key, message_id, timestamp, body)
    offered = signatures.split(b" ")[:SIGNATURES_MAX]
    return sum(hmac.compare_digest(wanted, one) for one in offered) > 0


def is_plainly_signed(key: bytes, signature: bytes, body: bytes) -> bool:
    """Whether `sha256=<hex>` is the digest of the raw body under our key."""
    wanted = b"sha256=" + hmac.digest(key, body, hashlib.sha256).hex().encode()
    return hmac.compare_digest(wanted, signature.strip().lower())
