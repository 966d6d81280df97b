"""Nodes whose clocks are hours apart, and a store's clock that was set back: nothing is hurried.

PostgreSQL's clock is everybody's there. On SQLite the machine's is, and it never goes back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import sqlalchemy as sa

from tallygate.clock import system_ms
from tallygate.core.credential import Outcome, State
from tallygate.core.credential_commands import NewCredential
from tallygate.keeper import watch
from tallygate.keeper.book import DAY_MS, StoreBook
from tallygate.keeper.watch import Watch
from tallygate.store import credentials
from tallygate.store.credential_checks import Claim, Held, Result, Selection
from tallygate.store.database import Database
from tallygate.store.keeper_schema import credential, keeper_run
from tallygate.store.migrations import migrate

pytestmark = pytest.mark.anyio

RING = bytes(range(32))
HOUR_MS = 3_600_000
OpenAt = Callable[[float], Awaitable[StoreBook]]


@pytest.fixture
async def open_at(store_url: str) -> AsyncIterator[OpenAt]:
    """Keepers on machines whose clocks are off by so many hours."""
    opened: list[Database] = []

    async def make(hours: float) -> StoreBook:
        off_ms = int(hours * HOUR_MS)
        db = Database(store_url, system_clock_ms=lambda: system_ms() + off_ms)
        await db.open()
        await migrate(db)
        opened.append(db)
        book = StoreBook(db, lambda: RING, owner=f"{hours} hours off", grace_ms=7 * DAY_MS)
        await book.set_clock()
        return book

    yield make
    for db in opened:
        await db.close()


async def add(book: StoreBook, token: str) -> int:
    new = NewCredential(kind="baoming", name=token, parts={"secret": token}, given="secret")
    async with book._db.writing() as tx:
        return (await credentials.insert(tx, RING, new, await book.now_ms())).id


async def states(book: StoreBook) -> dict[str, str]:
    async with book._db.reading() as tx:
        return {view.name: view.state.value for view in (await credentials.page(tx))[0]}


async def test_a_machine_days_ahead_deletes_nothing_early(
    open_at: OpenAt, postgresql_url: str
) -> None:
    """Its own clock says that days of grace, and of use, are over: the store's says otherwise."""
    right = await open_at(0)
    if right._db.dialect == "sqlite":
        pytest.skip("on SQLite the machine's clock is the store's: there is no other machine")
    ahead, behind = await open_at(24 * 40), await open_at(-24 * 40)
    dead, alive = await add(right, "dead"), await add(right, "alive")
    run = await ahead.open("all", HOUR_MS)
    held = await ahead.claim(run, dead)
    assert isinstance(held, Claim)
    verdict = Result(id=dead, version=held.version, outcome=Outcome.INVALID, reason="401")
    assert await ahead.finish(run, verdict) is State.QUARANTINED
    held = await behind.claim(await behind.open("all", HOUR_MS), alive)
    assert isinstance(held, Claim)
    for book in (ahead, behind, right):
        assert await book.bury() == []
        assert await book.clean(30, is_dry_run=False) == []
    assert await states(right) == {"dead": "quarantined", "alive": "checking"}
    other = await right.open("all", HOUR_MS)
    assert other.is_joined and await right.claim(other, alive) is Held.BUSY
    waits = [await book.reserve("h:443", 1000) for book in (ahead, behind, right)]
    assert waits[0] < 0.5 < waits[1] < waits[2] < 3, "they keep one distance together"


async def test_a_lease_of_the_future_is_given_up_by_patience(
    open_at: OpenAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock was ahead when a run was killed, and is right again: by its last sign of life that
    run would live for hours, and nobody would look at what it held."""
    monkeypatch.setattr(watch, "PATIENCE_S", 0.05)
    book = await open_at(0)
    number = await add(book, "held")
    dead = await book.open("all", HOUR_MS)
    assert isinstance(await book.claim(dead, number), Claim)
    async with book._db.writing() as tx:
        later = {"alive_ms": keeper_run.c.alive_ms + 5 * HOUR_MS}
        later["since_ms"] = keeper_run.c.since_ms + 5 * HOUR_MS
        await tx.execute(sa.update(keeper_run).values(later))
        claimed = credential.c.claimed_ms + 5 * HOUR_MS
        await tx.execute(sa.update(credential).values(claimed_ms=claimed))
    mine = await book.open("all", HOUR_MS)
    assert not mine.is_joined
    assert [one.id for one in await book.choose(mine, Selection())] == [number]
    patience = Watch(book)
    while await book.claim(mine, number) is Held.BUSY:
        await patience.look(number)
        await asyncio.sleep(0.01)
    assert await states(book) == {"held": "checking"}


async def test_who_goes_on_giving_signs_is_never_given_up(
    open_at: OpenAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long ago by our clock: two who refresh at once would spend a token twice."""
    monkeypatch.setattr(watch, "PATIENCE_S", 0.0)
    book, other = await open_at(0), await open_at(0)
    number = await add(book, "held")
    run = await book.open("all", HOUR_MS)
    assert isinstance(await book.claim(run, number), Claim)
    async with book._db.writing() as tx:
        await tx.execute(sa.update(keeper_run).values(alive_ms=keeper_run.c.alive_ms - HOUR_MS))
    mine = await other.open("mine", HOUR_MS)
    patience = Watch(other)
    for _ in range(5):
        assert await other.claim(mine, number) is Held.BUSY
        await patience.look(number)
        await book.beat(run)


async def test_a_clock_that_is_set_back_is_not_followed_within_a_run(store_url: str) -> None:
    """What the run has reserved and claimed would lie in its own future."""
    off_ms = 0
    db = Database(store_url, system_clock_ms=lambda: system_ms() + off_ms)
    await db.open()
    await migrate(db)
    book = StoreBook(db, lambda: RING, owner="me", grace_ms=1)
    await book.set_clock()
    before_ms = await book.now_ms()
    off_ms = -5 * HOUR_MS
    await book.set_clock()
    assert await book.now_ms() >= before_ms
    await db.close()
