"""Prices for a new store: the bundled catalogue, a rate for it, and the demo model's price.

A store without any rate is one that nobody has set prices in; then, and never again, this is done.
"""

import datetime

import structlog

from tallygate.core.money import MICROS, PICOS
from tallygate.core.ports import Actor
from tallygate.core.price_commands import CATALOGUE, ImportedPrice, ImportPrices
from tallygate.core.price_import import plan
from tallygate.core.price_terms import Terms
from tallygate.core.pricing import Currency
from tallygate.store import audit, feed, prices, providers
from tallygate.store.database import Database, Tx

RATE_MICROS = 10_000 * MICROS
ACTOR = Actor("setup", "local", "")
# In points, so that whoever tries the demo sees a charge: one for 1,000 tokens in, two out.
_DEMO = Terms(
    currency=Currency.POINTS,
    per_tokens=1000,
    input_picos=PICOS // 1000,
    output_picos=PICOS // 500,
    cache_read_picos=None,
    cache_write_picos=None,
    request_picos=0,
    is_active=True,
)

log = structlog.get_logger("tallygate.prepare")


async def set_up(database: Database) -> None:
    async with database.reading() as tx:
        if await prices.current_rate(tx) is not None:
            return
    from tallygate.app import catalogue

    now_ms = await database.clock_ms()
    now = datetime.datetime.fromtimestamp(now_ms / 1000, datetime.UTC)
    models, source = catalogue.read(now), catalogue.version()
    async with database.writing() as tx:
        await prices.take_book(tx)
        if await prices.current_rate(tx) is not None:
            return  # another node was faster
        await _write(tx, models, now_ms, source)
    log.info("prices imported", models=len(models), source=source)


async def _write(tx: Tx, models: list[ImportedPrice], now_ms: int, source: str) -> None:
    known = await prices.known(tx, now_ms)
    changes = plan(ImportPrices(models=models, source=CATALOGUE), known)
    new = {change.model: change.after for change in changes if change.kind == "new"}
    if known.find(providers.DEMO_MODEL) is None:
        new[providers.DEMO_MODEL] = _DEMO
    why = {"actor": ACTOR.name, "reason": f"first start, from {source}"}
    await prices.insert_many(tx, new, now_ms, source=CATALOGUE, **why)
    aliases = {alias: change.model for change in changes for alias in change.aliases}
    await prices.set_aliases(tx, aliases)
    await prices.insert_rate(tx, RATE_MICROS, now_ms=now_ms, **why)
    after = {"source": source, "models": len(new), "aliases": len(aliases), "rate": "10000"}
    await audit.record(tx, ACTOR, "price.import", "prices:catalogue", None, after, now_ms)
    await feed.append(tx, "prices", 0, 0, "", now_ms)
