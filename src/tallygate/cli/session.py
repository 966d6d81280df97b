"""Where a command works: the settings, the store, and the clerk that makes changes.

Beside a running server changes go through its clerk. Without one, a clerk is run in this process
for the one command, under the node's lock, so that no server starts meanwhile.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
from pydantic import SecretStr

from tallygate.app import briefs
from tallygate.app.stores import Facts
from tallygate.clerk.local import LocalClerk
from tallygate.clerk.options import Options
from tallygate.cli.failures import Fault, as_faults
from tallygate.cli.place import ACTOR, Place, load_settings, location_of
from tallygate.config import Settings
from tallygate.core.commands import Arguments
from tallygate.core.provider import Provider
from tallygate.store.maintenance import MaintenanceRefused, server_stopped
from tallygate.supervisor import folder
from tallygate.wire.caller import Caller

T = TypeVar("T")


class Order(Protocol):
    """Runs a command and reads its value as `kind`."""

    def __call__(
        self, arguments: Arguments, kind: type[T], key: str | None = None, /
    ) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Session(Place):
    """A place where changes are ordered."""

    @property
    def lock(self) -> Path:
        return self.settings.data / "node.lock"

    @property
    def provider(self) -> Provider | None:
        """The provider that DEEPSEEK_API_KEY makes."""
        return _facts_of(self.settings).provider

    async def order(
        self,
        arguments: Arguments,
        kind: type[T],
        *,
        deadline_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> T:
        """Let a clerk run one command."""
        async with self.clerk(deadline_s=deadline_s) as order:
            return await order(arguments, kind, idempotency_key)

    @contextlib.asynccontextmanager
    async def clerk(self, *, deadline_s: float | None = None) -> AsyncIterator[Order]:
        """A clerk that runs commands: the server's, or one of our own."""
        self.require_store()
        if self.is_served:
            async with Caller(self.settings.socket_path("clerk")) as caller:
                yield lambda arguments, kind, key=None: caller.command(
                    arguments, ACTOR, key, into=kind, deadline_s=deadline_s
                )
            return
        with _unserved(self.lock):
            async with LocalClerk(self._options()) as clerk:
                yield lambda arguments, kind, key=None: clerk.command(
                    arguments, ACTOR, key, into=kind
                )

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
            usage_keep_days=settings.usage_keep_days,
            rollup_hours_keep_days=settings.rollup_hours_keep_days,
            rollup_days_keep_days=settings.rollup_days_keep_days,
            anomalies=settings.anomalies,
            anomaly_dormant_days=settings.anomaly_dormant_days,
            anomaly_throttle=settings.anomaly_throttle,
            anomaly_throttle_per_minute=settings.anomaly_throttle_per_minute,
            anomaly_throttle_hours=settings.anomaly_throttle_hours,
            idempotency_keep_h=settings.idempotency_keep_h,
            settings_provider=self.provider,
            control_socket=str(settings.socket_path("control")),
            port=settings.port,
            public_url=settings.public_url,
            console_host=settings.console_host,
            notify_urls=_secret(settings.notify_urls),
            notify_webhook_url=_secret(settings.notify_webhook_url),
            notify_webhook_secret=_secret(settings.notify_webhook_secret),
            cloudflare_account_id=settings.cloudflare_account_id,
            cloudflare_api_token=_secret(settings.cloudflare_api_token),
            cloudflare_api_url=settings.cloudflare_api_url,
            edge_kv_namespace_id=settings.edge_kv_namespace_id,
            edge_secret=_secret(settings.edge_secret),
            edge_writes_per_day=settings.edge_writes_per_day,
            edge_reconcile_h=settings.edge_reconcile_h,
        )


def _secret(setting: SecretStr | None) -> str | None:
    return setting.get_secret_value() if setting else None


def open_session(data: Path | None) -> Session:
    settings = load_settings(data)
    return Session(settings, location_of(settings))


def order(data: Path | None, arguments: Arguments, kind: type[T], once: str | None = None) -> T:
    """One command of an operator, from its folder to its value; `once` is its idempotency key."""
    with as_faults():
        session = open_session(data)
        return asyncio.run(session.order(arguments, kind, idempotency_key=once))


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


def _facts_of(settings: Settings) -> Facts:
    return msgspec.convert(briefs.plain(settings), Facts)
