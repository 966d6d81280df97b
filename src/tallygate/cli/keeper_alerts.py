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
from tallygate.core.accounts import ENGLISH, SIMPLIFIED, TRADITIONAL
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
    notice_language: str

    def __repr__(self) -> str:
        return "<Addresses>"


def addresses_of(place: Place, language: str) -> Addresses:
    def given(name: str) -> str | None:
        secret = getattr(place.settings, name)
        return secret.get_secret_value() if secret else None

    return Addresses(
        notify_urls=given("notify_urls"),
        notify_webhook_url=given("notify_webhook_url"),
        notify_webhook_secret=given("notify_webhook_secret"),
        notice_language=language,
    )


def language_of(place: Place, wanted: str, locale: str) -> str:
    """Of alerts: what `--lang` says, else the setting, else the locale, like the run's own words.

    Which Chinese `zh` is, the setting or the locale says.
    """
    settings = place.settings
    is_set = "notice_language" in settings.model_fields_set
    if wanted == "auto" and is_set:
        return settings.notice_language
    if wanted == ENGLISH or (wanted == "auto" and not locale.lower().startswith("zh")):
        return ENGLISH
    if is_set and settings.notice_language != ENGLISH:
        return settings.notice_language
    is_traditional = any(sign in locale.lower() for sign in ("_tw", "_hk", "_mo", "hant"))
    return TRADITIONAL if is_traditional else SIMPLIFIED


async def send(place: Place, db: Database, language: str) -> None:
    """Try those that are due, once; one that no channel takes is tried again by a later run."""
    addresses = addresses_of(place, language)
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
