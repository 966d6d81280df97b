"""What somebody has seen of what they were told is theirs, and stays so."""

import msgspec
import pytest

from tallygate.core.budget import LOW_BALANCE, low_balance
from tallygate.store import notices
from tallygate.store.database import Database

pytestmark = pytest.mark.anyio

KINDS = (LOW_BALANCE,)


async def tell(store: Database, *names: str, kind: str = LOW_BALANCE) -> None:
    told = [msgspec.structs.replace(low_balance(name, 1, 2), kind=kind) for name in names]
    async with store.writing() as tx:
        await notices.insert(tx, told, 1_000)


async def new_of(store: Database, name: str) -> int:
    async with store.reading() as tx:
        return await notices.count_unseen(tx, name, KINDS)


async def ids_of(store: Database, name: str) -> list[int]:
    async with store.reading() as tx:
        return [one.id for one in (await notices.page(tx, limit=9, account_id=name))[0]]


async def see(store: Database, name: str, upto_id: int, now_ms: int = 5_000) -> int:
    async with store.writing() as tx:
        return await notices.see(tx, name, upto_id, KINDS, now_ms)


async def test_seeing_one_sees_what_is_older_and_leaves_the_rest(store: Database) -> None:
    await tell(store, "ann", "ann", "bob", "ann")
    await tell(store, "ann", kind="anomaly.volume")  # on another page
    first, second, third = reversed((await ids_of(store, "ann"))[1:])
    assert await new_of(store, "ann") == 3
    assert await see(store, "ann", second) == 2
    assert (await new_of(store, "ann"), await new_of(store, "bob")) == (1, 1)
    assert await see(store, "ann", first) == 0, "nothing becomes unseen, and nothing is seen again"
    assert await see(store, "ann", third, now_ms=9_000) == 1
    async with store.reading() as tx:
        rows, _ = await notices.page(tx, limit=9, account_id="ann")
    assert [one.seen_ms for one in rows] == [None, 9_000, 5_000, 5_000]
    assert await new_of(store, "ann") == 0


async def test_what_takes_the_number_of_a_forgotten_notice_is_new(store: Database) -> None:
    """SQLite gives numbers anew when the last ones are deleted."""
    await tell(store, "ann")
    (only,) = await ids_of(store, "ann")
    await see(store, "ann", only)
    async with store.writing() as tx:
        (one,) = await notices.due(tx, 2_000, 9)
        await notices.finish(tx, one, sent="", error="", next_ms=None)
        await notices.clean(tx, 2_000)
    assert await ids_of(store, "ann") == []
    await tell(store, "ann")
    assert await new_of(store, "ann") == 1
