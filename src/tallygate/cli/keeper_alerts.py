"""Alerts that leave with a run of the keeper, where no server would send them.

Each one is claimed in the store before it is tried, so nobody sends it twice. Where a server uses
the store, here or on another machine, it is left to that one.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Final

import structlog

from tallygate.cli.place import Place
from tallygate.core import credential_notices
from tallygate.core.errors import StoreUnavailable
from tallygate.store import nodes
from tallygate.store.database import Database
from tallygate.tasks import Tasks

SERVED_MS: Final = 60_000  # a server is heard of more often than that
PATIENCE_S: Final = 60.0  # what is not sent by then is sent by the next run

log = structlog.get_logger("tallygate.keeper")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Whom to tell."""

    notify_urls: str | None
    notify_webhook_url: str | None
    notify_webhook_secret: str | None

    def __repr__(self) -> str:
        return "<Addresses>"


def addresses_of(place: Place) -> Addresses:
    names = ("notify_urls", "notify_webhook_url", "notify_webhook_secret")
    given = (getattr(place.settings, name) for name in names)
    return Addresses(*(one.get_secret_value() if one else None for one in given))


async def send(place: Place, db: Database) -> None:
    """Try those that are due, once; one that no channel takes is tried again by a later run."""
    addresses = addresses_of(place)
    if not (addresses.notify_urls or addresses.notify_webhook_url):
        return
    with contextlib.suppress(StoreUnavailable):
        if not place.is_served and not await _is_served_elsewhere(db):
            await _deliver(db, addresses)


async def _is_served_elsewhere(db: Database) -> bool:
    since_ms = await db.clock_ms() - SERVED_MS
    async with db.reading() as tx:
        known = await nodes.list_nodes(tx)
    return any(one.retired_ms is None and one.last_seen_ms > since_ms for one in known)


async def _deliver(db: Database, addresses: Addresses) -> None:
    # Half a second of imports, for those who have something to tell.
    from tallygate.clerk.clock import NodeClock
    from tallygate.clerk.notice_channels import channels_of
    from tallygate.clerk.notices import Notifier
    from tallygate.clerk.writer import Writer

    clock = NodeClock(db)
    await clock.adjust()
    writer = Writer(db, clock)
    channels = channels_of(addresses, db.system_clock_ms)
    notifier = Notifier(db, clock, writer, channels, credential_notices.KINDS)
    tasks = Tasks(lambda name, error: log.error("alerts stay unsent", part=name, exc_info=error))
    tasks.start(writer.run(), "writer")
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while await notifier.deliver():
                    continue
    finally:
        await tasks.close()
