"""Identifying a caller: check digits, hash, and finding the key in memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tallygate.core.keys import Kind, hash_key, is_plausible, make_key

KNOWN = 50_000


@contextmanager
def cases() -> Iterator[dict[str, Callable[[], object]]]:
    secret = make_key(Kind.TRIAL, bytes(range(32))).encode()
    imported = b"roc_" + b"0123456789abcdef" * 2
    by_hash = {number.to_bytes(32, "big"): number for number in range(KNOWN)}
    by_hash[hash_key(secret)] = -1
    yield {
        "check digits of our own shape": lambda: is_plausible(secret),
        "shape of an imported key": lambda: is_plausible(imported),
        "hash": lambda: hash_key(secret),
        f"hash and look-up among {KNOWN:,}": lambda: by_hash[hash_key(secret)],
    }
