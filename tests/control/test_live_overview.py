"""The overview as a stream: sent at once, sent again when it is another, honest when it is not."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tallygate.control import live_overview
from tallygate.control.live_overview import LiveOverview
from tallygate.control.parts import Parts
from tallygate.core.errors import Refusal, StoreUnavailable
from tallygate.store.database import Database
from tests.store.uses import insert, use

pytestmark = pytest.mark.anyio

NOW_MS = 1_770_800_000_000


@contextlib.asynccontextmanager
async def looking(parts: Parts) -> AsyncIterator[AsyncIterator[tuple[str, dict[str, object]]]]:
    """What one who looks is told, for as long as the block lasts."""
    is_ending = False
    watched = replace(parts, is_ending=lambda: is_ending)
    live = LiveOverview(watched, lambda name, error: pytest.fail(f"{name}: {error}"))
    stream = await live.look()

    async def told() -> AsyncIterator[tuple[str, dict[str, object]]]:
        async for piece in stream:
            lines = dict(line.split(": ", 1) for line in piece.decode().splitlines() if line)
            if "event" in lines:
                yield lines["event"], json.loads(lines["data"])

    events = told()
    async with asyncio.timeout(20):
        yield events
        is_ending = True
        async for _ in events:
            pass
    assert len(live.looks) == 0


async def uses_in(event: tuple[str, dict[str, object]]) -> int:
    name, data = event
    assert name == "overview"
    today = data["today"]
    assert isinstance(today, dict)
    return int(today["uses"])


async def test_whoever_looks_sees_a_use_without_asking_again(
    db: Database, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_overview, "EVERY_S", 0.01)
    async with looking(parts) as events:
        assert await uses_in(await anext(events)) == 0
        async with db.writing() as tx:
            await insert(tx, [use(at_ms=NOW_MS - 1000)])
        async for event in events:
            if await uses_in(event) == 1:
                break


async def test_a_store_that_does_not_answer_is_said_and_so_is_its_return(
    db: Database, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the page would show old numbers as if they were of now."""
    monkeypatch.setattr(live_overview, "EVERY_S", 0.01)
    async with looking(parts) as events:
        assert await uses_in(await anext(events)) == 0
        with monkeypatch.context() as broken:
            broken.setattr(db, "clock_ms", _unavailable)
            names = [name async for name in _until(events, "behind")]
        assert set(names) <= {"overview", "behind"}
        assert [name async for name in _until(events, "overview")] == ["overview"]


async def _unavailable() -> int:
    raise StoreUnavailable("away")


async def _until(events: AsyncIterator[tuple[str, object]], wanted: str) -> AsyncIterator[str]:
    async for name, _ in events:
        yield name
        if name == wanted:
            return


async def test_so_many_may_look_at_the_overview(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallygate.control.looks.LOOKING_MAX", 1)
    async with looking(parts) as events:
        await anext(events)
    live = LiveOverview(parts, lambda name, error: None)
    stream = await live.look()
    with pytest.raises(Refusal):
        await live.look()
    async for _ in stream:
        pass
