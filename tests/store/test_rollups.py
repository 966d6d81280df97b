"""Sums of usage: whatever happens, each row is in them once, in the hour and day that it was in."""

import random

import pytest
import sqlalchemy as sa

from tallygate.core.rollup import roll
from tallygate.store import rollup_sweep, rollups, usage
from tallygate.store.database import Database
from tallygate.store.migrations import migrate
from tallygate.store.rollups import Mark
from tallygate.store.schema import usage as usage_rows
from tallygate.store.visible_rows import Fence
from tests.store.uses import (
    HOUR_MS,
    NOW_MS,
    actual,
    expected,
    insert,
    rows_of,
    some_use,
    use,
)

pytestmark = pytest.mark.anyio

ZONES = ("UTC", "Asia/Shanghai", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")


async def mark_of(db: Database) -> Mark:
    async with db.reading() as tx:
        return await rollups.read_mark(tx)


async def count_in(db: Database, zone: str) -> None:
    mark = await mark_of(db)
    async with db.writing() as tx:
        assert await rollup_sweep.set_zone(tx, mark, zone)


async def step(db: Database, mark: Mark, upto_id: int, *, is_killed: bool = False) -> bool:
    """Sum up to there, as a clerk would that read this mark; killed before it could commit."""
    async with db.reading() as tx:
        groups = await rollups.read_groups(tx, mark.usage_id, upto_id)
    try:
        async with db.writing() as tx:
            is_done = await rollups.write(tx, mark, upto_id, roll(groups, mark.zone), NOW_MS)
            if is_killed:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        return False
    return is_done


async def sum_up(db: Database, fence: Fence) -> None:
    async with db.reading() as tx:
        safe_id = await fence.look(tx)
    mark = await mark_of(db)
    if safe_id > mark.usage_id:
        assert await step(db, mark, safe_id)


async def add(db: Database, *rows: dict[str, object]) -> None:
    async with db.writing() as tx:
        await insert(tx, list(rows))


@pytest.mark.parametrize("zone", ZONES)
async def test_sums_are_those_of_the_rows_in_every_zone(store: Database, zone: str) -> None:
    """Also late rows, rows around a change of summer time, and zones off by half an hour."""
    chance = random.Random(zone)
    await count_in(store, zone)
    fence = Fence()
    changes_ms = (1_772_953_200_000, 1_793_512_800_000)  # New York, 2026-03-08 and 2026-11-01
    for _ in range(3):
        rows = [some_use(chance) for _ in range(60)]
        rows += [
            use(at_ms=change_ms + minutes * 60_000)
            for change_ms in changes_ms
            for minutes in range(-90, 91, 15)
        ]
        await add(store, *rows)
        await sum_up(store, fence)
    assert await actual(store) == expected(await rows_of(store), zone)


@pytest.mark.parametrize("seed", range(8))
async def test_any_interleaving_counts_each_row_once(store: Database, seed: int) -> None:
    """Clerks that read the same mark, die before they commit, and rows that come in between."""
    chance = random.Random(seed)
    await count_in(store, "Asia/Kolkata")
    marks = [await mark_of(store)]
    newest = 0
    for _ in range(25):
        what = chance.randrange(4)
        if what == 0:
            rows = [some_use(chance) for _ in range(chance.randrange(1, 80))]
            await add(store, *rows)
            newest += len(rows)
        elif what == 1:
            marks.append(await mark_of(store))
        else:
            mark = chance.choice(marks)
            upto = chance.randint(mark.usage_id, newest)
            before = await mark_of(store)
            is_done = await step(store, mark, upto, is_killed=chance.random() < 0.3)
            assert not is_done or before.usage_id == mark.usage_id, f"seed {seed}"
    assert await step(store, await mark_of(store), newest)
    assert await actual(store) == expected(await rows_of(store), "Asia/Kolkata"), f"seed {seed}"


async def test_a_row_that_commits_late_is_waited_for(postgresql_url: str) -> None:
    """PostgreSQL hands out ids before it is known who commits first: a mark that overtook a
    transaction would lose its rows for ever.
    """
    db = Database(postgresql_url)
    await db.open()
    await migrate(db)
    await count_in(db, "UTC")
    fence = Fence()
    async with db.writing() as slow, db.writing() as undone:
        await insert(slow, [use(key_id=1)])
        await insert(undone, [use(key_id=2)])
        await add(db, use(key_id=3))
        for _ in range(3):
            async with db.reading() as tx:
                assert await fence.look(tx) == 0
        await undone.execute(sa.text("DELETE FROM usage WHERE key_id = 2"))
    await add(db, use(key_id=4))
    await sum_up(db, fence)
    assert fence.safe_id >= 3
    await sum_up(db, fence)
    assert await actual(db) == expected(await rows_of(db), "UTC")
    await db.close()


def test_a_fence_passes_only_what_nobody_can_add_to() -> None:
    """Every writer that was seen must be gone, whoever has come since."""
    fence = Fence()
    fence.advance(5, frozenset({"a", "b"}))
    fence.advance(9, frozenset({"b", "c"}))
    assert fence.safe_id == 0
    fence.advance(12, frozenset({"c", "d"}))  # neither a nor b: up to 5; 12 waits for c and d
    assert fence.safe_id == 5
    fence.advance(15, frozenset({"d", "e"}))
    assert fence.safe_id == 5
    fence.advance(20, frozenset())
    assert fence.safe_id == 20
    fence.advance(20, frozenset({"f"}))
    assert fence.safe_id == 20


@pytest.mark.parametrize(
    ("old", "new"), [("UTC", "Asia/Shanghai"), ("Asia/Tokyo", "Europe/Berlin")]
)
async def test_another_zone_makes_days_anew(store: Database, old: str, new: str) -> None:
    """An operator sets the zone a week after the first start; charts must not mix days."""
    chance = random.Random(new)
    fence = Fence()
    await count_in(store, old)
    await add(store, *(some_use(chance) for _ in range(150)))
    await sum_up(store, fence)
    await count_in(store, new)
    while (mark := await mark_of(store)).sweep_s is not None:
        async with store.reading() as tx:
            day = await rollup_sweep.next_day(tx, mark)
            keys = [] if day is None else await rollup_sweep.keys_of(tx, *day)
        for key_id in keys:
            async with store.writing() as tx:
                assert day is not None
                assert await rollup_sweep.remake_keys(tx, mark, day, [key_id])
                await insert(tx, [some_use(chance)])
            await sum_up(store, fence)  # rows come in while days are made anew
        async with store.writing() as tx:
            assert await rollup_sweep.finish_day(tx, mark, day)
        async with store.writing() as tx:
            assert not await rollup_sweep.finish_day(tx, mark, day), "done once"
    await sum_up(store, fence)
    await sum_up(store, fence)
    assert await actual(store) == expected(await rows_of(store), new)


async def test_rows_go_only_when_they_are_summed_up(store: Database) -> None:
    """Retention that is quicker than the sums would lose what was never counted."""
    await count_in(store, "UTC")
    old_ms = NOW_MS - 100 * 24 * HOUR_MS
    await add(store, *(use(at_ms=old_ms) for _ in range(5)))
    async with store.writing() as tx:
        assert await usage.clean(tx, NOW_MS) == 0
    await step(store, await mark_of(store), 3)
    async with store.writing() as tx:
        assert await usage.count_rows(tx, NOW_MS) == 3
        assert await usage.clean(tx, NOW_MS) == 3
        assert await usage.clean(tx, NOW_MS) == 0


async def test_an_id_is_never_below_the_mark(store: Database) -> None:
    """SQLite uses the highest id again once its row is gone: the next row would never count."""
    await count_in(store, "UTC")
    fence = Fence()
    await add(store, *(use(at_ms=1000) for _ in range(5)))
    await sum_up(store, fence)
    async with store.writing() as tx:
        assert await usage.clean(tx, NOW_MS) == 5
    await add(store, use(key_id=9))
    await sum_up(store, fence)
    sums = (await actual(store))["total_hour"]
    assert sum(one["uses"] for place, one in sums.items() if place[0] == 0) == 6


async def test_a_mark_ahead_of_repaired_rows_comes_back(store: Database) -> None:
    """`db repair` may lose the newest rows; those that come next have their ids."""
    await count_in(store, "UTC")
    await add(store, *(use() for _ in range(5)))
    await step(store, await mark_of(store), 5)
    async with store.writing() as tx:
        await tx.execute(sa.delete(usage_rows).where(usage_rows.c.id > 2))
        await rollups.mend(tx)
    assert (await mark_of(store)).usage_id == (2 if store.dialect == "sqlite" else 5)


async def test_sums_go_when_their_time_is_over(store: Database) -> None:
    """In steps, and none too many: totals have their grain in front of their time."""
    await count_in(store, "UTC")
    fence = Fence()
    day_ms = 24 * HOUR_MS
    await add(store, *(use(at_ms=NOW_MS - n * day_ms, key_id=n + 1) for n in range(6)))
    await sum_up(store, fence)
    before_s = (NOW_MS - 3 * day_ms) // 1000
    for table in (*rollups.HOUR_TABLES, *rollups.DAY_TABLES):
        async with store.writing() as tx:
            while await rollups.clean(tx, table, before_s, limit=2):
                pass
            left = (await tx.execute(sa.select(sa.func.min(table.c.bucket_s)))).scalar_one()
            assert before_s <= left < before_s + 86_400
