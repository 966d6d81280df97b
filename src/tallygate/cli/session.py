"""Where a command works: the settings, the store, and the clerk that makes changes.

Beside a running server changes go through its clerk. Without one, a clerk is run in this process
for the one command, under the node's lock, so that no server starts meanwhile.
"""

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from tallygate import config
from tallygate.app import briefs
from tallygate.app.stores import Facts, prepare
from tallygate.clerk.local import LocalClerk
from tallygate.clerk.options import Options
from tallygate.cli.failures import STORE_OR_SETTINGS, Fault
from tallygate.cli.output import say
from tallygate.config import Settings
from tallygate.core.commands import Arguments
from tallygate.core.ports import Actor
from tallygate.core.provider import Provider
from tallygate.store.database import Database
from tallygate.store.location import Location
from tallygate.store.maintenance import MaintenanceRefused, server_stopped
from tallygate.store.migrations import check_schema
from tallygate.supervisor import folder
from tallygate.telemetry.logs import set_up_logs
from tallygate.wire.caller import Caller

ACTOR = Actor("cli", "local", "")

T = TypeVar("T")


class Order(Protocol):
    """Runs a command and reads its value as `kind`."""

    def __call__(self, arguments: Arguments, kind: type[T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Session:
    settings: Settings
    location: Location

    @property
    def lock(self) -> Path:
        return self.settings.data / "node.lock"

    @property
    def master_key(self) -> bytes:
        setting = self.settings.master_key
        given = setting.get_secret_value() if setting else None
        return folder.master_key(self.settings.data, given)

    @property
    def is_served(self) -> bool:
        """Whether a clerk accepts connections here."""
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

    @property
    def provider(self) -> Provider | None:
        """The provider that DEEPSEEK_API_KEY makes."""
        return facts_of(self.settings).provider

    def migrate(self) -> None:
        prepare(facts_of(self.settings), self.master_key)

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """The store to read from."""
        self.require_store()
        database = Database(self.location.url)
        await database.open(may_create=False)
        try:
            await check_schema(database)
            yield database
        finally:
            await database.close()

    async def order(
        self, arguments: Arguments, kind: type[T], *, deadline_s: float | None = None
    ) -> T:
        """Let a clerk run one command."""
        async with self.clerk(deadline_s=deadline_s) as order:
            return await order(arguments, kind)

    @contextlib.asynccontextmanager
    async def clerk(self, *, deadline_s: float | None = None) -> AsyncIterator[Order]:
        """A clerk that runs commands: the server's, or one of our own."""
        self.require_store()
        if self.is_served:
            async with Caller(self.settings.socket_path("clerk")) as caller:
                yield lambda arguments, kind: caller.command(
                    arguments, ACTOR, into=kind, deadline_s=deadline_s
                )
            return
        with _unserved(self.lock):
            async with LocalClerk(self._options()) as clerk:
                yield lambda arguments, kind: clerk.command(arguments, ACTOR, into=kind)

    def _options(self) -> Options:
        node = folder.identify(self.settings.data)
        settings = self.settings
        return Options(
            data=str(settings.data.absolute()),
            database_url=self.location.url,
            node_uuid=node.uuid,
            node_name=node.name,
            master_key=self.master_key,
            time_zone=settings.time_zone,
            default_daily_limit=settings.daily_req_limit,
            keep_sealed_keys=settings.keep_sealed_keys,
            member_keys_max=settings.member_keys_max,
            journal_keep_h=settings.journal_keep_h,
            journal_bytes_max=settings.journal_bytes_max,
            feed_keep_h=settings.feed_keep_h,
            idempotency_keep_h=settings.idempotency_keep_h,
            settings_provider=self.provider,
            control_socket=str(settings.socket_path("control")),
            port=settings.port,
            public_url=settings.public_url,
            console_host=settings.console_host,
        )


def open_session(data: Path | None) -> Session:
    settings, warnings = config.load(data=data)
    for warning in warnings:
        say(f"warning: {warning}")
    set_up_logs("debug" if settings.log_level == "debug" else "warning", settings.log_format)
    return Session(settings, facts_of(settings).location)


def facts_of(settings: Settings) -> Facts:
    return msgspec.convert(briefs.plain(settings), Facts)


@contextlib.contextmanager
def _unserved(lock: Path) -> Iterator[None]:
    """Keep a server from starting while this process writes to its store."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(server_stopped(lock))
        except MaintenanceRefused:
            raise Fault(
                f"a server is starting or stopping on {lock.parent}: try again in a moment"
            ) from None
        yield
