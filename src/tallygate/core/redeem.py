"""Redeem codes: `tgr_` and 24 symbols of 5 bits, as people can read them off a card.

The symbols are Crockford's base 32, so that a code may be typed in any case, with or without its
dashes, and with O for 0 or I and L for 1. A code is known by the SHA-256 of what was meant.
"""

import hashlib
from typing import Final

PREFIX: Final = "tgr_"
SYMBOLS: Final = 24  # 120 bits
ENTROPY_BYTES: Final = SYMBOLS * 5 // 8
TYPED_LENGTH_MAX: Final = 100
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MEANT: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_GROUP: Final = 6


def make_code(entropy: bytes) -> str:
    assert len(entropy) == ENTROPY_BYTES, "a code is all of its entropy"
    number = int.from_bytes(entropy, "big")
    symbols = [_ALPHABET[number >> (5 * at) & 31] for at in range(SYMBOLS)]
    groups = ["".join(symbols[at : at + _GROUP]) for at in range(0, SYMBOLS, _GROUP)]
    return PREFIX + "-".join(groups)


def hash_code(typed: str) -> bytes:
    """The only form in which a code is looked up."""
    meant = typed.strip().upper().removeprefix(PREFIX.upper()).translate(_MEANT)
    return hashlib.sha256(f"{PREFIX}{meant}".encode()).digest()


def mask_code(code: str) -> str:
    return f"{PREFIX}…{code[-4:]}"
