"""The keeper's figures for metrics, out of both stores."""

import pytest

from tallygate.core import credential_notices
from tallygate.core.credential import Outcome
from tallygate.store import keeper_alerts, keeper_figures, keeper_runs, notices
from tallygate.store.database import Database
from tests.store.books import NOW_MS
from tests.store.test_credentials import add, begin, claim, end, result

pytestmark = pytest.mark.anyio


async def test_they_tell_what_there_is_and_what_the_last_run_came_to(store: Database) -> None:
    """By kind and state; a run over a few, or one that goes on, is not the last one."""
    async with store.reading() as tx:
        nothing = await keeper_figures.read(tx, NOW_MS)
    assert (nothing.credentials, nothing.last_run, nothing.silent_ms) == ([], None, None)
    dead = await add(store, "a")
    await add(store, "b")
    await add(store, "c", kind="openai-key")
    run = await begin(store, NOW_MS)
    held = await claim(store, run, dead.id, NOW_MS + 1)
    await end(store, run, result(held, Outcome.INVALID), NOW_MS + 2)
    totals = dict(zip(keeper_runs.TOTALS, (3, 1, 1, 1, 0), strict=True))
    died = credential_notices.died(1, "k", "n", "u", "r")
    async with store.writing() as tx:
        await keeper_runs.close_run(tx, run, keeper_runs.OF_ALL, totals, NOW_MS + 500)
        await notices.insert(tx, [died, died], NOW_MS)
        (first, _) = await notices.due(tx, NOW_MS, 9, credential_notices.KINDS)
        await notices.finish(tx, first, sent="webhook", error="", next_ms=None)
    await begin(store, NOW_MS + 600, keeper_runs.OF_THE_DUE)
    async with store.reading() as tx:
        found = await keeper_figures.read(tx, NOW_MS + 2_500)
    assert sorted(found.credentials) == [
        ("baoming", "fresh", 1),
        ("baoming", "quarantined", 1),
        ("openai-key", "fresh", 1),
    ]
    assert found.last_run == {"refreshed": 1, "failed": 1, "quarantined": 1, "deleted": 0}
    assert (found.last_run_ms, found.silent_ms) == (500, 2_000)
    assert found.alerts == [("credential.died", False, 1), ("credential.died", True, 1)]


async def test_only_the_kinds_that_are_named_are_due(store: Database) -> None:
    async with store.writing() as tx:
        await notices.insert(tx, [credential_notices.idle(None, NOW_MS)], NOW_MS)
        assert len(await notices.due(tx, NOW_MS, 9)) == 1
        assert len(await notices.due(tx, NOW_MS, 9, credential_notices.KINDS)) == 1
        assert await notices.due(tx, NOW_MS, 9, ("wallet.low",)) == []


async def test_a_failing_upstream_is_told_once_in_a_while_by_runs_over_a_few(
    store: Database,
) -> None:
    """They come every five minutes while it is down."""
    failing = credential_notices.failing(1, 1, ["no answer"])

    async def count(at_ms: int, *, is_of_few: bool) -> int:
        async with store.writing() as tx:
            await keeper_alerts.tell_failing(tx, failing, at_ms, is_of_few=is_of_few)
            return (await notices.page(tx, limit=99))[1]

    assert await count(NOW_MS, is_of_few=True) == 1
    assert await count(NOW_MS + 300_000, is_of_few=True) == 1
    assert await count(NOW_MS + 300_000, is_of_few=False) == 2
    assert await count(NOW_MS + 300_001 + keeper_alerts.AGAIN_MS, is_of_few=True) == 3


async def test_runs_are_read_page_by_page_the_latest_first(store: Database) -> None:
    """And whether one is under way is asked of its last sign of life."""
    for number in range(3):
        await begin(store, NOW_MS + number)
    async with store.reading() as tx:
        first, total = await keeper_runs.page(tx, limit=2, before_id=None)
        rest, _ = await keeper_runs.page(tx, limit=2, before_id=first[-1].id)
        late_ms = NOW_MS + 2 + keeper_runs.DEAD_MS
        is_running = [
            await keeper_runs.is_running(tx, name, at_ms)
            for name, at_ms in (("all", late_ms - 1), ("all", late_ms), ("due", NOW_MS))
        ]
    assert total == 3
    assert [run.started_ms - NOW_MS for run in (*first, *rest)] == [2, 1, 0]
    assert is_running == [True, False, False]
