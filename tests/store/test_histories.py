"""Random lives of several workers on one counter: whatever happens, the books stay exact.

Each step is one thing that may happen to a worker: it asks (answers get lost or doubled), admits,
finishes, settles some of its journal, gives back, closes its lease, dies; or an operator resets the
day. A failing seed is in the test's name.
"""

import datetime
import random

import pytest

from tallygate.core.leases import Holding
from tallygate.store import limits, settle
from tallygate.store.database import Database
from tests.store.books import (
    NOW_MS,
    WINDOW_S,
    Worker,
    make_boot,
    make_key,
    outstanding_of_leases,
    used,
)

pytestmark = pytest.mark.anyio

AMOUNT = 40
STEPS = 120
DAY = datetime.datetime.fromtimestamp(WINDOW_S, datetime.UTC).date()


class History:
    """Some workers, one counter, and what an exact observer would have written down."""

    def __init__(self, db: Database, rng: random.Random, key_id: int, limit_id: int) -> None:
        self.db = db
        self.rng = rng
        self.key_id = key_id
        self.limit_id = limit_id
        self.workers: list[Worker] = []
        self.lives = 0
        self.admitted: dict[int, int] = {}  # by generation of the counter

    async def start_worker(self) -> None:
        self.lives += 1
        boot_id = await make_boot(self.db, slot=0, boot=self.lives)
        self.workers.append(Worker(self.db, self.limit_id, self.key_id, boot_id))

    async def step(self, actions: list[str]) -> None:
        worker = self.rng.choice(self.workers)
        match self.rng.choice(actions):
            case "ask":
                times = self.rng.choice((1, 1, 2))
                is_lost = self.rng.random() < 0.2
                await worker.sync(self.rng.randint(0, 6), times=times, is_reply_lost=is_lost)
            case "admit":
                for _ in range(self.rng.randint(1, 4)):
                    self.admit(worker)
            case "finish":
                if worker.running:
                    self.rng.shuffle(worker.running)
                    is_given_back = self.rng.random() < 0.2
                    if is_given_back:
                        self.admitted[worker.running[0][0].generation] -= 1
                    worker.finish(spent=0 if is_given_back else 1)
            case "settle":
                await worker.settle(self.rng)
            case "give back":
                await worker.give_back()
            case "close":
                await worker.close_lease()
            case "die":
                await self.kill(worker)
                await self.start_worker()
            case "reset":
                async with self.db.writing() as tx:
                    await limits.reset_day(tx, DAY)

    def admit(self, worker: Worker) -> bool:
        if not worker.admit():
            return False
        generation = worker.holding.generation
        self.admitted[generation] = self.admitted.get(generation, 0) + 1
        return True

    async def kill(self, worker: Worker, *, is_power_loss: bool = False) -> None:
        """Its successor settles what it journaled and closes its books; twice, to be sure."""
        self.workers.remove(worker)
        await worker.settle()
        for _ in range(2):
            async with self.db.writing() as tx:
                await settle.close_boot(tx, worker.boot_id, worker.admitted, is_power_loss, NOW_MS)

    async def check(self) -> None:
        found = await used(self.db, self.limit_id)
        assert found.spent + found.leased <= AMOUNT
        assert found.leased == await outstanding_of_leases(self.db, self.limit_id)
        assert self.admitted.get(found.generation, 0) <= AMOUNT


async def begin(db: Database, seed: int, workers: int = 3) -> History:
    key_id, limit_id = await make_key(db, AMOUNT)
    history = History(db, random.Random(seed), key_id, limit_id)
    for _ in range(workers):
        await history.start_worker()
    return history


PEACEFUL = ["ask", "ask", "admit", "admit", "finish", "finish", "settle", "give back", "close"]


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_no_more_is_admitted_than_allowed(
    store: Database, seed: int
) -> None:
    """Spent and leased never pass the amount, and at the end exactly what was admitted is spent."""
    history = await begin(store, seed)
    for _ in range(STEPS):
        await history.step([*PEACEFUL, "die", "reset"])
        await history.check()
    for worker in list(history.workers):
        await history.kill(worker)
    found = await used(store, history.limit_id)
    assert found.leased == 0
    assert found.spent == history.admitted.get(found.generation, 0)


@pytest.mark.parametrize("seed", range(6))
async def test_when_nothing_crashes_exactly_the_amount_is_admitted(
    store: Database, seed: int
) -> None:
    """Lost and doubled messages waste nothing: the last unit is found by whoever asks for it."""
    history = await begin(store, seed)
    for _ in range(STEPS):
        await history.step(PEACEFUL)
        await history.check()
    for worker in history.workers:
        while worker.running:
            worker.finish()
        await worker.sync(0)  # hear of what an answer that was lost had granted
        await worker.give_back()
        await worker.settle()
    taker = history.workers[0]
    while not await taker.sync(1) or taker.holding.available:
        while history.admit(taker):
            taker.finish()
        await taker.settle()
    found = await used(store, history.limit_id)
    assert (found.spent, found.leased) == (AMOUNT, 0)
    assert history.admitted[found.generation] == AMOUNT


@pytest.mark.parametrize("seed", range(3))
async def test_a_power_loss_spends_whole_leases_and_never_less_than_was_admitted(
    store: Database, seed: int
) -> None:
    """Slab and journal tail may be gone, so the books assume the worst."""
    history = await begin(store, seed)
    for _ in range(STEPS // 2):
        await history.step(PEACEFUL)
    for worker in list(history.workers):
        worker.journal = worker.journal[: worker.settled]  # the rest was never on disk
        worker.admitted.clear()
        await history.kill(worker, is_power_loss=True)
    found = await used(store, history.limit_id)
    assert history.admitted.get(found.generation, 0) <= found.spent <= AMOUNT
    assert found.leased == 0


@pytest.mark.parametrize(("dimension", "seed"), [("tokens", 0), ("tokens", 1), ("points", 2)])
async def test_overruns_stay_on_the_books(store: Database, dimension: str, seed: int) -> None:
    """Requests that spend more than they reserved: the counter is exact, never negative."""
    key_id, limit_id = await make_key(store, 10_000, dimension=dimension)
    rng = random.Random(seed)
    workers = [
        Worker(store, limit_id, key_id, await make_boot(store, slot=slot)) for slot in range(3)
    ]
    spent = 0
    for _ in range(60):
        worker = rng.choice(workers)
        reservation = rng.randint(1, 300)
        if worker.holding.available < reservation:
            await worker.sync(reservation - worker.holding.available, times=rng.randint(1, 2))
        if worker.admit(reservation):
            spent += worker.finish(spent=rng.randint(0, 600))
        if rng.random() < 0.4:
            await worker.settle(rng)
        if rng.random() < 0.2:
            await worker.give_back()
        found = await used(store, limit_id)
        assert found.leased == await outstanding_of_leases(store, limit_id)
    for worker in workers:
        await worker.settle()
        await worker.close_lease()
        assert worker.holding.lease_id == 0
        worker.holding = Holding(0, 0)
    found = await used(store, limit_id)
    assert (found.spent, found.leased) == (spent, 0)
