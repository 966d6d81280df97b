"""The shape of a key: `<prefix>_<30 random base62><6 base62 of CRC-32>`.

The check digits let a typing slip be refused without a look-up. Keys that were made elsewhere have
another shape and skip that test; every key, of whatever shape, is looked up by its SHA-256.
"""

import enum
import hashlib
import re
import zlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM_LENGTH = 30
CHECK_LENGTH = 6
KEY_LENGTH_MAX = 512
ID_LENGTH = 22  # base62 digits that hold 128 bits

_OWN_SHAPE = re.compile(rb"(?:roc|ntk)_[0-9A-Za-z]{36}\Z")


class Kind(enum.StrEnum):
    """What a key is for; its value is the prefix."""

    TRIAL = "roc"
    TOKEN = "ntk"  # noqa: S105 - a prefix, not a secret


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def make_key(kind: Kind, entropy: bytes) -> str:
    """Build a key out of at least 24 bytes of entropy (30 base62 digits hold 178 bits)."""
    assert len(entropy) >= 24, "a key needs 24 bytes of entropy"
    body = f"{kind.value}_{_base62(int.from_bytes(entropy, 'big'), RANDOM_LENGTH)}"
    return body + check_digits(body.encode())


def make_id(prefix: str, entropy: bytes) -> str:
    """A name for something that nobody has named: as hard to guess as its entropy."""
    return f"{prefix}_{_base62(int.from_bytes(entropy, 'big'), ID_LENGTH)}"


def check_digits(body: bytes) -> str:
    return _base62(zlib.crc32(body), CHECK_LENGTH)


def is_short_enough(secret: bytes) -> bool:
    return 0 < len(secret) <= KEY_LENGTH_MAX


def is_plausible(secret: bytes) -> bool:
    """False only for a key of our own shape with wrong check digits, or of an absurd length."""
    if not is_short_enough(secret):
        return False
    if _OWN_SHAPE.match(secret) is None:
        return True
    return check_digits(secret[:-CHECK_LENGTH]) == secret[-CHECK_LENGTH:].decode()


def hash_key(secret: bytes) -> bytes:
    """The only form in which a key is looked up."""
    return hashlib.sha256(secret).digest()


def mask(secret: str) -> str:
    """What may be shown of a key: enough to tell it from others, not enough to use it."""
    prefix, separator, rest = secret.partition("_")
    if not separator or len(prefix) > 8:
        prefix, separator, rest = "", "", secret
    tail = rest[-4:] if len(rest) >= 12 else ""
    return f"{prefix}{separator}…{tail}"
