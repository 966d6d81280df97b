"""Settling: every entry is on the books once, whatever is repeated; the dead are closed exactly."""

import json

import pytest
import sqlalchemy as sa

from tallygate.core.entry import Attempt, Use
from tallygate.core.limits import Dimension
from tallygate.core.windows import Span
from tallygate.store import keys, limits, nodes, settle
from tallygate.store.database import Database
from tallygate.store.schema import attempt, lease, usage
from tests.store.books import (
    NOW_MS,
    WINDOW_S,
    Worker,
    ask,
    entry,
    make_boot,
    make_key,
    used,
)

pytestmark = pytest.mark.anyio


async def count(db: Database, table: sa.Table) -> int:
    async with db.reading() as tx:
        return int(await tx.scalar(sa.select(sa.func.count()).select_from(table)))


async def test_the_same_watermark_settles_once(store: Database) -> None:
    """A clerk that died after its commit reads the same entries again: they must not count."""
    key_id, limit_id = await make_key(store, 10)
    boot = await make_boot(store)
    state = await ask(store, boot, limit_id, 5)
    entries = [entry(Use(state.lease_id, limit_id, WINDOW_S, 1, 1, 1), key_id=key_id)]
    async with store.writing() as tx:
        await settle.settle(tx, boot, (0, 0), (1, 64), entries, NOW_MS)
    with pytest.raises(settle.StaleWatermark):
        async with store.writing() as tx:
            await settle.settle(tx, boot, (0, 0), (1, 64), entries, NOW_MS)
    assert (await used(store, limit_id)).spent == 1
    assert await count(store, usage) == 1
    assert (await nodes_boot(store)).watermark == (1, 64)


async def nodes_boot(db: Database) -> nodes.Boot:
    async with db.reading() as tx:
        return (await nodes.live_boots(tx))[0]


async def test_a_settle_that_fails_leaves_no_trace(store: Database) -> None:
    """Rows without their watermark, or the other way round, would be counted twice or never."""
    key_id, limit_id = await make_key(store, 10)
    boot = await make_boot(store)
    entries = [entry(Use(0, limit_id, WINDOW_S, 0, 1, 1), key_id=key_id)]
    with pytest.raises(RuntimeError):
        async with store.writing() as tx:
            await settle.settle(tx, boot, (0, 0), (1, 64), entries, NOW_MS)
            raise RuntimeError("killed")
    assert await count(store, usage) == 0
    assert (await used(store, limit_id)).spent == 0
    assert (await nodes_boot(store)).watermark == (0, 0)


@pytest.mark.parametrize("size", [1, 200])
async def test_an_entry_becomes_a_usage_row_with_all_it_says(store: Database, size: int) -> None:
    """By either bulk path: further dimensions as JSON, tries beyond a single one under it."""
    key_id, limit_id = await make_key(store, None)
    boot = await make_boot(store)
    entries = [
        entry(Use(0, limit_id, WINDOW_S, 0, 1, 1), key_id=key_id, number=number)
        for number in range(size)
    ]
    first = entries[0]
    first.counts["cache_read_tokens"] = 2
    first.attempts = [Attempt("a", 0, 7), Attempt("b", 200, 9)]
    first.is_counted = False
    async with store.writing() as tx:
        await settle.settle(tx, boot, (0, 0), (1, 64), entries, NOW_MS)
    async with store.reading() as tx:
        row = (await tx.execute(sa.select(usage).where(usage.c.request_id == "r0"))).one()
        tries = (await tx.execute(sa.select(attempt).order_by(attempt.c.number))).all()
    assert (row.input_tokens, row.output_tokens, row.requests) == (3, 4, 0)
    assert json.loads(row.counts) == {"cache_read_tokens": 2}
    assert (row.outcome, row.source, row.at_ms, row.status) == ("ok", "reported", NOW_MS, 200)
    assert (row.address, row.agent, row.bytes_in, row.bytes_out) == ("192.0.2.1", "test", 10, 20)
    assert [(tried.provider, tried.status) for tried in tries] == [("a", 0), ("b", 200)]
    assert (await used(store, limit_id)).spent == size


async def test_a_keys_last_use_only_moves_forward(store: Database) -> None:
    """Two nodes settle in any order."""
    key_id, _ = await make_key(store, 10)
    boot = await make_boot(store)
    for number, at_ms in enumerate((NOW_MS + 5, NOW_MS)):
        async with store.writing() as tx:
            entries = [entry(key_id=key_id, at_ms=at_ms)]
            await settle.settle(tx, boot, (0, number), (0, number + 1), entries, NOW_MS)
    async with store.reading() as tx:
        view = await keys.find_view(tx, str(key_id))
    assert view is not None
    assert view.last_used_ms == NOW_MS + 5


async def test_a_use_given_back_frees_its_unit_when_it_is_returned(store: Database) -> None:
    """Reserved one, spent none: the counter has not moved and does not say it was used."""
    key_id, limit_id = await make_key(store, 10)
    worker = Worker(store, limit_id, key_id, await make_boot(store))
    await worker.sync(1)
    assert worker.admit()
    worker.finish(spent=0)
    await worker.settle()
    await worker.give_back()
    found = await used(store, limit_id)
    assert (found.spent, found.leased, found.updated_ms) == (0, 0, 0)


async def test_a_use_of_a_limit_that_never_was_still_makes_its_row(store: Database) -> None:
    """One entry that a restored store cannot place must not stop the journal for ever."""
    key_id, limit_id = await make_key(store, 10)
    boot = await make_boot(store)
    entries = [
        entry(Use(9, 4711, WINDOW_S, 1, 1, 1), Use(0, limit_id, WINDOW_S, 0, 1, 1), key_id=key_id)
    ]
    async with store.writing() as tx:
        await settle.settle(tx, boot, (0, 0), (1, 64), entries, NOW_MS)
    assert await count(store, usage) == 1
    assert (await used(store, limit_id)).spent == 1


async def test_one_lease_id_that_means_two_leases_is_told_apart(store: Database) -> None:
    """A restored store gives out an id again that older entries of the same journal name too."""
    key_id, limit_id = await make_key(store, 10)
    _, other = await make_key(store, 10)
    boot = await make_boot(store)
    state = await ask(store, boot, limit_id, 5)
    uses = [Use(state.lease_id, limit, WINDOW_S, 1, 1, 1) for limit in (limit_id, other)]
    async with store.writing() as tx:
        await settle.settle(tx, boot, (0, 0), (1, 64), [entry(*uses, key_id=key_id)], NOW_MS)
    found, aside = await used(store, limit_id), await used(store, other)
    assert (found.spent, found.leased) == (1, state.granted - 1)
    assert (aside.spent, aside.leased) == (1, 0)


async def test_a_dead_worker_loses_only_what_was_in_flight(store: Database) -> None:
    """Admitted and never journaled is spent and shows as lost; the rest of its lease is free."""
    key_id, limit_id = await make_key(store, 10)
    worker = Worker(store, limit_id, key_id, await make_boot(store))
    await worker.sync(8)
    assert all(worker.admit() for _ in range(4))
    worker.finish()
    await worker.settle()
    summaries = []
    for _ in range(2):
        async with store.writing() as tx:
            summaries.append(
                await settle.close_boot(tx, worker.boot_id, worker.admitted, False, NOW_MS)
            )
    first, second = summaries
    assert (first.leases, first.released, first.requests) == (1, 4, {key_id: 3})
    assert first.spent == {(limit_id, WINDOW_S): 3}
    assert (second.leases, second.spent, second.requests) == (0, {}, {})
    found = await used(store, limit_id)
    assert (found.spent, found.leased) == (4, 0)
    async with store.reading() as tx:
        lost = (await tx.execute(sa.select(usage).where(usage.c.outcome == "lost"))).one()
    assert (lost.key_id, lost.requests, lost.source) == (key_id, 3, "lost")


async def test_a_request_lost_under_two_limits_is_one_request(store: Database) -> None:
    """A limit a minute and one a day count the same request; its row says one."""
    key_id, daily = await make_key(store, 10)
    async with store.writing() as tx:
        what = limits.NewLimit(Dimension.REQUESTS, Span.MINUTE, "UTC", 5)
        minute = await limits.insert(tx, "key", str(key_id), what, NOW_MS, is_daily=False)
    boot = await make_boot(store)
    states = [await ask(store, boot, limit_id, 1) for limit_id in (daily, minute)]
    async with store.writing() as tx:
        slab = {state.lease_id: 1 for state in states}
        summary = await settle.close_boot(tx, boot, slab, False, NOW_MS)
    assert summary.requests == {key_id: 1}
    assert sorted(summary.spent.values()) == [1, 1]


async def test_retiring_a_node_spends_what_its_workers_held(store: Database) -> None:
    """Nobody can say what a node that is gone has let through: assume all of it."""
    _, limit_id = await make_key(store, 100)
    gone = await make_boot(store, node="gone")
    stays = await make_boot(store, node="stays", slot=1)
    lost = await ask(store, gone, limit_id, 10)
    kept = await ask(store, stays, limit_id, 10)
    async with store.writing() as tx:
        assert await nodes.retire(tx, "gone", NOW_MS) == {(limit_id, WINDOW_S): lost.granted}
        assert await nodes.retire(tx, "gone", NOW_MS) is None
        assert await nodes.retire(tx, "nobody", NOW_MS) is None
    found = await used(store, limit_id)
    assert (found.spent, found.leased) == (lost.granted, kept.granted)
    assert await count(store, lease) == 1
    async with store.reading() as tx:
        listed = {node.uuid: node.retired_ms for node in await nodes.list_nodes(tx)}
        assert [life.id for life in await nodes.live_boots(tx)] == [stays]
    assert listed == {"gone": NOW_MS, "stays": None}
