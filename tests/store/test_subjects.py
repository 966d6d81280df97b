"""Feed, nodes, days and cleaning: the smaller subjects of the store."""

import asyncio
import datetime

import pytest

from tallygate.core.rollup import roll
from tallygate.core.windows import Span, window_at
from tallygate.store import feed, keys, limits, nodes, rollup_sweep, rollups, settle, usage
from tallygate.store.database import Database
from tests.store.books import NOW_MS, WINDOW_S, ask, entry, make_boot, make_key, used

pytestmark = pytest.mark.anyio

ALL_ROWS = 1_000_000  # an id beyond them all

DAY = datetime.datetime.fromtimestamp(WINDOW_S, datetime.UTC).date()


async def test_feed_numbers_become_visible_in_their_order(store: Database) -> None:
    """A clerk that has read number n must never find a smaller one later."""

    async def append(subject: int) -> None:
        async with store.writing() as tx:
            await feed.append(tx, "key", subject, 0, "n1", NOW_MS)

    await asyncio.gather(*(append(subject) for subject in range(8)))
    async with store.reading() as tx:
        events, oldest = await feed.read_since(tx, 0)
        assert await feed.latest(tx) == 8
    assert [event.seq for event in events] == list(range(1, 9))
    assert sorted(event.subject for event in events) == list(range(8))
    assert oldest == 1


async def test_a_feed_event_of_a_failed_transaction_was_never_there(store: Database) -> None:
    """Its number is given to the next one: readers wait for no gap."""
    with pytest.raises(RuntimeError):
        async with store.writing() as tx:
            await feed.append(tx, "key", 1, 0, "n1", NOW_MS)
            raise RuntimeError("killed")
    async with store.writing() as tx:
        assert await feed.append(tx, "limit", 2, 3, "n1", NOW_MS) == 1


async def test_a_reader_sees_that_it_missed_events(store: Database) -> None:
    """A cursor older than what is kept must flush every cache."""
    async with store.writing() as tx:
        for number in range(4):
            await feed.append(tx, "key", number, 0, "n1", NOW_MS + number)
        assert await feed.prune(tx, NOW_MS + 2) == 2
        assert (await feed.read_since(tx, 2))[1] == 3
        assert [event.seq for event in (await feed.read_since(tx, 3, limit=1))[0]] == [4]
        await feed.prune(tx, NOW_MS + 9)
        assert await feed.read_since(tx, 4) == ([], 5)


async def test_a_worker_that_says_hello_again_finds_its_watermark(store: Database) -> None:
    """After a reconnect its journal goes on where it was settled to."""
    boot_id = await make_boot(store)
    async with store.writing() as tx:
        await settle.settle(tx, boot_id, (0, 0), (2, 99), [entry()], NOW_MS)
        again = await nodes.register_boot(tx, "n1", 0, 1, NOW_MS + 5)
        assert (again.id, again.watermark, again.started_ms) == (boot_id, (2, 99), NOW_MS)
        assert (await nodes.register_boot(tx, "n1", 0, 2, NOW_MS)).id != boot_id


async def test_a_node_only_ever_gets_ahead(store: Database) -> None:
    """Barriers and heartbeats that arrive late take nothing back."""
    async with store.writing() as tx:
        await nodes.register_node(tx, "n", "old name", NOW_MS)
        await nodes.register_node(tx, "n", "name", NOW_MS + 1)
        for seq in (7, 3):
            await nodes.set_settled(tx, "n", seq)
            await nodes.heartbeat(tx, "n", NOW_MS + seq)
        (found,) = await nodes.list_nodes(tx)
    assert (found.name, found.settled_seq) == ("name", 7)
    assert (found.first_seen_ms, found.last_seen_ms) == (NOW_MS, NOW_MS + 7)


async def test_a_day_shows_every_key_with_what_it_used(store: Database) -> None:
    """Unused keys are there with 0 and nothing, deleted ones are not."""
    key_id, limit_id = await make_key(store, 10)
    unused, _ = await make_key(store, None)
    deleted, _ = await make_key(store, 10)
    boot = await make_boot(store)
    state = await ask(store, boot, limit_id, 3)
    uses = entry(_use(state.lease_id, limit_id), key_id=key_id)
    async with store.writing() as tx:
        await keys.delete(tx, deleted, NOW_MS)
        await settle.settle(tx, boot, (0, 0), (0, 1), [uses], NOW_MS)
        day = await usage.day_usage(tx, DAY)
        other = await usage.day_usage(tx, DAY + datetime.timedelta(days=1))
    shown = [(row.key_id, row.requests, row.updated_ms, row.daily_limit) for row in day]
    assert shown == [(key_id, 1, NOW_MS, 10), (unused, 0, None, None)]
    assert [(row.requests, row.updated_ms) for row in other] == [(0, None), (0, None)]


def _use(lease_id: int, limit_id: int, window_s: int = WINDOW_S) -> settle.Use:
    return settle.Use(lease_id, limit_id, window_s, 1, 1, 1)


async def test_a_reset_clears_a_day_in_each_limits_own_zone(store: Database) -> None:
    """The day of a key in Taipei begins eight hours before the day of one in London."""
    _, in_utc = await make_key(store, 10)
    async with store.writing() as tx:
        key_id = await keys.insert_key(tx, kind="roc", label="", now_ms=NOW_MS)
        (in_taipei,) = await limits.set_daily(tx, key_id, 10, "Asia/Taipei", NOW_MS)
    taipei_s, _ = window_at(Span.DAY, "Asia/Taipei", WINDOW_S)
    boot = await make_boot(store)
    entries = [
        entry(*(_use(0, in_utc, window) for window in (WINDOW_S, WINDOW_S - 86_400))),
        entry(*(_use(0, in_taipei, window) for window in (taipei_s, taipei_s + 86_400))),
    ]
    async with store.writing() as tx:
        await settle.settle(tx, boot, (0, 0), (0, 1), entries, NOW_MS)
    async with store.writing() as tx:
        cleared = await limits.reset_day(tx, DAY)
    assert cleared == [(in_utc, WINDOW_S), (in_taipei, taipei_s)]
    async with store.reading() as tx:
        left = [
            (await limits.used(tx, limit_id, window_s)).spent
            for limit_id, window_s in (
                *((in_utc, WINDOW_S), (in_utc, WINDOW_S - 86_400)),
                *((in_taipei, taipei_s), (in_taipei, taipei_s + 86_400)),
            )
        ]
    assert left == [0, 1, 0, 1]
    assert (await used(store, in_utc)).generation == 2


async def test_old_usage_is_cleaned_in_steps_and_counters_stay(store: Database) -> None:
    """A year of rows must not hold the writer's lock until all of them are gone."""
    key_id, limit_id = await make_key(store, None)
    boot = await make_boot(store)
    entries = [
        entry(_use(0, limit_id), key_id=key_id, number=number, at_ms=NOW_MS + number)
        for number in range(5)
    ]
    async with store.writing() as tx:
        await settle.settle(tx, boot, (0, 0), (0, 1), entries, NOW_MS)
        assert await usage.count_rows(tx) == 5
        assert await usage.clean(tx, NOW_MS + 3) == 0  # what is not summed up yet stays
        assert await rollup_sweep.set_zone(tx, await rollups.read_mark(tx), "UTC")
        mark = await rollups.read_mark(tx)
        groups = await rollups.read_groups(tx, mark.usage_id, ALL_ROWS)
        assert await rollups.write(tx, mark, ALL_ROWS, roll(groups, mark.zone), NOW_MS)
        assert await usage.count_rows(tx, NOW_MS + 3) == 3
        assert [await usage.clean(tx, NOW_MS + 3, limit=2) for _ in range(3)] == [2, 1, 0]
        assert await usage.count_rows(tx) == 2
    assert (await used(store, limit_id)).spent == 5
