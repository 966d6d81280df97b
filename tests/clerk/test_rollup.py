"""A clerk keeps the sums of usage up to date, whoever else does, and keeps no rows for too long."""

import asyncio
import random

import pytest
import sqlalchemy as sa

from tallygate.clerk import rollup
from tallygate.clerk.rollup import Roller
from tallygate.core.commands import CleanUsage
from tallygate.store import rollups
from tallygate.store.schema import usage
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node
from tests.store.uses import HOUR_MS, actual, expected, insert, rows_of, some_use, use

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_rounds_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say when."""

    async def never(_: Roller) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Roller, "run", never)


def another(node: Node, zone: str = "UTC") -> Roller:
    options = node.clerk.options
    assert options.time_zone == zone
    return Roller(node.clerk.db, node.clerk.clock, node.clerk.writer, options)


async def test_a_round_sums_up_all_there_is(
    any_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In steps whose size finds itself."""
    monkeypatch.setattr(rollup, "ROWS_MIN", 7)
    chance = random.Random(1)
    roller = another(any_node)
    for _ in range(3):
        async with any_node.db.writing() as tx:
            await insert(tx, [some_use(chance) for _ in range(100)])
        assert await roller.catch_up()
        assert await roller.catch_up(), "nothing to do is no sign of somebody else"
    assert await actual(any_node.db) == expected(await rows_of(any_node.db), "UTC")
    assert roller.behind == 0


async def test_nodes_that_sum_up_at_once_count_once(any_node: Node) -> None:
    """Every node does it: who comes too late leaves it to the other."""
    chance = random.Random(2)
    rollers = [another(any_node) for _ in range(3)]
    for _ in range(5):
        async with any_node.db.writing() as tx:
            await insert(tx, [some_use(chance) for _ in range(300)])
        await asyncio.gather(*(roller.catch_up() for roller in rollers))
    for roller in rollers:
        await roller.catch_up()
        await roller.catch_up()
    assert await actual(any_node.db) == expected(await rows_of(any_node.db), "UTC")


async def test_a_start_with_another_zone_makes_days_anew(make_node: MakeNode) -> None:
    """And a node that was told a different one does not turn it back in every round."""
    chance = random.Random(3)
    one = await make_node("one")
    async with one.db.writing() as tx:
        await insert(tx, [some_use(chance) for _ in range(200)])
    first = another(one)
    await first.catch_up()
    two = await make_node("two", time_zone="Asia/Shanghai")
    await two.clerk.roller.catch_up()
    await first.catch_up()
    await first.catch_up()
    assert await actual(one.db) == expected(await rows_of(one.db), "Asia/Shanghai")


async def test_usage_is_kept_as_long_as_the_settings_say(make_node: MakeNode) -> None:
    """Rows, hours and days each have a time of their own; 0 is for ever."""
    node = await make_node(usage_keep_days=2, rollup_hours_keep_days=4, rollup_days_keep_days=0)
    now_ms = node.clerk.clock.now_ms()
    async with node.db.writing() as tx:
        await insert(tx, [use(at_ms=now_ms - (n * 24 + 1) * HOUR_MS) for n in range(9, -1, -1)])
    roller = another(node)
    await roller.clean()
    assert len(await rows_of(node.db)) == 10, "nothing goes that is not summed up"
    await roller.catch_up()
    await roller.clean()
    assert len(await rows_of(node.db)) == 2
    sums = await actual(node.db)
    assert len(sums["rollup_hour"]) in (4, 5)
    assert len(sums["rollup_day"]) == 10


async def test_cleaning_by_command_counts_first_what_it_deletes(any_node: Node) -> None:
    """Without a server nobody has summed up what an import brought."""
    async with any_node.db.writing() as tx:
        await insert(tx, [use(at_ms=1000), use(at_ms=2000), use(at_ms=3000)])
    done = await any_node.command(CleanUsage(older_than_days=30))
    assert done == {"deleted": 3}
    async with any_node.db.reading() as tx:
        table = rollups.HOUR_TABLES[0]
        assert await tx.scalar(sa.select(sa.func.sum(table.c.uses))) == 3
        assert await tx.scalar(sa.select(sa.func.count()).select_from(usage)) == 0
