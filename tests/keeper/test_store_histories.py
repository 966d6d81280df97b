"""The histories of test_histories.py over the stores themselves, for what a model may get wrong.

Time passes in leaps here, too, but not while the store is at work; so there are few of them.
`TALLYGATE_KEEPER_STORE_HISTORIES=10000` runs as many on each store.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast

import sqlalchemy as sa

from tallygate.core.credential import State
from tallygate.core.credential_commands import NewCredential
from tallygate.keeper.book import DAY_MS, StoreBook
from tallygate.keeper.run import run_once
from tallygate.store import credentials
from tallygate.store.database import Database
from tallygate.store.keeper_schema import credential, keeper_host, keeper_run
from tallygate.store.migrations import migrate
from tests.keeper import test_histories as histories
from tests.keeper.model import ModelStore, Row
from tests.keeper.virtual import VirtualLoop

HISTORIES = int(os.environ.get("TALLYGATE_KEEPER_STORE_HISTORIES", "3"))
RING = bytes(range(32))
EPOCH_MS = 1_770_800_000_000


def loop() -> VirtualLoop:
    return cast(VirtualLoop, asyncio.get_running_loop())


class LoopClock:
    """The store's time: the loop's."""

    def now_ms(self) -> int:
        return EPOCH_MS + int(loop().time() * 1000)


class VirtualBook(StoreBook):
    """While it is at the store no time passes; once it is killed it does nothing more."""

    is_killed = False

    def __init__(self, db: Database, grace_ms: int) -> None:
        super().__init__(db, lambda: RING, owner="simulated", grace_ms=grace_ms)
        self._clock = LoopClock()  # type: ignore[assignment]  # as much of it as a book asks for

    async def set_clock(self) -> None: ...

    async def _patiently(self, work: Callable[..., Awaitable[Any]]) -> Any:
        if self.is_killed:
            await asyncio.Event().wait()
        with loop().at_work():
            return await super()._patiently(work)


async def keep(world: histories.World, db: Database, dies_s: float | None, late_s: float) -> None:
    await asyncio.sleep(late_s)
    book, faults = VirtualBook(db, 7 * DAY_MS), list[BaseException]()
    work = asyncio.ensure_future(
        run_once(
            book,
            histories.KINDS,
            histories.Sender(world, cast(Any, book)),
            histories.WANTED,
            histories.Ears(),
            jitter=world.luck.random,
            concurrency=world.luck.choice([1, 2, 50]),
            on_failure=lambda name, error: faults.append(error),
        )
    )
    await asyncio.wait([work], timeout=dies_s)
    if work.done():
        assert not faults, faults
        work.result()
        return
    book.is_killed = True
    work.cancel()
    with loop().at_work():
        await asyncio.wait([work])
        await db._tasks.wait()


async def furnish(db: Database, store: ModelStore) -> None:
    with loop().at_work():
        async with db.writing() as tx:
            for table in (credential, keeper_run, keeper_host):
                await tx.execute(sa.delete(table))
            for row in store.rows.values():
                (given,) = row.parts
                new = NewCredential(kind=row.kind, name=str(row.id), parts=row.parts, given=given)
                made = await credentials.insert(tx, RING, new, EPOCH_MS)
                values = {"id": row.id, "variables": row.variables}
                values["sealed"] = credentials.seal(RING, row.id, row.parts)
                where = credential.c.id == made.id
                await tx.execute(sa.update(credential).where(where).values(values))


async def observed(db: Database) -> ModelStore:
    """What the store holds now, in the words of the checks."""
    found = ModelStore()
    with loop().at_work():
        async with db.reading() as tx:
            for row in await tx.execute(sa.select(credential)):
                parts = credentials.unseal(RING, row.id, bytes(row.sealed)) if row.sealed else {}
                found.rows[row.id] = Row(row.id, row.kind, "", parts, State(row.state))
            for row in await tx.execute(sa.select(keeper_run)):
                found.runs[row.id] = {"since_ms": row.since_ms}
    return found


async def one_history(db: Database, seed: int) -> None:
    luck = random.Random(seed)
    world, start = histories.settle(luck)
    await furnish(db, start)
    good = world.good | world.single_use
    healthy = {row.id for row in start.rows.values() if good & set(row.parts.values())}
    deaths = [luck.choice([None, luck.uniform(0, 12)]) for _ in range(2)]
    await asyncio.gather(
        keep(world, db, deaths[0], 0.0), keep(world, db, deaths[1], luck.uniform(0, 9))
    )
    for late_s in (0.0, 4000.0):
        await asyncio.sleep(late_s)
        if late_s:
            world.trouble = 0.0
            await keep(world, db, None, 0.0)
        seen = await observed(db)
        histories.check_politeness(world, seen)
        histories.check_windows(world, seen)
        histories.check_the_healthy(world, seen, healthy)
    await asyncio.sleep(8 * DAY_MS / 1000)
    with loop().at_work():
        await VirtualBook(db, 7 * DAY_MS).bury()
    for row in (await observed(db)).rows.values():
        was_killed = any(world.spent[token] > 1 for token in start.rows[row.id].parts.values())
        assert row.state is not State.DELETED or row.id not in healthy or was_killed


async def all_of_them(url: str) -> None:
    db = Database(url)
    with loop().at_work():
        await db.open()
        await migrate(db)
    for seed in range(HISTORIES):
        try:
            await one_history(db, seed)
        except BaseException:
            print(f"seed {seed}")
            raise
    with loop().at_work(), contextlib.suppress(TimeoutError):
        await db.close()


def test_no_healthy_credential_is_given_up_in_either_store(store_url: str) -> None:
    """Nor deleted when the days of grace of the others are over."""
    virtual = VirtualLoop()
    try:
        virtual.run_until_complete(all_of_them(store_url))
    finally:
        virtual.close()
