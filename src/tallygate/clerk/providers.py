"""What gateways know of upstreams: the providers' rows, unsealed, and the models each one lists.

A list that can not be read is unknown (None), and the provider is used all the same. Secrets live
only in the snapshot, whose members do not show them.
"""

import asyncio
from collections.abc import Callable

import aiohttp
import msgspec
import structlog

from tallygate.clerk.clock import monotonic_ms
from tallygate.clerk.options import Options
from tallygate.core.errors import StoreUnavailable
from tallygate.core.provider import Protocol, Provider, Snapshot
from tallygate.store import providers as rows
from tallygate.store.database import Database

FETCH_DEADLINE_S = 10.0
LIST_BYTES_MAX = 4 << 20
FRESH_S = 60.0
MODELS_MAX = 10_000
ANTHROPIC_VERSION = "2023-06-01"

log = structlog.get_logger("tallygate.clerk")


class _Model(msgspec.Struct):
    id: str


class _List(msgspec.Struct):
    data: list[_Model]


_Account = tuple[str, str, str]
_decode_list = msgspec.json.Decoder(_List).decode


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
        options = self._options
        async with self._db.reading() as tx:
            loaded = await rows.snapshot(
                tx, options.master_key, options.settings_provider, rows.demo(options.control_socket)
            )
        self._is_stale = False
        self._configured = loaded
        self._publish()

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
            async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
                lists = await asyncio.gather(*(_fetch(session, provider) for provider in due))
            keep = {_account(one) for one in self._configured.providers}
            self._lists = {one: found for one, found in self._lists.items() if one in keep}
            for provider, found in zip(due, lists, strict=True):
                self._lists[_account(provider)] = (now_s, found)
            self._publish()

    def _is_fresh(self, provider: Provider, now_s: float) -> bool:
        fetched_s, _ = self._lists.get(_account(provider), (-FRESH_S, None))
        return now_s - fetched_s < FRESH_S

    def _publish(self) -> None:
        providers = tuple(self._with_list(provider) for provider in self._configured.providers)
        if providers == self.snapshot.providers and self.snapshot.version:
            return
        version = max(self._configured.version, self.snapshot.version) + 1
        self.snapshot = Snapshot(version, providers)
        self._on_change(self.snapshot)

    def _with_list(self, provider: Provider) -> Provider:
        if provider.models is not None or _account(provider) not in self._lists:
            return provider
        return msgspec.structs.replace(provider, models=self._lists[_account(provider)][1])


def _account(provider: Provider) -> _Account:
    """Whose list it is: another address or another secret may see other models."""
    return provider.name, provider.base_url, provider.secret


async def _fetch(session: aiohttp.ClientSession, provider: Provider) -> tuple[str, ...] | None:
    """A provider's own list; None when it can not be had."""
    try:
        async with asyncio.timeout(FETCH_DEADLINE_S):
            async with session.get(
                f"{provider.base_url.rstrip('/')}/models",
                headers=_headers(provider),
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise ValueError(f"status {response.status}")
                body = await response.content.read(LIST_BYTES_MAX)
                while len(body) < LIST_BYTES_MAX and not response.content.at_eof():
                    body += await response.content.read(LIST_BYTES_MAX - len(body))
        names = {model.id for model in _decode_list(body).data}
        return tuple(sorted(names)[:MODELS_MAX])
    except (aiohttp.ClientError, OSError, ValueError, msgspec.MsgspecError) as error:
        kind = type(error).__name__  # its text could quote the request
        log.warning("a provider's models can not be listed", provider=provider.name, reason=kind)
        return None


def _headers(provider: Provider) -> dict[str, str]:
    if provider.protocol is Protocol.ANTHROPIC:
        return {"x-api-key": provider.secret, "anthropic-version": ANTHROPIC_VERSION}
    return {"authorization": f"Bearer {provider.secret}"}
