"""Reads and writes of many rows at once: as exact and as guarded as one after the other."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from tallygate.core.wallet import EntryKind
from tallygate.store import charge_rows, wallets
from tallygate.store.charge_rows import Row
from tallygate.store.database import Database
from tallygate.store.migrations import migrate
from tallygate.store.money_schema import event_alias, ledger_entry, wallet
from tallygate.store.postgresql import CONNECTIONS_MAX
from tests.store.purse import NOW_MS, POINT, differences, make_account

pytestmark = pytest.mark.anyio

ODD_TEXTS = ("", 'it\'s "so" \\ {,} null', "點\u2028\t\n\x1f🜁", "x" * 255)


def row(number: int, text: str) -> Row:
    numbers = dict.fromkeys((one for one in charge_rows.COLUMNS if one.endswith("tokens")), 2**53)
    micros = dict.fromkeys((one for one in charge_rows.COLUMNS if one.endswith("micros")), 2**62)
    texts = dict.fromkeys(("account_id", "instance", "model", "conversation_id"), text)
    values: dict[str, Any] = {
        **(numbers | micros | texts),
        "id": number,
        "tenant_id": 1,
        "wallet_id": None,
        "state": "noted",
        "source": "webhook",
        "price_id": None,
        "rate_id": 7,
        "key_id": 0,
        "request_id": text,
        "message_id": text,
        "parts": None,
        "reports": text or None,
        "event_ms": -1,
        "at_ms": NOW_MS,
    }
    return Row(**values)


async def test_what_is_written_together_is_read_back_to_the_letter(store: Database) -> None:
    """Texts that a notation could trip over, numbers that a float would round, and nothing."""
    await make_account(store)
    rows = [row(number, text) for number, text in enumerate(ODD_TEXTS, 1)]
    aliases = [(("dify", "message", f"{one.id}{one.model}"), one) for one in rows]
    async with store.writing() as tx:
        [found] = (await wallets.lock_of(tx, ["alice"], NOW_MS)).values()
        for text in ODD_TEXTS:
            found.credit(EntryKind.TOP_UP, 1, NOW_MS, reason=text)
        await wallets.write(tx, [found], beside=charge_rows.inserting(rows, aliases))
    async with store.reading() as tx:
        assert await charge_rows.read_many(tx, range(9)) == {one.id: one for one in rows}
        names = (await tx.execute(sa.select(event_alias.c.event_id))).scalars()
        assert set(names) == {alias[2] for alias, _ in aliases}
        reasons = sa.select(ledger_entry.c.reason).order_by(ledger_entry.c.id)
        assert tuple((await tx.execute(reasons)).scalars()) == ODD_TEXTS
    assert await differences(store) == []


async def test_a_wallet_that_changed_behind_us_takes_everything_down_with_it(
    store: Database,
) -> None:
    """The names and charges that were written in the same breath are gone, too."""
    await make_account(store, micros=5 * POINT)
    one = row(1, "a")
    with pytest.raises(AssertionError, match="not locked"):
        async with store.writing() as tx:
            [found] = (await wallets.lock_of(tx, ["alice"], NOW_MS)).values()
            await tx.execute(sa.update(wallet).values(balance_micros=POINT))
            found.charge(POINT, NOW_MS, 1)
            names = [(("dify", "message", "m"), one)]
            await wallets.write(tx, [found], beside=charge_rows.inserting([one], names))
    async with store.reading() as tx:
        assert await charge_rows.read(tx, 1) is None
        assert await tx.scalar(sa.select(wallet.c.balance_micros)) == 5 * POINT
    assert await differences(store) == []


async def test_what_is_read_behind_a_lock_is_what_its_holder_left(postgresql_url: str) -> None:
    """A statement sees what was there when it began: one that waits for a wallet must not also
    read that wallet's charges, or two nodes would charge one event."""
    stores = [Database(postgresql_url) for _ in range(2)]
    for one in stores:
        await one.open()
    await migrate(stores[0])
    await make_account(stores[0])
    finding = charge_rows.finding([("dify", "message", "m")])
    locking = wallets.locking_of(["alice"])

    async def look() -> list[Any]:
        async with stores[1].writing() as tx:
            return (await tx.read_all([locking, *finding, *finding]))[1:]

    async with stores[0].writing() as tx:
        await tx.read_all([locking])
        looking = asyncio.create_task(look())
        waits = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        while not await _scalar(stores[0], waits):
            assert not looking.done()
        await tx.write_all(charge_rows.inserting([], [(("dify", "message", "m"), row(1, ""))]))
    assert [[tuple(one) for one in rows] for rows in await looking] == [
        [("dify", "message", "m", 1)]
    ] * 2
    for one in stores:
        await one.close()


async def _scalar(store: Database, query: sa.TextClause) -> Any:
    async with store.writing() as tx:  # a reader would see the same state each time
        return await tx.scalar(query)


async def test_names_are_looked_up_by_their_index_whatever_statistics_say(
    postgresql_url: str,
) -> None:
    """A table that has just grown looks small to the planner, which then would read all of it."""
    store = Database(postgresql_url)
    await store.open()
    await migrate(store)
    [(find, _)] = charge_rows.finding([("dify", "message", "m")])
    text = find.postgresql.replace("$1", "'dify'").replace("$2", "'message'")
    text = text.replace("$3", "ARRAY(SELECT 'm' || n FROM generate_series(1, 50) AS n)")
    async with store.writing() as tx:
        plan = "\n".join((await tx.execute(sa.text(f"EXPLAIN {text}"))).scalars())
    [condition] = [line for line in plan.splitlines() if "Index Cond" in line]
    assert "event_id = " in condition and "kind = " in condition
    await store.close()


async def test_who_finds_every_connection_taken_waits_for_one(postgresql_url: str) -> None:
    """Whether the ones before asked by the driver alone or not, and whether they came to an end."""
    store = Database(postgresql_url)
    await store.open()
    await migrate(store)
    await make_account(store)

    async def work(number: int) -> int:
        async with store.writing() as tx:
            [rows] = await tx.read_all([wallets.locking_of(["alice"])])
            if number % 3 == 0:
                await tx.execute(sa.select(wallet.c.id))
            if number % 3 == 1:
                raise ZeroDivisionError
            return len(rows)

    for _ in range(2):
        jobs = [work(number) for number in range(4 * CONNECTIONS_MAX)]
        ended = await asyncio.gather(*jobs, return_exceptions=True)
        failed = [one for one in ended if isinstance(one, ZeroDivisionError)]
        assert sum(one == 1 for one in ended) + len(failed) == len(jobs)
        assert len(failed) == len(jobs) // 3
    await store.close()
