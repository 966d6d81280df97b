"""Where a command works: the settings, the store and the master key of one data folder.

Nothing is loaded here that only servers need, so that the keeper's commands run on Windows, too.
"""

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from tallygate import config
from tallygate.app import briefs
from tallygate.cli.fault import STORE_OR_SETTINGS, Fault
from tallygate.cli.output import say
from tallygate.config import Settings
from tallygate.core.ports import Actor
from tallygate.store.database import Database
from tallygate.store.location import Location, locate
from tallygate.store.migrations import check_schema
from tallygate.supervisor import folder
from tallygate.telemetry.logs import set_up_logs

ACTOR: Final = Actor("cli", "local", "")


@dataclass(frozen=True, slots=True)
class Place:
    settings: Settings
    location: Location

    @property
    def master_key(self) -> bytes:
        """The ring of keys that open what is sealed here."""
        settings = self.settings
        given, old = (
            setting.get_secret_value() if setting else None
            for setting in (settings.master_key, settings.master_key_old)
        )
        return folder.master_key(settings.data, given, old)

    @property
    def is_served(self) -> bool:
        """Whether a clerk accepts connections here."""
        if not hasattr(socket, "AF_UNIX"):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(2)
            try:
                probe.connect(str(self.settings.socket_path("clerk")))
            except OSError:
                return False
        return True

    def require_store(self) -> None:
        """For commands that only look: they make nothing."""
        if self.location.path is not None and not self.location.path.is_file():
            raise Fault(
                f"there is no store at {self.location.path}: `tallygate serve` makes one, or name "
                "another folder with --data",
                STORE_OR_SETTINGS,
            )

    def make_store(self) -> None:
        """For commands that may be the first: the folder, its secrets and a migrated store."""
        if self.is_served:
            return
        folder.open_folder(self.settings.data)
        self.migrate()

    def migrate(self) -> None:
        # 7 MB, for those who have something to prepare.
        from tallygate.app.stores import Facts, prepare

        prepare(msgspec.convert(briefs.plain(self.settings), Facts), self.master_key)

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """The store, as it is."""
        self.require_store()
        database = Database(self.location.url)
        await database.open(may_create=False)
        try:
            await check_schema(database)
            yield database
        finally:
            await database.close()


def open_place(data: Path | None) -> Place:
    settings = load_settings(data)
    return Place(settings, location_of(settings))


def load_settings(data: Path | None) -> Settings:
    """The settings, their warnings said, and the logs set up as they want them."""
    settings, warnings = config.load(data=data)
    for warning in warnings:
        say(f"warning: {warning}")
    set_up_logs("debug" if settings.log_level == "debug" else "warning", settings.log_format)
    return settings


def location_of(settings: Settings) -> Location:
    url = settings.database_url.get_secret_value() if settings.database_url else None
    return locate(settings.data, url, settings.sqlite_db_path)
