"""What gateways know of upstreams: providers, apps and routes, unsealed; and the models listed.

A list that can not be read is unknown (None), and the provider is used all the same. Secrets live
only in the snapshot, whose members do not show them.
"""

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from tallygate.clerk.clock import monotonic_ms
from tallygate.clerk.options import Options
from tallygate.core.errors import StoreUnavailable
from tallygate.core.provider import Provider, Snapshot
from tallygate.store import dify_apps, routes
from tallygate.store import providers as rows
from tallygate.store.database import Database

FRESH_S = 60.0

log = structlog.get_logger("tallygate.clerk")

_Account = tuple[str, str, str]


class Providers:
    def __init__(
        self, db: Database, options: Options, on_change: Callable[[Snapshot], None]
    ) -> None:
        self._db = db
        self._options = options
        self._on_change = on_change
        self._lists: dict[_Account, tuple[float, tuple[str, ...] | None]] = {}
        self._fetching = asyncio.Lock()
        self._is_stale = True
        self._shut: list[str] = []
        self._configured = Snapshot(0, ())
        self._wake = asyncio.Event()
        self._wake.set()
        self.snapshot = Snapshot(0, ())

    def reload_soon(self) -> None:
        """Providers were changed, here or by another node."""
        self._is_stale = True
        self._wake.set()

    async def load(self) -> None:
        """Read the rows and publish at once; lists follow when they have been fetched."""
        # Before reading: what changes from here on makes it stale again.
        self._is_stale = False
        try:
            loaded, shut = await self._read()
        except BaseException:
            self._is_stale = True
            raise
        self._configured = loaded
        if shut and shut != self._shut:
            log.error("providers left out: the master key does not open their secrets", names=shut)
        self._shut = shut
        self._publish()

    async def _read(self) -> tuple[Snapshot, list[str]]:
        """All of it in one state of the store, and the names of what stays shut."""
        options = self._options
        async with self._db.reading() as tx:
            loaded, shut = await rows.snapshot(
                tx, options.master_key, options.settings_provider, rows.demo(options.control_socket)
            )
            apps, shut_apps = await dify_apps.load(tx, options.master_key, options.settings_app)
            served, shut_routes = await routes.load(tx, options.master_key)
        shut += [f"the Dify app {name}" for name in shut_apps]
        shut += [f"the route {name}" for name in shut_routes]
        return msgspec.structs.replace(loaded, apps=apps, routes=served), shut

    async def run(self) -> None:
        """Until cancelled: follow changes, and fetch the lists of what is new."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                if self._is_stale:
                    await self.load()
                await self.refresh_lists()
            except StoreUnavailable:
                await asyncio.sleep(1.0)
                self._wake.set()

    async def refresh_lists(self) -> None:
        """Fetch again what is older than a minute; callers that come meanwhile share it."""
        async with self._fetching:
            now_s = monotonic_ms() / 1000
            due = [
                provider
                for provider in self._configured.providers
                if provider.models is None and not self._is_fresh(provider, now_s)
            ]
            if not due:
                return
            lists = await self._fetch(due)
            keep = {_account(one) for one in self._configured.providers}
            self._lists = {one: found for one, found in self._lists.items() if one in keep}
            for provider, found in zip(due, lists, strict=True):
                self._lists[_account(provider)] = (now_s, found)
            self._publish()

    async def _fetch(self, due: list[Provider]) -> list[tuple[str, ...] | None]:
        # aiohttp is 7 MB and half a second, for those who have a list to fetch.
        from tallygate.clerk import model_lists

        return await model_lists.fetch(due)

    def _is_fresh(self, provider: Provider, now_s: float) -> bool:
        fetched_s, _ = self._lists.get(_account(provider), (-FRESH_S, None))
        return now_s - fetched_s < FRESH_S

    def _publish(self) -> None:
        providers = tuple(self._with_list(provider) for provider in self._configured.providers)
        configured, now = self._configured, self.snapshot
        told = (now.providers, now.apps, now.routes)
        if (providers, configured.apps, configured.routes) == told and now.version:
            return
        version = max(configured.version, now.version) + 1
        self.snapshot = Snapshot(version, providers, configured.apps, configured.routes)
        self._on_change(self.snapshot)

    def _with_list(self, provider: Provider) -> Provider:
        if provider.models is not None or _account(provider) not in self._lists:
            return provider
        return msgspec.structs.replace(provider, models=self._lists[_account(provider)][1])


def _account(provider: Provider) -> _Account:
    """Whose list it is: another address or another secret may see other models."""
    return provider.name, provider.base_url, provider.secret
