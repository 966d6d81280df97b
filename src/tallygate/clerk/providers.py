"""What gateways know of upstreams: providers, apps and routes, unsealed; and the models listed.

A list that can not be read is unknown (None), and the provider is used all the same. Secrets live
only in the snapshot, whose members do not show them.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog

from tallygate.clerk.clock import monotonic_ms
from tallygate.clerk.options import Options
from tallygate.core.credential_kind import Kind
from tallygate.core.errors import StoreUnavailable
from tallygate.core.provider import Provider, Snapshot
from tallygate.core.route_checks import fits_header
from tallygate.core.routes import Route
from tallygate.kinds import load as load_kinds
from tallygate.store import credentials, dify_apps, routes
from tallygate.store import providers as rows
from tallygate.store.credentials import Pooled
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
            pools = {one.pool for one in loaded.providers if one.pool}
            pools |= {one.credentials.pool for one in served if one.credentials is not None}
            pooled, shut_credentials = await credentials.of_pools(tx, options.master_key, pools)
        shut += [f"credential {number}" for number in shut_credentials]
        kinds = load_kinds(Path(options.data) / "kinds").usable if pools else {}
        parts = dict(used_secrets(pooled, kinds))
        providers = tuple(
            one for provider in loaded.providers for one in with_credentials(provider, parts)
        )
        served = tuple(with_members(route, parts) for route in served)
        shut += [f"the Dify app {name}" for name in shut_apps]
        shut += [f"the route {name}" for name in shut_routes]
        loaded = msgspec.structs.replace(loaded, apps=apps, routes=served, providers=providers)
        return loaded, shut

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
            accounts = {
                _account(provider): provider
                for provider in reversed(self._configured.providers)
                if provider.models is None and not self._is_fresh(provider, now_s)
            }
            due = list(accounts.values())
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


class Usable(NamedTuple):
    """What a credential gives to those who name its pool."""

    pool: str
    secret: str  # the part that upstreams want
    is_renewable: bool


def used_secrets(
    pooled: Iterable[Pooled], kinds: Mapping[str, Kind]
) -> Iterator[tuple[int, Usable]]:
    """Each one's, by id; suspect ones only where all are suspect."""
    well = {one.pool for one in pooled if not one.failures}
    for one in pooled:
        kind = kinds.get(one.kind)
        secret = one.parts.get(kind.used, "") if kind is not None else ""
        if kind is not None and secret and (not one.failures or one.pool not in well):
            yield one.id, Usable(one.pool, secret, kind.refresh is not None)


def with_credentials(provider: Provider, secrets: Mapping[int, Usable]) -> Iterator[Provider]:
    """A provider that uses a pool, once for each credential that it may use: so gateways take turns
    among them and go on to the next one when one is refused. Its weight is shared by them."""
    if not provider.pool:
        yield provider
        return
    mine = {number: one for number, one in secrets.items() if one.pool == provider.pool}
    for number, one in mine.items():
        yield msgspec.structs.replace(
            provider,
            name=f"{provider.name}#{number}",  # no provider's own name may hold such a sign
            parent=provider.name,
            credential_id=number,
            secret=one.secret,
            is_renewable=one.is_renewable,
            weight=max(1, provider.weight // len(mine)),
        )


def with_members(route: Route, secrets: Mapping[int, Usable]) -> Route:
    """A route that shows its backend credentials of a pool, with those that it may show now."""
    use = route.credentials
    if use is None:
        return route
    mine = {
        number: one
        for number, one in secrets.items()
        if one.pool == use.pool and (use.parameter or fits_header(one.secret))
    }
    use = msgspec.structs.replace(
        use,
        members=tuple((number, one.secret) for number, one in mine.items()),
        renewable=tuple(number for number, one in mine.items() if one.is_renewable),
    )
    return msgspec.structs.replace(route, credentials=use)


def _account(provider: Provider) -> _Account:
    """Whose list it is: another address or another secret may see other models; credentials of a
    pool are as good as each other."""
    secret = f"pool {provider.pool}" if provider.credential_id else provider.secret
    return provider.label, provider.base_url, secret
