"""Random histories of money, with duplicates, reorderings and crashes between any two writes.

After each history the ledger's own check finds nothing, and an observer who wrote down only what he
was answered comes to the same balances. A failing one names its seed; `TALLYGATE_SIM_SEED=7` runs
that one alone, `TALLYGATE_SIM_HISTORIES=5000` that many.
"""

import os

import pytest

from tallygate.store.database import Database
from tests.sim.world import World
from tests.store.purse import differences

pytestmark = pytest.mark.anyio

HISTORIES = int(os.environ.get("TALLYGATE_SIM_HISTORIES", "30"))
SEED = os.environ.get("TALLYGATE_SIM_SEED")
STEPS = 40
IN_ONE_STORE = 30


def portions() -> list[range]:
    """Seeds that share a store: checking all of it after each must not take ever longer."""
    if SEED is not None:
        return [range(int(SEED), int(SEED) + 1)]
    return [
        range(start, min(start + IN_ONE_STORE, HISTORIES))
        for start in range(0, HISTORIES, IN_ONE_STORE)
    ]


@pytest.mark.parametrize("seeds", portions(), ids=lambda seeds: f"seeds-{seeds[0]}-{seeds[-1]}")
async def test_whatever_happens_the_books_are_right(store: Database, seeds: range) -> None:
    """Sums, running balances, holds, grants, one charge an event, every charge replayed."""
    died = 0
    for seed in seeds:
        world = await World.begin(store, seed)
        try:
            for _ in range(STEPS):
                await world.step()
            await world.check()
            assert [str(one) for one in await differences(store)] == []
        except BaseException:
            told = ", ".join(world.steps)
            print(f"TALLYGATE_SIM_SEED={seed} replays it, on {store.dialect}: {told}")
            raise
        died += world.writer.died
    assert died, "a simulation without a crash shows half of it"


async def test_a_history_is_the_same_each_time(store: Database) -> None:
    """Otherwise a seed that failed would tell nobody anything."""
    worlds = []
    for name in ("first", "second"):
        world = await World.begin(store, 7, name=name)
        for _ in range(STEPS):
            await world.step()
        worlds.append(world)
    one, other = worlds
    assert one.steps == other.steps
    assert list(one.given.values()) == list(other.given.values())
    assert one.writer.died == other.writer.died
