"""What charging needs besides the event and the wallet: prices, and the apps that events name.

Both are kept in memory and looked at in the transaction that charges: prices by the version of
their book, apps by the feed, so that a change which was acknowledged counts for what comes after.
"""

import msgspec

from tallygate.clerk.book import BookKeeper
from tallygate.clerk.options import Options
from tallygate.core.charging import Event
from tallygate.core.dify import App
from tallygate.core.errors import Code, Refusal
from tallygate.core.pricing import Book, Prices
from tallygate.store import billed_apps, prices
from tallygate.store.billed_apps import BilledApp, Marks
from tallygate.store.database import Tx

_UNREAD = Marks(-1, -1)


class Shelf:
    def __init__(self, keeper: BookKeeper | None, options: Options) -> None:
        self._keeper = keeper
        self._from_settings = _billed(options.settings_app)
        self.prices = Prices(Book())
        self._marks = _UNREAD
        self._apps: dict[str, BilledApp] = {}
        self._is_elsewhere: dict[str, bool] = {}

    def forget(self) -> None:
        """Something may have changed: look again."""
        self._marks = _UNREAD

    @property
    def is_read(self) -> bool:
        return self._marks is not _UNREAD

    async def refresh(self, tx: Tx, now_ms: int) -> None:
        """See to it that it is what the store says now."""
        await self.follow(tx, await billed_apps.marks(tx), now_ms)

    async def follow(self, tx: Tx, marks: Marks, now_ms: int) -> bool:
        """The same, by marks that were just read; False if nothing was read anew."""
        before = self._apps, self.prices
        if marks.feed_seq != self._marks.feed_seq:
            self._take_apps(await billed_apps.read(tx))
        kept = None if self._keeper is None else self._keeper.prices
        if kept is not None and kept.book.version == marks.book_version:
            self.prices = kept
        elif marks.book_version != self._marks.book_version:
            self.prices = Prices(await prices.read_book(tx, now_ms))
        self._marks = marks
        return before[0] is not self._apps or before[1] is not self.prices

    def resolve(self, event: Event, app_name: str) -> Event:
        """The event with what its app says of it; Refusal if there is no such app."""
        if not app_name:
            if not self._is_elsewhere.get(event.instance):
                return event
            return msgspec.structs.replace(event, is_billed_elsewhere=True)
        app = self._apps.get(app_name)
        if app is None:
            raise Refusal(Code.NOT_FOUND, f"no app is named {app_name!r}", param="app")
        return msgspec.structs.replace(
            event,
            instance=app.instance,
            model=event.model or app.model,
            is_billed_elsewhere=app.is_billed_elsewhere,
        )

    def with_model(self, event: Event, app_name: str) -> Event:
        """The event with the model of its app where nobody has named one."""
        app = self._apps.get(app_name)
        if app is None or not app.model:
            return event
        parts = tuple((name or app.model, counts) for name, counts in event.parts)
        return msgspec.structs.replace(event, model=event.model or app.model, parts=parts)

    def _take_apps(self, apps: list[BilledApp]) -> None:
        """A row that is named as the settings' app takes its place."""
        named = {app.name: app for app in (*self._from_settings, *apps)}
        self._apps = {name: app for name, app in named.items() if app.is_active}
        self._is_elsewhere = {app.instance: app.is_billed_elsewhere for app in self._apps.values()}


def _billed(app: App | None) -> tuple[BilledApp, ...]:
    if app is None:
        return ()
    return (BilledApp(app.name, app.instance, app.model, app.billed_by.value),)
