"""What gateways need to charge: the book of prices, in force when a change is acknowledged; wallets
that several workers and nodes lease from without promising a point twice.
"""

import asyncio

import msgspec
import pytest

from tallygate.core.commands import CreateKey, Settle
from tallygate.core.entry import Charge
from tallygate.core.errors import Code, Refusal
from tallygate.core.keys import hash_key
from tallygate.core.limits import Limit
from tallygate.core.ports import Found, LookUp, PriceBook
from tallygate.gateway.lease import wallet_limit
from tallygate.store import feed
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node, Worker, until
from tests.journal.samples import entry
from tests.store.money import Standing, insert_price, insert_rate, make_wallet, standing

pytestmark = pytest.mark.anyio

NOW_MS = 1_790_000_000_000


async def set_price(node: Node, model: str, **changes: object) -> None:
    """As a command does: the version and its event in one transaction."""
    async with node.db.writing() as tx:
        await insert_price(tx, model, NOW_MS - 1, **changes)
        await feed.append(tx, "prices", 0, 0, node.options.node_uuid, NOW_MS)
    node.clerk.feed.poke()


def models(book: PriceBook) -> set[str]:
    return {price.model for price in book.book.prices}


async def hear_of(worker: Worker, model: str) -> PriceBook:
    async with asyncio.timeout(20):
        count = 1
        while model not in models(found := await worker.hear(PriceBook, count)):
            count += 1
    assert isinstance(found, PriceBook)
    return found


async def test_a_worker_is_told_the_prices_when_it_says_hello_and_when_they_change(
    any_node: Node,
) -> None:
    """Before that it can charge nobody, and after it must not charge by what was."""
    await set_price(any_node, "before")
    await until(lambda: any_node.clerk.book.number >= 1 and any_node.clerk.book.prices is not None)
    worker = await any_node.worker(0)
    await hear_of(worker, "before")
    async with any_node.db.writing() as tx:
        await insert_rate(tx, 10**10, NOW_MS)
    await set_price(any_node, "after")
    book = await hear_of(worker, "after")
    assert book.book.rate is not None
    assert book.book.rate.micros_per_usd == 10**10


async def test_what_changed_nothing_is_not_sent_again(node: Node) -> None:
    """Every node reads the book again for every change of it: workers hear what is new."""
    await set_price(node, "m")
    worker = await node.worker(0)
    await hear_of(worker, "m")
    number = node.clerk.book.number
    await node.clerk.book.load()
    await node.clerk.book.load()
    assert node.clerk.book.number == number


async def test_a_change_of_prices_is_done_when_every_worker_charges_by_it(node: Node) -> None:
    """A request that comes after the acknowledgement must not be charged the old price."""
    workers = [await node.worker(slot) for slot in range(2)]
    workers[1].is_slow = True
    await set_price(node, "m")
    spreading = asyncio.create_task(node.clerk.spread_prices())
    for worker in workers:
        await hear_of(worker, "m")
    await until(
        lambda: any(p.book_number == node.clerk.book.number for p in node.clerk.peers.workers)
    )
    assert not spreading.done()
    workers[1].catch_up()
    await spreading


async def test_a_change_of_prices_is_in_force_on_other_nodes_too(
    make_node: MakeNode, postgresql_url: str
) -> None:
    """The barrier that asks them to settle asks them to charge by what they have read as well."""
    one = await make_node("one", postgresql_url)
    two = await make_node("two", postgresql_url)
    worker = await two.worker(0)
    await until(lambda: one.clerk.barrier.has_other_nodes)
    await set_price(one, "m")
    await one.clerk.spread_prices()
    assert any("m" in models(one) for one in worker.messages if isinstance(one, PriceBook))


async def test_who_catches_up_waits_for_a_reading_that_has_begun(node: Node) -> None:
    """It began before, but workers do not charge by it before it has ended."""
    worker = await node.worker(0)
    await set_price(node, "m")
    reading = asyncio.create_task(node.clerk.book.load())
    await asyncio.sleep(0)  # it has begun
    await node.clerk.book.catch_up()
    await reading
    assert any("m" in models(one) for one in worker.messages if isinstance(one, PriceBook))


async def test_a_worker_that_hangs_holds_up_a_change_for_a_moment_only(node: Node) -> None:
    worker = await node.worker(0)
    worker.is_slow = True
    await set_price(node, "m")
    async with asyncio.timeout(10):
        await node.clerk.spread_prices()
        await node.command(Settle())  # and nobody waits for it again


async def fund(node: Node, micros: int) -> tuple[int, Limit]:
    wallet_id = await make_wallet(node.db, micros)
    return wallet_id, wallet_limit(wallet_id)


async def stands(node: Node, wallet_id: int) -> Standing:
    found = await standing(node.db, wallet_id)
    assert found.is_consistent
    assert found.free >= 0
    return found


async def test_money_that_lies_idle_elsewhere_is_recalled_before_anybody_is_refused(
    any_node: Node,
) -> None:
    wallet_id, limit = await fund(any_node, 1_000)
    holder, asker = await any_node.worker(0), await any_node.worker(1)
    counter = (limit.id, 0)
    await holder.sync(counter, 10)
    assert holder.holdings[counter].granted == 250
    synced = await asker.sync(counter, 900)
    assert (synced.answers[0].is_short, asker.holdings[counter].granted) == (False, 900)
    assert holder.recalls == 1
    asker.holdings[counter].reserve(900)
    assert (await stands(any_node, wallet_id)).leased == 900
    synced = await holder.sync(counter, 200)
    assert (synced.answers[0].is_short, synced.answers[0].is_final) == (True, False)


async def test_nodes_share_a_wallet_and_never_promise_a_point_twice(
    make_node: MakeNode, postgresql_url: str
) -> None:
    nodes = [await make_node(name, postgresql_url) for name in ("one", "two")]
    wallet_id, limit = await fund(nodes[0], 100)
    workers = [await node.worker(slot) for node in nodes for slot in range(2)]
    counter = (limit.id, 0)

    async def is_let_through(worker: Worker) -> bool:
        synced = await worker.sync(counter, 30)
        if not synced.answers[0].is_short:
            worker.holdings[counter].reserve(30)
        return not synced.answers[0].is_short

    let_through = await asyncio.gather(*(is_let_through(worker) for worker in workers))
    assert sorted(let_through) == [False, True, True, True]
    assert (await stands(nodes[1], wallet_id)).free == 10


async def test_a_settled_request_is_charged_and_a_dead_workers_money_comes_back(
    any_node: Node,
) -> None:
    wallet_id, limit = await fund(any_node, 1_000)
    worker = await any_node.worker(0)
    counter = (limit.id, 0)
    await worker.sync(counter, 40)
    for _ in range(2):
        assert await worker.admit(limit)
    held = worker.holdings[counter]
    held.settle(1, 25)
    made = msgspec.structs.replace(
        entry("r1", []), charge=Charge(wallet_id, 1, 0, 25, 5), key_id=worker.key_id
    )
    assert worker.journal is not None
    worker.journal.append(msgspec.msgpack.encode(made))
    worker.journal.write()
    worker.die()
    await any_node.until_closed()
    found = await stands(any_node, wallet_id)
    assert (found.balance, found.leased, found.charges) == (975, 0, 25)


async def test_a_key_is_made_for_a_user_that_is_there(node: Node) -> None:
    """Else its use would be charged to nobody, and nobody would be told."""
    with pytest.raises(Refusal) as refused:
        await node.command(CreateKey(user_id="ada"))
    assert refused.value.code is Code.IMPOSSIBLE
    assert "'ada'" in refused.value.message
    wallet_id = await make_wallet(node.db, 0, "ada")
    made = await node.command(CreateKey(user_id="ada"))
    worker = await node.worker(0)
    worker.channel.send(LookUp(1, hash_key(made["secret"].encode())))
    found = await worker.hear(Found)
    assert found.key.wallet_id == wallet_id
