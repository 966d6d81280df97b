"""What is consumed just now, for all who look.

It is read once a second while somebody looks, and the clerk is asked how deliveries fare.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from tallygate.control import charges
from tallygate.control.looks import BEHIND, Looks
from tallygate.control.orders import Clerk
from tallygate.core.billing_commands import ChargeView
from tallygate.core.commands import Inspect
from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.core.ports import Actor
from tallygate.store import charge_views
from tallygate.store.database import Database
from tallygate.tasks import OnFailure

EVERY_S = 1.0
RECENT = 20
READ_MAX = 500
OVERLAP_MS = 5_000  # transactions of other nodes end in another order than they began
SEEN_MAX = 5_000

_encode = msgspec.json.Encoder().encode


class Live:
    def __init__(
        self,
        database: Database,
        clerk: Clerk,
        is_ending: Callable[[], bool],
        on_failure: OnFailure,
    ) -> None:
        self._database = database
        self._clerk = clerk
        self.looks = Looks("live consumption", self._read, is_ending, on_failure)
        self._latest_ms = 0
        self._seen: dict[int, str] = {}  # by id, the state that was told

    async def look(self) -> AsyncIterator[bytes]:
        """Events as SSE, for a while."""
        self.looks.require_room()
        recent = await self._recent()
        return self.looks.begin([_consumption(view) for view in reversed(recent)])

    async def _read(self) -> float:
        try:
            await self._tell()
        except (StoreUnavailable, StoreRefused):
            self.looks.tell(BEHIND)
        return EVERY_S

    async def _tell(self) -> None:
        async with self._database.reading() as tx:
            found = await charge_views.since(tx, self._latest_ms - OVERLAP_MS, limit=READ_MAX)
        for view in reversed(found):
            if self._is_news(view):
                self.looks.tell(_consumption(view))
        self.looks.tell(_status(await self._clerk.command(Inspect(), Actor("live", "local", ""))))

    async def _recent(self) -> list[ChargeView]:
        """Some of the latest, for whoever begins to look; the reader goes on from there."""
        async with self._database.reading() as tx:
            found = await charge_views.since(tx, 0, limit=RECENT)
        if not len(self.looks):
            self._seen.clear()
            for view in found:
                self._is_news(view)
        return found

    def _is_news(self, view: ChargeView) -> bool:
        """A charge is news once in each of its states."""
        self._latest_ms = max(self._latest_ms, view.at_ms)
        if self._seen.get(view.id) == view.state:
            return False
        self._seen[view.id] = view.state
        while len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return True


def _consumption(view: ChargeView) -> bytes:
    return b"event: consumption\ndata: %b\n\n" % _encode(charges.shown(view))


def _status(inspected: Any) -> bytes:
    """`inspected` is what the clerk answers to Inspect."""
    return b"event: status\ndata: %b\n\n" % _encode(inspected.get("deliveries", {}))
