"""Signatures of Standard Webhooks: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"


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
