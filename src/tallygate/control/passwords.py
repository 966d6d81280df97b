"""Passwords: argon2id, hashed and compared in worker threads, a few at a time.

A hash takes 64 MB and a tenth of a second on purpose, so callers beyond a bounded queue are turned
away rather than let many signing in at once starve the node. A name that nobody has costs the same
work as a real one.
"""

import asyncio
import hashlib
import hmac
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tallygate.control.refusals import TryLater
from tallygate.core.accounts import flaw_of_password
from tallygate.core.errors import Code, Refusal

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SALT_BYTES = 16
AT_ONCE = 2
WAITING_MAX = 32

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash takes; a hash says with which cost it was made."""

    passes: int = 2
    memory_kib: int = 65_536


class Passwords:
    def __init__(self, entropy: Callable[[int], bytes], cost: Cost | None = None) -> None:
        self._entropy = entropy
        self._cost = cost or Cost()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._nobodys: str | None = None  # a hash that no password opens

    async def hash(self, password: str, *, once: bytes = b"") -> str:
        """The hash to keep. With `once` the same password gives the same hash.

        A repeated call with an Idempotency-Key must carry the same payload, hash included, so its
        salt is made of `once`: something secret, together with that key.
        """
        if flaw := flaw_of_password(password):
            raise Refusal(Code.BAD_REQUEST, f"`password`: {flaw}", param="password")
        salt = hashlib.sha256(once).digest()[:SALT_BYTES] if once else self._entropy(SALT_BYTES)
        return await self._work(lambda: _hasher(self._cost).hash(_bytes(password), salt=salt))

    async def is_right(self, password: str, known: str | None) -> bool:
        """Whether it is the password of that hash; None costs the same and is never right."""
        if self._nobodys is None:
            secret, salt = self._entropy(32), self._entropy(SALT_BYTES)
            self._nobodys = await self._work(lambda: _hasher(self._cost).hash(secret, salt=salt))
        against = known or self._nobodys
        is_same = await self._work(lambda: _verify(_hasher(self._cost), against, _bytes(password)))
        return is_same and known is not None

    async def _work(self, function: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise TryLater(Code.OVERLOADED, "too many are signing in at once; try again", 2)
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(function)
        finally:
            self._waiting -= 1


def salt_source(master_key: bytes, idempotency_key: str | None, subject: str) -> bytes:
    """`once` for a call with this Idempotency-Key; nothing for a call without."""
    if idempotency_key is None:
        return b""
    what = f"password salt:{subject}:{idempotency_key}".encode()
    return hmac.new(master_key, what, hashlib.sha256).digest()


def _hasher(cost: Cost) -> "PasswordHasher":
    import argon2  # only who has a password to look at loads it

    return argon2.PasswordHasher(
        time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=1, type=argon2.Type.ID
    )


def _verify(hasher: "PasswordHasher", known: str, password: bytes) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return hasher.verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


def _bytes(password: str) -> bytes:
    """One password typed on two keyboards is one sequence of bytes (RFC 8265 goes further)."""
    return unicodedata.normalize("NFKC", password).encode()
