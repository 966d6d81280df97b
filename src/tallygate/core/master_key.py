"""What a master key is: 32 bytes, which an operator writes as base64 or derives from any text."""

import base64
import binascii
import hashlib

MASTER_KEY_BYTES = 32


def decoded(text: str) -> bytes | None:
    """The key that this text is the base64 of; None if it is not one."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == MASTER_KEY_BYTES else None


def of_setting(text: str) -> bytes:
    """The base64 of 32 bytes is that key; any other text counts by its SHA-256."""
    return decoded(text) or hashlib.sha256(text.encode()).digest()


def identity(key: bytes) -> str:
    """By which a key is told from another one; it says nothing about it."""
    return hashlib.sha256(b"tallygate master key:" + key).hexdigest()[:16]


def identities(ring: bytes) -> list[str]:
    """Of all keys of a ring, the one that seals first."""
    starts = range(0, len(ring), MASTER_KEY_BYTES)
    return [identity(ring[start : start + MASTER_KEY_BYTES]) for start in starts]
