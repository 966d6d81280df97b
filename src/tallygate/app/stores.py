"""What the roles that open the store have in common: where it is, and making it ready to be used.

Only ever imported by those roles' own processes.
"""

import asyncio
from typing import Any

import structlog

from tallygate.config import Settings
from tallygate.core.errors import StoreRefused, StoreUnavailable
from tallygate.core.provider import Provider
from tallygate.store import providers, quota_proxy
from tallygate.store.database import Database
from tallygate.store.location import Location, locate
from tallygate.store.migrations import migrate
from tallygate.store.quota_proxy_file import NotAQuotaProxyFile, read_file

log = structlog.get_logger("tallygate.prepare")


def settings_of(brief: dict[str, Any]) -> Settings:
    """The settings as the supervisor read them."""
    return Settings(**brief["settings"])


def location_of(settings: Settings) -> Location:
    url = settings.database_url.get_secret_value() if settings.database_url else None
    return locate(settings.data, url, settings.sqlite_db_path)


def provider_of(settings: Settings) -> Provider | None:
    """The provider that DEEPSEEK_API_KEY stands for."""
    if settings.deepseek_api_key is None:
        return None
    secret = settings.deepseek_api_key.get_secret_value()
    return providers.deepseek(secret, settings.deepseek_base_url)


def prepare(settings: Settings, master_key: bytes) -> None:
    """Migrate the store and take over an old one, the first time; raises what an operator reads."""
    location = location_of(settings)
    try:
        asyncio.run(_prepare(settings, location, master_key))
    except StoreRefused:
        raise
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{location.name} cannot be used: {error}") from error
    except NotAQuotaProxyFile as error:
        raise StoreRefused(str(error)) from error


async def _prepare(settings: Settings, location: Location, master_key: bytes) -> None:
    database = Database(location.url)
    await database.open()
    try:
        await migrate(database)
        if location.takes_over is not None:
            await _take_over(database, settings, location, master_key)
    finally:
        await database.close()


async def _take_over(
    database: Database, settings: Settings, location: Location, master_key: bytes
) -> None:
    """All of the old file in one transaction, once: its owner may go on changing it elsewhere."""
    path = location.takes_over
    assert path is not None
    now_ms = await database.clock_ms()
    sealing = quota_proxy.Sealing(master_key if settings.keep_sealed_keys else None)
    async with database.writing() as tx:
        if await quota_proxy.was_taken_over(tx, path):
            return
        report = await quota_proxy.take_over(
            tx, read_file(path), zone=settings.time_zone, sealing=sealing, now_ms=now_ms
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
