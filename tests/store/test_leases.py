"""Leases in the store: never more is granted than there is, whatever is lost or doubled."""

import asyncio
import datetime

import pytest
import sqlalchemy as sa

from tallygate.core.entry import Use
from tallygate.store import leases, limits, settle
from tallygate.store.database import Database
from tallygate.store.schema import lease, usage
from tests.store.books import (
    NOW_MS,
    WINDOW_S,
    Worker,
    ask,
    entry,
    make_boot,
    make_key,
    outstanding_of_leases,
    used,
)

pytestmark = pytest.mark.anyio


async def test_racing_grants_never_exceed_the_amount(store_url: str, store: Database) -> None:
    """Two nodes' clerks, each with its own connections, race for a counter that covers few."""
    other = Database(store_url)
    await other.open()
    _, limit_id = await make_key(store, 100)
    boots = [await make_boot(store, slot=slot, node=f"n{slot % 2}") for slot in range(8)]
    databases = [store, other] * 4
    states = await asyncio.gather(
        *(ask(db, boot, limit_id, 30) for db, boot in zip(databases, boots, strict=True))
    )
    await other.close()
    assert sum(state.granted for state in states) == 100
    assert sum(state.shortage for state in states) == 8 * 30 - 100
    found = await used(store, limit_id)
    assert (found.spent, found.leased) == (0, 100)


async def test_a_grant_leaves_units_for_other_holders(store: Database) -> None:
    """A first asker that took all would make every other worker wait for a recall."""
    _, limit_id = await make_key(store, 1000)
    state = await ask(store, await make_boot(store), limit_id, 1)
    assert (state.granted, state.shortage, state.used, state.amount) == (250, 0, 250, 1000)


async def test_a_lost_answer_is_given_again_and_grants_nothing_more(store: Database) -> None:
    """Units granted in an answer that never arrived would otherwise be lost until midnight."""
    _, limit_id = await make_key(store, 100)
    boot = await make_boot(store)
    first = await ask(store, boot, limit_id, 5)
    again = await ask(store, boot, limit_id, 5)
    assert again == first
    more = await ask(store, boot, limit_id, first.granted + 1, lease_id=first.lease_id)
    assert more.granted > first.granted
    repeated = await ask(store, boot, limit_id, first.granted + 1, lease_id=first.lease_id)
    assert repeated.granted == more.granted
    assert (await used(store, limit_id)).leased == more.granted


async def test_a_repeated_return_counts_once(store: Database) -> None:
    """Totals are cumulative: hearing twice that 10 came back must not free 20."""
    _, limit_id = await make_key(store, 100)
    boot = await make_boot(store)
    first = await ask(store, boot, limit_id, 20)
    for _ in range(2):
        known = {"lease_id": first.lease_id, "granted": first.granted}
        await ask(store, boot, limit_id, 0, **known, returned=10)
    assert (await used(store, limit_id)).leased == first.granted - 10


async def test_what_is_short_is_named_with_what_others_hold(store: Database) -> None:
    """The clerk decides by it whether a recall may help or the refusal is final."""
    _, limit_id = await make_key(store, 10)
    first, second = await make_boot(store), await make_boot(store, slot=1)
    held = await ask(store, first, limit_id, 8)
    short = await ask(store, second, limit_id, 5)
    assert (short.granted, short.shortage, short.leased_elsewhere) == (2, 3, 8)
    known = {"lease_id": held.lease_id, "granted": 8}
    await ask(store, first, limit_id, 0, **known, returned=8)
    mine = {"lease_id": short.lease_id, "granted": 2}
    later = await ask(store, second, limit_id, 5, **mine)
    assert (later.granted, later.shortage) == (7, 0)


async def test_the_rest_of_a_limit_is_for_one_last_request_alone(store: Database) -> None:
    """Two who were given a part each would both be let through as the last."""
    _, limit_id = await make_key(store, 10, dimension="tokens")
    first, second = await make_boot(store), await make_boot(store, slot=1)
    busy = await ask(store, await make_boot(store, slot=2), limit_id, 8, least=8)
    assert busy.granted == 8
    for boot in (first, second):
        state = await ask(store, boot, limit_id, 5, least=5)
        assert (state.granted, state.shortage, state.rest) == (0, 5, 2)
    last = await ask(store, first, limit_id, 5, least=5, is_last=True)
    assert (last.granted, last.shortage, last.rest) == (2, 3, 0)
    after = await ask(store, second, limit_id, 5, least=5, is_last=True)
    assert (after.granted, after.shortage, after.rest) == (0, 5, 0)


async def test_what_serves_some_of_those_who_wait_is_granted_to_them(store: Database) -> None:
    _, limit_id = await make_key(store, 10, dimension="points")
    state = await ask(store, await make_boot(store), limit_id, 30, least=3)
    assert (state.granted, state.shortage) == (10, 0)


async def test_nothing_is_granted_of_a_limit_of_zero(store: Database) -> None:
    """`daily_limit` 0 lets nothing through, and no row is kept for it."""
    _, limit_id = await make_key(store, 0)
    state = await ask(store, await make_boot(store), limit_id, 1)
    assert (state.lease_id, state.granted, state.shortage, state.leased_elsewhere) == (0, 0, 1, 0)


async def test_an_unlimited_limit_grants_what_is_needed(store: Database) -> None:
    """A limit may be made unlimited while asks for it are under way."""
    _, limit_id = await make_key(store, None)
    state = await ask(store, await make_boot(store), limit_id, 7)
    assert (state.granted, state.shortage, state.amount) == (7, 0, None)


async def test_a_deleted_limit_refuses_nobody(store: Database) -> None:
    """It no longer applies; the key's new limits reach the gateway by the feed."""
    _, limit_id = await make_key(store, 0)
    async with store.writing() as tx:
        assert await limits.delete(tx, limit_id, NOW_MS)
    state = await ask(store, await make_boot(store), limit_id, 1)
    assert (state.shortage, state.amount) == (0, None)


async def test_a_limit_that_never_was_grants_nothing(store: Database) -> None:
    """A store restored from an older backup does not know a newer limit: say so, do not fail."""
    state = await ask(store, await make_boot(store), 12345, 1)
    assert (state.lease_id, state.shortage, state.is_limit_missing) == (0, 1, True)


async def test_a_lowered_limit_grants_nothing_beyond_it(store: Database) -> None:
    """What is leased above the new amount comes back by recall; nothing is added to it."""
    _, limit_id = await make_key(store, 100)
    first, second = await make_boot(store), await make_boot(store, slot=1)
    await ask(store, first, limit_id, 50)
    async with store.writing() as tx:
        assert await limits.patch(tx, limit_id, 10)
    state = await ask(store, second, limit_id, 1)
    assert (state.granted, state.shortage, state.amount) == (0, 1, 10)


async def test_a_worker_whose_life_has_ended_gets_nothing(store: Database) -> None:
    """A lease of an ended worker would never be closed by anyone."""
    _, limit_id = await make_key(store, 10)
    boot = await make_boot(store)
    async with store.writing() as tx:
        await settle.close_boot(tx, boot, {}, False, NOW_MS)
    with pytest.raises(leases.BootEnded):
        await ask(store, boot, limit_id, 1)
    assert (await used(store, limit_id)).leased == 0


async def test_a_closed_lease_lives_until_its_entries_are_settled(store: Database) -> None:
    """Its unsettled units stay leased, or others would be granted what is spent already."""
    key_id, limit_id = await make_key(store, 10)
    worker = Worker(store, limit_id, key_id, await make_boot(store))
    await worker.sync(10)
    assert worker.admit() and worker.finish()
    await worker.close_lease()
    found = await used(store, limit_id)
    assert (found.spent, found.leased) == (0, 1)
    await worker.settle()
    found = await used(store, limit_id)
    assert (found.spent, found.leased) == (1, 0)
    async with store.reading() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(lease)) == 0


async def test_closing_gives_back_what_a_lost_answer_had_granted(store: Database) -> None:
    """The worker can not return units it never heard of; they must not stay leased for ever."""
    _, limit_id = await make_key(store, 100)
    boot = await make_boot(store)
    first = await ask(store, boot, limit_id, 1)
    seen = {"lease_id": first.lease_id, "granted": first.granted}
    unheard = await ask(store, boot, limit_id, 30, **seen)
    assert unheard.granted > first.granted
    for _ in range(2):
        await ask(store, boot, limit_id, 0, **seen, returned=first.granted - 3, is_closing=True)
        assert (await used(store, limit_id)).leased == 3


async def test_a_worker_may_open_a_new_lease_beside_its_closing_one(store: Database) -> None:
    """The closing one's totals are forgotten by the worker and must not be granted to it again."""
    key_id, limit_id = await make_key(store, 10)
    worker = Worker(store, limit_id, key_id, await make_boot(store))
    await worker.sync(6)
    for _ in range(6):
        assert worker.admit() and worker.finish()
    await worker.close_lease()
    await worker.sync(10)
    assert worker.holding.available == 4
    await worker.settle()
    found = await used(store, limit_id)
    assert (found.spent, found.leased) == (6, 4)


async def test_a_lease_that_its_worker_forgot_is_not_granted_twice(store: Database) -> None:
    """Whoever drops a lease that it has used and asks as if it had none must not get it whole."""
    key_id, limit_id = await make_key(store, 10)
    worker = Worker(store, limit_id, key_id, await make_boot(store))
    await worker.sync(10)
    assert worker.admit() and worker.finish()
    await worker.settle()
    state = await ask(store, worker.boot_id, limit_id, 1)
    assert (state.granted, state.shortage) == (0, 1)


async def test_a_reset_voids_what_was_leased_before(store: Database) -> None:
    """After a reset the whole amount is there again, and the old generation counts no more."""
    key_id, limit_id = await make_key(store, 10)
    worker = Worker(store, limit_id, key_id, await make_boot(store))
    await worker.sync(10)
    assert worker.admit() and worker.admit() and worker.finish()
    async with store.writing() as tx:
        day = datetime.datetime.fromtimestamp(WINDOW_S, datetime.UTC).date()
        assert await limits.reset_day(tx, day) == [(limit_id, WINDOW_S)]
    old = worker.holding
    await worker.sync(1)
    assert worker.holding.lease_id != old.lease_id
    assert worker.holding.generation == old.generation + 1
    worker.finish()
    await worker.settle()
    found = await used(store, limit_id)
    assert found.spent == 0
    assert found.leased == worker.holding.available
    async with store.reading() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(usage)) == 2


async def test_an_overrun_is_a_debt_that_later_grants_pay_first(store: Database) -> None:
    """Tokens spent beyond the reservation are on the books, and no counter goes below zero."""
    key_id, limit_id = await make_key(store, 100, dimension="tokens")
    worker = Worker(store, limit_id, key_id, await make_boot(store))
    await worker.sync(10)
    assert worker.admit(10)
    worker.finish(spent=90)
    await worker.settle()
    found = await used(store, limit_id)
    assert (found.spent, found.leased) == (90, 0)
    debt = -worker.holding.available
    assert debt > 0
    shortage = await worker.sync(debt + 20)
    assert worker.holding.available == 10
    assert shortage == 10
    assert (await used(store, limit_id)).leased == 10


async def test_debts_of_one_lease_do_not_hide_the_units_of_another(store: Database) -> None:
    """Leased is the sum of what leases hold, not of what they hold less what others owe."""
    key_id, limit_id = await make_key(store, 100, dimension="tokens")
    first = Worker(store, limit_id, key_id, await make_boot(store))
    second = Worker(store, limit_id, key_id, await make_boot(store, slot=1))
    await first.sync(10)
    await second.sync(10)
    assert first.admit(10)
    first.finish(spent=first.holding.granted + 40)
    await first.settle()
    assert (await used(store, limit_id)).leased == second.holding.available
    assert await outstanding_of_leases(store, limit_id) == second.holding.available


async def test_a_lease_unknown_to_a_restored_store_is_still_settled(store: Database) -> None:
    """An older backup has neither lease nor counter; the journal brings both back to the books."""
    key_id, limit_id = await make_key(store, 10)
    boot = await make_boot(store)
    async with store.writing() as tx:
        entries = [entry(Use(77, limit_id, WINDOW_S, 3, 1, 1), key_id=key_id)]
        await settle.settle(tx, boot, (0, 0), (0, 9), entries, NOW_MS)
    found = await used(store, limit_id)
    assert (found.generation, found.spent, found.leased) == (3, 1, 0)
    state = await ask(store, boot, limit_id, 20, lease_id=77, granted=5, returned=0)
    assert state.lease_id != 77
    assert (state.granted, state.shortage) == (9, 11)
