"""Keys that this worker has met: learned from the clerk on use, forgotten when the feed says so.

Look-ups of one key are shared; unknown ones are remembered briefly, so that guessing costs the
store nothing. A key that was forgotten while a head still points at it is marked, and found afresh.
"""

from collections.abc import Callable
from typing import Protocol

from tallygate.core.ports import Change, Found, Key, LookUp
from tallygate.gateway.lease import MICROS, POINTS, Allowance, wallet_limit
from tallygate.gateway.lease_book import LeaseBook

# Who seeks a key is told within seconds that the store does not answer, but what it sought is asked
# for all the same once the clerk is back: so the length of its absence must not make the list.
SEEKERS_MAX = 10_000


class KnownKey:
    """A key with its allowances, its wallet's among them.

    `is_current` falls when anything about the key changes.
    """

    __slots__ = ("allowances", "expires_ms", "is_current", "is_priced", "key")

    def __init__(self, key: Key, allowances: tuple[Allowance, ...]) -> None:
        self.key = key
        self.allowances = allowances
        # Whether anything counts what its requests cost: a wallet, or a limit in points.
        self.is_priced = any(one.kind in (MICROS, POINTS) for one in allowances)
        self.expires_ms = key.expires_ms if key.expires_ms is not None else 1 << 62
        self.is_current = True


class Seeker(Protocol):
    """A request that waits for its key to be looked up."""

    def key_found(self, known: KnownKey | None, *, is_store_available: bool) -> None: ...


class KnownKeys:
    """The cache, bounded; the oldest learned goes first."""

    def __init__(
        self,
        book: LeaseBook,
        send: Callable[[LookUp], bool],
        *,
        keys_max: int,
        unknown_ms: int,
    ) -> None:
        self._book = book
        self._send = send
        self._keys_max = keys_max
        self._unknown_ms = unknown_ms
        self._known: dict[bytes, KnownKey] = {}
        self._hashes_by_id: dict[int, set[bytes]] = {}
        self._unknown_until: dict[bytes, int] = {}
        self._seeking: dict[bytes, list[Seeker]] = {}
        self._seekers = 0
        self._asked: dict[int, tuple[bytes, int]] = {}
        self._look_up_id = 0
        self._changes_seen = 0

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key_hash: bytes) -> KnownKey | None:
        return self._known.get(key_hash)

    def is_unknown(self, key_hash: bytes, now_ms: int) -> bool:
        """Whether the clerk has just said that there is no such key."""
        return self._unknown_until.get(key_hash, 0) > now_ms

    def seek(self, key_hash: bytes, seeker: Seeker) -> bool:
        """Ask the clerk; the seeker is told, at the latest when its own deadline passes.

        False when too many wait for an answer already.
        """
        if self._seekers >= SEEKERS_MAX:
            return False
        self._seekers += 1
        seekers = self._seeking.get(key_hash)
        if seekers is not None:
            seekers.append(seeker)
        else:
            self._seeking[key_hash] = [seeker]
            self._ask(key_hash)
        return True

    def _ask(self, key_hash: bytes) -> None:
        self._look_up_id += 1
        if self._send(LookUp(self._look_up_id, key_hash)):
            self._asked[self._look_up_id] = (key_hash, self._changes_seen)

    def answered(self, found: Found, now_ms: int, wall_ms: int) -> None:
        asked = self._asked.pop(found.id, None)
        if asked is None:
            return
        key_hash, changes_seen = asked
        if changes_seen != self._changes_seen and found.is_store_available:
            self._ask(key_hash)  # something changed meanwhile: the answer may be older than that
            return
        known = None
        if found.key is not None:
            known = self._learn(key_hash, found.key, wall_ms)
        elif found.is_store_available and self._unknown_ms:
            if len(self._unknown_until) >= self._keys_max:
                self._unknown_until.clear()
            self._unknown_until[key_hash] = now_ms + self._unknown_ms
        seekers = self._seeking.pop(key_hash, ())
        self._seekers -= len(seekers)
        for seeker in seekers:
            seeker.key_found(known, is_store_available=found.is_store_available)

    def reconnected(self) -> None:
        """Ask again what the last clerk did not answer."""
        self._asked.clear()
        for key_hash in list(self._seeking):
            self._ask(key_hash)

    def changed(self, change: Change) -> None:
        """Forget what the feed says has changed."""
        self._changes_seen += 1
        if change.kind == "flush":
            self.forget_all()
        elif change.kind == "key":
            hashes = self._hashes_by_id.pop(change.subject, None)
            if hashes is None:
                self._unknown_until.clear()
                return
            for key_hash in hashes:
                known = self._known.pop(key_hash, None)
                if known is not None:
                    known.is_current = False

    def forget_all(self) -> None:
        for known in self._known.values():
            known.is_current = False
        self._known.clear()
        self._hashes_by_id.clear()
        self._unknown_until.clear()

    def limits_in_use(self) -> set[int]:
        return {one.limit.id for known in self._known.values() for one in known.allowances}

    def _learn(self, key_hash: bytes, key: Key, wall_ms: int) -> KnownKey:
        if len(self._known) >= self._keys_max:
            self._forget(next(iter(self._known)))
        limits = key.limits
        if key.wallet_id:
            limits = (*limits, wallet_limit(key.wallet_id))  # last: see bill.py
        allowances = tuple(self._book.allowance(limit, wall_ms) for limit in limits)
        known = self._known[key_hash] = KnownKey(key, allowances)
        self._hashes_by_id.setdefault(key.id, set()).add(key_hash)
        return known

    def _forget(self, key_hash: bytes) -> None:
        known = self._known.pop(key_hash)
        known.is_current = False
        hashes = self._hashes_by_id.get(known.key.id)
        if hashes is not None:
            hashes.discard(key_hash)
            if not hashes:
                del self._hashes_by_id[known.key.id]
