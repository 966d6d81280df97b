"""Requests that wait until a credential that was refused is renewed, all of them for one renewal.

The clerk is told of the refusal at once and has a keeper look at the credential; its new secret
comes with the next snapshot, like any change. One that was waited for in vain is not waited for
again for as long as the clerk would not have it looked at again either.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from tallygate.core.ports import CredentialUse, FromWorker
from tallygate.core.provider import Snapshot
from tallygate.gateway.credential_use import CredentialNotes

VAIN_MS = 30_000
VAIN_MAX = 1_000


class Renewing(Protocol):
    """Who waits. It stops waiting by itself when its own time is over."""

    def renewed(self) -> None:
        """There is a new secret: ask again."""

    def renewal_failed(self) -> None:
        """There will be none."""


class Renewals:
    """`wait_ms` 0: nobody waits."""

    __slots__ = ("_notes", "_vain_until_ms", "_waiting", "send", "wait_ms")

    def __init__(self, notes: CredentialNotes, wait_ms: int) -> None:
        self._notes = notes
        self.wait_ms = wait_ms
        self.send: Callable[[FromWorker], object] = lambda _: False  # until there is a clerk
        self._waiting: dict[int, dict[Renewing, str]] = {}  # with the secret that was refused
        self._vain_until_ms: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Renewals {sorted(self._waiting)}>"

    def is_hopeful(self, credential_id: int, now_ms: int) -> bool:
        return self.wait_ms > 0 and now_ms >= self._vain_until_ms.get(credential_id, 0)

    def wait(self, credential_id: int, refused: str, who: Renewing) -> None:
        waiting = self._waiting.setdefault(credential_id, {})
        waiting[who] = refused
        if len(waiting) == 1:
            self._notes.refused.discard(credential_id)
            self.send(CredentialUse([], [credential_id]))

    def leave(self, credential_id: int, who: Renewing) -> None:
        waiting = self._waiting.get(credential_id)
        if waiting is not None:
            waiting.pop(who, None)
            if not waiting:
                del self._waiting[credential_id]

    def was_in_vain(self, credential_id: int, now_ms: int) -> None:
        if len(self._vain_until_ms) >= VAIN_MAX:
            self._vain_until_ms.clear()
        self._vain_until_ms[credential_id] = now_ms + VAIN_MS

    def applied(self, snapshot: Snapshot) -> None:
        """Credentials as they are from now on."""
        if not self._waiting:
            return
        secrets = dict(_secrets_of(snapshot))
        for credential_id, waiting in list(self._waiting.items()):
            secret = secrets.get(credential_id)
            for who, refused in list(waiting.items()):
                if secret is None:
                    who.renewal_failed()
                elif secret != refused:
                    who.renewed()


def _secrets_of(snapshot: Snapshot) -> Iterator[tuple[int, str]]:
    for provider in snapshot.providers:
        if provider.credential_id:
            yield provider.credential_id, provider.secret
    for route in snapshot.routes:
        if route.credentials is not None:
            yield from route.credentials.members
