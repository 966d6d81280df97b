"""What is noted of late and filed later is known all the time, whoever dies in between (SQLite)."""

import random

import pytest
import sqlalchemy as sa

from tallygate.core.usage_report import UsageReport
from tallygate.store import recent_events, settle
from tallygate.store.database import Database
from tallygate.store.recent_events import RecentEvents
from tallygate.store.usage_schema import usage_event, usage_event_recent
from tests.store.books import NOW_MS
from tests.store.test_usage_reports import Journal, begin, intake, make_token, rows, use

pytestmark = pytest.mark.anyio


async def settled(journal: Journal, recent: RecentEvents, *names: str) -> None:
    """By a settler that lives on."""
    uses = [use(event=name) for name in names]
    await journal.settle(uses, recent=recent)


async def file_all(db: Database, recent: RecentEvents) -> None:
    if db.dialect == "sqlite":
        recent.file_soon()
    while recent.is_due:
        await recent.file(db)


async def counts(db: Database) -> tuple[int, int]:
    """Events that are filed, and transactions that noted some which are not."""
    async with db.reading() as tx:
        tables = (usage_event, usage_event_recent)
        filed, noted = [
            int(await tx.scalar(sa.select(sa.func.count()).select_from(table))) for table in tables
        ]
    return filed, noted


async def test_an_event_is_known_before_while_and_after_it_is_filed(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To who noted it, to another settler, and to one that begins anew."""
    monkeypatch.setattr(recent_events, "FILED_MIN", 1)
    await make_token(store, "a")
    journal, other = await begin(store), await begin(store, node="n2")
    recent, others = RecentEvents(), RecentEvents()
    names = [f"e{number}" for number in range(40)]
    await settled(journal, recent, *names)
    if store.dialect == "sqlite":
        assert await counts(store) == (0, 1), "a page or two, and no page for each"
        recent.file_soon()
    while True:
        await settled(journal, recent, *names)
        await settled(other, others, *names)
        await settled(other, RecentEvents(), *names)
        if not recent.is_due:
            break
        await recent.file(store)
    assert await counts(store) == (40, 0)
    assert len(await rows(store)) == 40


async def test_what_is_rolled_back_was_not_told(store: Database) -> None:
    """Otherwise a use whose transaction failed would be taken for its own copy, and be lost."""
    await make_token(store, "a")
    journal, recent = await begin(store), RecentEvents()
    await settled(journal, recent, "e0")
    report = UsageReport("r", 0, [use(event="e1"), use(event="e2")])
    with pytest.raises(ZeroDivisionError):
        async with store.writing() as tx:
            places = (0, journal.place), (0, journal.place + 1)
            await settle.settle(tx, journal.boot_id, *places, [], NOW_MS, [report], recent)
            raise ZeroDivisionError
    assert len(await rows(store)) == 1
    await journal.settle_records(report, recent=recent)
    await settled(journal, recent, "e2")
    assert len(await rows(store)) == 3


@pytest.mark.parametrize("seed", range(4))
async def test_events_count_once_whoever_settles_files_dies_or_is_undone(
    store: Database, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Two settlers, each of which files whenever it likes and forgets all when it dies."""
    rng = random.Random(seed)
    monkeypatch.setattr(recent_events, "FILED_MIN", rng.choice((1, 4, 16)))
    monkeypatch.setattr(recent_events, "HELD_MAX", rng.choice((5, 30)))
    await make_token(store, "a")
    journals = [await begin(store, node=f"n{number}") for number in range(2)]
    memories = [RecentEvents(), RecentEvents()]
    told: set[str] = set()
    for _ in range(60):
        who = rng.randrange(2)
        what = rng.random()
        if what < 0.6:
            names = [f"e{rng.randrange(200)}" for _ in range(rng.randint(1, 12))]
            await settled(journals[who], memories[who], *names)
            told.update(names)
        elif what < 0.7:
            memories[who] = RecentEvents()
        elif what < 0.8 and store.dialect == "sqlite":
            memories[who].file_soon()
        elif memories[who].is_due:
            await memories[who].file(store)
        assert len(await rows(store)) == len(told)
    for memory in memories:
        await file_all(store, memory)
    assert await counts(store) == (len(told), 0)
    counted = await intake(store)
    assert counted["logged", ""].counted == len(told)


async def test_a_round_that_ended_before_its_end_is_gone_through_again(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clerk dies between two slices: the next one files all of them, those that are filed too."""
    monkeypatch.setattr(recent_events, "FILED_MIN", 1)
    await make_token(store, "a")
    journal, recent = await begin(store), RecentEvents()
    await settled(journal, recent, *(f"e{number}" for number in range(64)))
    if store.dialect == "sqlite":
        recent.file_soon()
        await recent.file(store)
        await recent.file(store)
        filed, noted = await counts(store)
        assert 0 < filed < 64
        assert noted == 1, "it goes with the last slice"
    await file_all(store, RecentEvents())
    assert await counts(store) == (64, 0)


async def test_what_is_noted_while_others_are_filed_waits_for_the_next_round(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a round takes away what it filed, and nothing that came meanwhile."""
    monkeypatch.setattr(recent_events, "FILED_MIN", 1)
    await make_token(store, "a")
    journal, recent = await begin(store), RecentEvents()
    await settled(journal, recent, *(f"e{number}" for number in range(64)))
    if store.dialect == "sqlite":
        recent.file_soon()
        await recent.file(store)
    await settled(journal, recent, *(f"f{number}" for number in range(9)))
    while recent.is_due:
        await recent.file(store)
    assert await counts(store) == ((64, 1) if store.dialect == "sqlite" else (73, 0))
    await settled(journal, RecentEvents(), *(f"f{number}" for number in range(9)))
    assert len(await rows(store)) == 73


async def test_a_full_memory_is_filed_unasked(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is bounded, and so is what a start has to read."""
    monkeypatch.setattr(recent_events, "HELD_MAX", 100)
    await make_token(store, "a")
    journal, recent = await begin(store), RecentEvents()
    for start in range(0, 300, 50):
        await settled(journal, recent, *(f"e{number}" for number in range(start, start + 50)))
    assert recent.is_due == (store.dialect == "sqlite")
    while recent.is_due:
        await recent.file(store)
    assert await counts(store) == (300, 0)


def test_every_hash_is_in_one_slice_and_slices_are_in_order() -> None:
    """A slice is filed in the order of its hashes, which are then neighbours in the table."""
    numbers = [recent_events._slice_of(bytes([first, 255])) for first in range(256)]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(recent_events.SLICES))
