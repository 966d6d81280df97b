"""Sealing: secrets that must be shown or used again rest as AES-256-GCM under the master key.

A master key here is a ring of keys, one after the other: the first one seals, each may open, so
that all secrets can be sealed anew under another key while everything goes on. The purpose (table,
column, row) is authenticated with the secret, so that a sealed value copied to
another row does not open there. The nonce is an argument: this module draws no randomness.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MASTER_KEY_BYTES = 32
NONCE_BYTES = 12
_VERSION = b"\x01"


class Unsealable(Exception):
    """This sealed secret does not open with this master key."""


class NoKey(Unsealable):
    """There is no key to try; the message says why, and may be shown."""


def seal(master_key: bytes, secret: bytes, purpose: str, nonce: bytes) -> bytes:
    assert len(nonce) == NONCE_BYTES, "a nonce has 12 bytes and is never used twice"
    first = master_key[:MASTER_KEY_BYTES]
    return _VERSION + nonce + AESGCM(first).encrypt(nonce, secret, purpose.encode())


def unseal(master_key: bytes, sealed: bytes, purpose: str) -> bytes:
    if sealed[:1] != _VERSION or len(sealed) <= 1 + NONCE_BYTES:
        raise Unsealable("sealed by another version of Tallygate")
    nonce, closed = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    for start in range(0, len(master_key), MASTER_KEY_BYTES):
        try:
            key = AESGCM(master_key[start : start + MASTER_KEY_BYTES])
            return key.decrypt(nonce, closed, purpose.encode())
        except InvalidTag:
            continue
    raise Unsealable("the master key is another one than it was sealed with")


def is_sealed_anew(master_key: bytes, sealed: bytes, purpose: str) -> bool:
    """Whether the ring's first key opens it, so that the others are not needed for it."""
    try:
        unseal(master_key[:MASTER_KEY_BYTES], sealed, purpose)
    except Unsealable:
        return False
    return True


def seal_key(master_key: bytes, secret: str, key_id: int, nonce: bytes) -> bytes:
    """The copy of a key that the operator's list shows."""
    return seal(master_key, secret.encode(), _purpose_of_key(key_id), nonce)


def unseal_key(master_key: bytes, sealed: bytes, key_id: int) -> str:
    return unseal(master_key, sealed, _purpose_of_key(key_id)).decode()


def _purpose_of_key(key_id: int) -> str:
    return f"key_secret.sealed:{key_id}"
