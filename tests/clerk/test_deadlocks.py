"""Two nodes whose transactions wait for each other: the store undoes one, which is run again.

Money commands may run once only, so they are not repeated when the end of a transaction is unknown.
Here it is known, and whoever asked must not be told that the store is away.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tallygate.clerk.clock import NodeClock
from tallygate.clerk.writer import ATTEMPTS_UNDONE, Writer
from tallygate.core.errors import StoreUnavailable, TransactionUndone
from tallygate.core.wallet import EntryKind
from tallygate.store import wallets
from tallygate.store.database import Database, Tx
from tests.clerk.conftest import prepare
from tests.store.purse import NOW_MS, POINT, differences, insert_account

pytestmark = pytest.mark.anyio

Job = Callable[[Tx, int], Awaitable[None]]


class Meeting:
    """Both have taken their first wallet before either asks for its second."""

    def __init__(self) -> None:
        self.arrived = 0
        self.is_complete = asyncio.Event()

    async def attend(self) -> None:
        self.arrived += 1
        if self.arrived == 2:
            self.is_complete.set()
        await self.is_complete.wait()


def give(account_id: str, before: Meeting | None = None, after: Meeting | None = None) -> Job:
    """A point, with a meeting around the wallet's lock."""

    async def work(tx: Tx, _: int) -> None:
        if before is not None:
            await before.attend()
        wallet = (await wallets.lock_of(tx, [account_id], NOW_MS))[account_id]
        wallet.credit(EntryKind.TOP_UP, POINT, NOW_MS)
        await wallets.write(tx, [wallet])
        if after is not None:
            await after.attend()

    return work


def both(first: str, second: str, meeting: Meeting) -> Job:
    async def work(tx: Tx, now_ms: int) -> None:
        await give(first, after=meeting)(tx, now_ms)
        await give(second)(tx, now_ms)

    return work


@asynccontextmanager
async def writers(url: str) -> AsyncIterator[tuple[Writer, Writer]]:
    databases = [Database(url) for _ in range(2)]
    tasks = []
    made = []
    for db in databases:
        await db.open()
        writer = Writer(db, NodeClock(db))
        tasks.append(asyncio.create_task(writer.run()))
        made.append(writer)
    yield made[0], made[1]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for db in databases:
        await db.close()


async def balances(db: Database) -> dict[str, int]:
    async with db.writing() as tx:
        found = await wallets.lock_of(tx, ["ann", "bob"], NOW_MS)
    return {name: wallet.balance_micros for name, wallet in found.items()}


@pytest.fixture
async def shared(postgresql_url: str) -> AsyncIterator[Database]:
    """A store of several nodes, with two wallets."""
    await prepare(postgresql_url)
    db = Database(postgresql_url)
    await db.open()
    async with db.writing() as tx:
        for name in ("ann", "bob"):
            await insert_account(tx, name)
    yield db
    await db.close()


async def test_a_job_that_closed_a_circle_is_run_again(
    postgresql_url: str, shared: Database
) -> None:
    """Neither may be repeated when its end is unknown; both are done once."""
    meeting = Meeting()
    async with writers(postgresql_url) as (one, other):
        await asyncio.gather(
            one.do("one", both("ann", "bob", meeting)),
            other.do("other", both("bob", "ann", meeting)),
        )
        assert one.is_available and other.is_available
    assert meeting.arrived == 3  # one of them began anew
    assert await balances(shared) == {"ann": 2 * POINT, "bob": 2 * POINT}
    assert await differences(shared) == []


async def test_jobs_that_share_a_transaction_are_run_one_by_one_when_it_is_undone(
    postgresql_url: str, shared: Database
) -> None:
    """Each locks one wallet; only together do they lock two, in whatever order they came."""
    meeting = Meeting()
    async with writers(postgresql_url) as (one, other):
        await asyncio.gather(
            one.do("1", give("ann", after=meeting)),
            one.do("2", give("bob")),
            other.do("3", give("bob", after=meeting)),
            other.do("4", give("ann")),
        )
    assert await balances(shared) == {"ann": 2 * POINT, "bob": 2 * POINT}
    assert await differences(shared) == []


async def test_what_is_undone_again_and_again_is_given_up(store: Database) -> None:
    """And nobody else is: the store is there."""
    writer = Writer(store, NodeClock(store))
    running = asyncio.create_task(writer.run())
    tries = 0

    async def unlucky(tx: Tx, _: int) -> None:
        nonlocal tries
        tries += 1
        raise TransactionUndone("again")

    async def lucky(tx: Tx, _: int) -> str:
        return "done"

    told = await asyncio.gather(
        writer.do("a", lucky), writer.do("b", unlucky), return_exceptions=True
    )
    assert told[0] == "done"
    assert isinstance(told[1], StoreUnavailable)
    assert tries == ATTEMPTS_UNDONE + 1  # once together with the other
    assert await writer.do("c", lucky) == "done"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
