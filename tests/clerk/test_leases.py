"""Limits are exact, whoever asks, whatever crashes."""

import asyncio

import pytest

from tallygate.core.commands import CreateKey, ResetUsage, Settle
from tallygate.core.limits import Limit
from tallygate.store import limits
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node, Worker, until

pytestmark = pytest.mark.anyio


async def used(node: Node, limit: Limit) -> limits.Used:
    async with node.db.reading() as tx:
        return await limits.used(tx, limit.id, 0)


async def race(workers: list[Worker], limit: Limit, each: int) -> int:
    """Every worker is asked `each` times, all at once; how many were let through."""

    async def request(worker: Worker, number: int) -> bool:
        if not await worker.admit(limit):
            return False
        await asyncio.sleep(0)
        worker.finish(limit, f"{worker.node.options.node_name}-{worker.slot}-{number}")
        return True

    outcomes = await asyncio.gather(
        *(request(worker, number) for number in range(each) for worker in workers)
    )
    return sum(outcomes)


async def test_racing_workers_admit_exactly_the_limit(any_node: Node):
    """Not one more, whoever is fastest; not one less, thanks to recalling what others hold."""
    key_id, limit = await any_node.make_limit(500)
    workers = [await any_node.worker(slot) for slot in range(4)]
    for worker in workers:
        worker.key_id = key_id
    assert await race(workers, limit, 400) == 500
    assert await any_node.command(Settle()) == {"stale": []}
    found = await used(any_node, limit)
    assert (found.spent, found.leased) == (500, 0)


async def test_racing_nodes_admit_exactly_the_limit(postgresql_url: str, make_node: MakeNode):
    """Two nodes share one store: recalls reach the other node by the feed."""
    one = await make_node("one", postgresql_url)
    two = await make_node("two", postgresql_url)
    for node in (one, two):
        await node.clerk.barrier.beat()
    _, limit = await one.make_limit(300)
    workers = [await node.worker(slot) for slot in range(2) for node in (one, two)]
    assert await race(workers, limit, 200) == 300
    assert await one.command(Settle(timeout_ms=10_000)) == {"stale": []}
    assert (await used(one, limit)).spent == 300


async def test_the_last_units_are_recalled_from_an_idle_worker(node: Node):
    """Else a request would be refused while units lie unused elsewhere."""
    _, limit = await node.make_limit(10)
    holder, asker = await node.worker(0), await node.worker(1)
    assert await holder.admit(limit)
    await holder.sync((limit.id, 0), 9)
    for _ in range(9):
        assert await asker.admit(limit)
    assert holder.recalls >= 1
    assert not await asker.admit(limit)
    assert not await holder.admit(limit)


async def test_short_workers_share_one_recall(node: Node):
    """Ten who wait do not send ten recalls to everybody."""
    _, limit = await node.make_limit(40)
    holder = await node.worker(0)
    await holder.sync((limit.id, 0), 40)
    askers = [await node.worker(slot) for slot in range(1, 5)]
    outcomes = await asyncio.gather(*(worker.admit(limit) for worker in askers))
    assert all(outcomes)
    assert holder.recalls < len(askers)


async def test_the_rest_of_a_limit_is_for_one_last_request_alone(node: Node):
    """Who is short of tokens or points takes what is left: two parts would let through two."""
    _, limit = await node.make_limit(10)
    counter = (limit.id, 0)
    busy, *askers = [await node.worker(slot) for slot in range(3)]
    await busy.sync(counter, 8)
    busy.holdings[counter].reserve(8)
    await asyncio.gather(*(worker.sync(counter, 5, least=5) for worker in askers))
    held = [worker.holdings.get(counter) for worker in askers]
    assert sorted(one.available if one is not None else 0 for one in held) == [0, 2]


async def test_an_exhausted_limit_says_that_it_stays_so(node: Node):
    """Nothing is leased elsewhere: gateways need not ask again in this window."""
    _, limit = await node.make_limit(1)
    worker = await node.worker(0)
    assert await worker.admit(limit)
    worker.finish(limit, "a")
    await node.command(Settle())
    synced = await worker.sync((limit.id, 0), 1)
    assert (synced.answers[0].is_short, synced.answers[0].is_final) == (True, True)
    assert synced.answers[0].used == 1


async def test_a_closed_lease_leaves_nothing_leased(node: Node):
    _, limit = await node.make_limit(100)
    worker = await node.worker(0)
    assert await worker.admit(limit)
    worker.finish(limit, "a")
    await node.command(Settle())
    await worker.close_leases()
    found = await used(node, limit)
    assert (found.spent, found.leased) == (1, 0)


async def test_a_dead_worker_wastes_what_was_in_flight_and_no_more(node: Node):
    """Admitted and journaled counts; admitted and never journaled is lost; the rest is free."""
    _, limit = await node.make_limit(100)
    worker = await node.worker(0)
    for number in range(5):
        assert await worker.admit(limit)
        if number < 3:
            worker.finish(limit, f"r{number}")
    worker.die()
    await node.until_closed()
    found = await used(node, limit)
    assert (found.spent, found.leased) == (5, 0)
    other = await node.worker(1)
    assert await race([other], limit, 200) == 95


async def test_a_restarted_clerk_goes_on_where_the_old_one_was(any_node: Node):
    """Workers keep their leases, say Hello again, and all totals agree in the end."""
    _, limit = await any_node.make_limit(200)
    workers = [await any_node.worker(slot) for slot in range(3)]
    first = await race(workers, limit, 20)
    for worker in workers:
        assert await worker.admit(limit)
    await any_node.stop()
    for worker in workers:
        worker.finish(limit, f"while-away-{worker.slot}")
    await any_node.start()
    for worker in workers:
        await worker.connect()
    assert first + len(workers) + await race(workers, limit, 100) == 200
    await any_node.command(Settle())
    found = await used(any_node, limit)
    assert (found.spent, found.leased) == (200, 0)


async def test_nothing_is_lost_or_doubled_while_the_store_is_away(node: Node):
    """Leased units go on serving, journals go on growing, and all of it is settled later."""
    _, limit = await node.make_limit(100)
    worker = await node.worker(0)
    assert await worker.admit(limit)
    held = worker.holdings[limit.id, 0].available
    node.db.is_away = True
    for number in range(held):
        assert await worker.admit(limit)
        worker.finish(limit, f"r{number}")
    synced = await worker.sync((limit.id, 0), 1)
    assert not synced.is_store_available
    node.db.is_away = False
    worker.finish(limit, "first")
    await until(lambda: node.clerk.is_store_available)
    await node.command(Settle())
    assert (await used(node, limit)).spent == held + 1
    assert held + 1 + await race([worker], limit, 150) == 100


async def test_a_commit_whose_end_is_unknown_changes_nothing_twice(node: Node):
    """The connection was lost after COMMIT: leases and settling are repeated and agree."""
    _, limit = await node.make_limit(100)
    worker = await node.worker(0)
    total = 0
    for _ in range(5):
        node.db.fail_commits = 1
        total += await race([worker], limit, 10)
    node.db.fail_commits = 0
    await until(lambda: node.clerk.is_store_available)
    assert await node.command(Settle()) == {"stale": []}
    found = await used(node, limit)
    assert found.spent == total == 50
    assert total + await race([worker], limit, 100) == 100


async def test_a_reset_gives_the_whole_limit_again(node: Node):
    """What was leased before is void; workers are told to drop it."""
    view = await node.command(CreateKey(daily_limit=5))
    async with node.db.reading() as tx:
        found = await limits.of_subjects(tx, [("key", str(view["id"]))])
    limit = found[0]
    window_s = node.clerk.clock.now_ms() // 86_400_000 * 86_400
    worker = await node.worker(0)
    for number in range(5):
        assert await worker.admit(limit, window_s)
        worker.finish(limit, f"r{number}", window_s=window_s)
    assert not await worker.admit(limit, window_s)
    assert (await node.command(ResetUsage()))["reset"] == 1
    await worker.hear_change("counter", limit.id)
    worker.holdings.clear()
    assert await worker.admit(limit, window_s)
