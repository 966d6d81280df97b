"""Notices are delivered: by apprise, by a signed webhook, at least once each, after some tries.

A notice is claimed before it is tried, so that of several nodes one tries it. A channel that has it
is remembered, and not used again when another one fails. Nothing here holds up who writes notices.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.writer import Writer
from tallygate.core.errors import StoreUnavailable
from tallygate.store import notices
from tallygate.store.database import Database
from tallygate.store.notices import Notice

LOOK_S = 2.0
AT_ONCE_MAX = 8
CLAIM_MS = 60_000  # longer than any channel may take
ATTEMPTS_MAX = 14  # a day and a half
PAUSE_MS_FIRST = 5_000
PAUSE_MS_MAX = 6 * 3_600_000
KEEP_MS = 90 * 86_400_000

log = structlog.get_logger("tallygate.clerk")


class Undelivered(Exception):
    """A channel did not take a notice; the message is kept with it and names no secret."""


class NotMeant(Exception):
    """A notice is not for those whom this channel tells."""


Channel = Callable[[Notice], Awaitable[None]]


class Notifier:
    """`channels` by name; without any, notices are only kept to be read. `kinds`: those only."""

    def __init__(
        self,
        db: Database,
        clock: NodeClock,
        writer: Writer,
        channels: Mapping[str, Channel],
        kinds: Collection[str] | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._writer = writer
        self._channels = channels
        self._kinds = kinds

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                while await self.deliver():
                    continue
            except StoreUnavailable:
                continue

    async def deliver(self) -> int:
        """Try some of those whose time has come; how many."""
        async with self._db.reading() as tx:
            due = await notices.due(tx, self._clock.now_ms(), AT_ONCE_MAX, self._kinds)
        await asyncio.gather(*(self._try(one) for one in due))
        return len(due)

    async def _try(self, one: Notice) -> None:
        is_mine = await self._writer.do(
            "claim a notice", lambda tx, now_ms: notices.claim(tx, one, now_ms + CLAIM_MS)
        )
        if not is_mine:
            return
        sent, complaints = set(one.sent.split()), []
        for name, send in self._channels.items():
            if name in sent:
                continue
            try:
                await send(one)
                sent.add(name)
            except NotMeant:
                continue
            except Undelivered as error:
                complaints.append(f"{name}: {error}")
        await self._finish(one, sent, "; ".join(complaints))

    async def _finish(self, one: Notice, sent: set[str], error: str) -> None:
        attempts = one.attempts + 1
        is_over = not error or attempts >= ATTEMPTS_MAX
        if error:
            log.warning("notice_undelivered", notice=one.id, attempts=attempts, reason=error)
        wait_ms = pause_ms(attempts)
        await self._writer.do(
            "tried a notice",
            lambda tx, now_ms: notices.finish(
                tx,
                one,
                sent=" ".join(sorted(sent)),
                error=error,
                next_ms=None if is_over else now_ms + wait_ms,
            ),
            is_repeatable=True,
        )


def pause_ms(attempts: int) -> int:
    """How long to wait after so many tries: three times longer each time, up to a bound."""
    pause: int = PAUSE_MS_FIRST * 3 ** (attempts - 1)
    return min(PAUSE_MS_MAX, pause)
