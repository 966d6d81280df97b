"""What the roles that open the store have in common: where it is, and making it ready to be used.

Only ever imported by those roles' own processes.
"""

import asyncio
from pathlib import Path

import msgspec
import structlog

from tallygate.app import first_prices
from tallygate.core.dify import App, app_of_settings
from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.core.provider import Provider
from tallygate.store import providers, quota_proxy
from tallygate.store.database import Database
from tallygate.store.location import Location, locate
from tallygate.store.migrations import migrate
from tallygate.store.quota_proxy_file import NotAQuotaProxyFile, read_file

log = structlog.get_logger("tallygate.prepare")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that say where the store is and what belongs in it, plain.

    A clerk gets by with them, so that it need not load what reads settings.
    """

    data: str
    database_url: str | None
    sqlite_db_path: str | None
    time_zone: str
    keep_sealed_keys: bool
    deepseek_api_key: str | None
    deepseek_base_url: str
    dify_api_url: str = ""
    dify_api_key: str | None = None
    dify_model: str = ""
    dify_hold_points: int = 0

    def __repr__(self) -> str:
        return f"<Facts {self.data}>"  # two of them are secrets

    @property
    def location(self) -> Location:
        old = Path(self.sqlite_db_path) if self.sqlite_db_path else None
        return locate(Path(self.data), self.database_url, old)

    @property
    def dify_app(self) -> App | None:
        """The app that TALLYGATE_DIFY_API_URL and TALLYGATE_DIFY_API_KEY stand for."""
        hold_points = self.dify_hold_points
        return app_of_settings(self.dify_api_url, self.dify_api_key, self.dify_model, hold_points)

    @property
    def provider(self) -> Provider | None:
        """The provider that DEEPSEEK_API_KEY stands for."""
        if self.deepseek_api_key is None:
            return None
        return providers.deepseek(self.deepseek_api_key, self.deepseek_base_url)


def prepare(facts: Facts, master_key: bytes) -> None:
    """Migrate the store and take over an old one, the first time; raises what an operator reads."""
    location = facts.location
    try:
        asyncio.run(_prepare(facts, location, master_key))
    except StoreRefused as error:
        raise StoreRefused(f"{location.name}: {error}") from error
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{location.name} cannot be used: {error}") from error
    except NotAQuotaProxyFile as error:
        raise StoreRefused(str(error)) from error


async def _prepare(facts: Facts, location: Location, master_key: bytes) -> None:
    database = Database(location.url)
    await database.open()
    try:
        await migrate(database)
        await first_prices.set_up(database)
        if location.takes_over is not None:
            await _take_over(database, facts, location, master_key)
    finally:
        await database.close()


async def _take_over(
    database: Database, facts: Facts, location: Location, master_key: bytes
) -> None:
    """All of the old file in one transaction, once: its owner may go on changing it elsewhere."""
    path = location.takes_over
    assert path is not None
    now_ms = await database.clock_ms()
    sealing = quota_proxy.Sealing(master_key if facts.keep_sealed_keys else None)
    async with database.writing() as tx:
        if await quota_proxy.was_taken_over(tx, path):
            return
        report = await quota_proxy.take_over(
            tx, read_file(path), zone=facts.time_zone, sealing=sealing, now_ms=now_ms
        )
        await quota_proxy.remember_file(tx, path, now_ms)
    log.info(
        "old store taken over",
        file=str(path),
        keys=report.keys,
        days=report.days,
        requests=report.requests,
        skipped=report.skipped,
    )
