"""The one way to start a task."""

import asyncio

import pytest

from tallygate.tasks import Tasks

pytestmark = pytest.mark.anyio


async def test_waiting_lets_every_task_end_by_itself() -> None:
    """A roll-back that was begun is finished before its store closes, never cut short."""
    ended: list[str] = []
    go_on = asyncio.Event()
    tasks = Tasks(lambda name, error: ended.append(f"{name} failed: {error}"))

    async def work() -> None:
        await go_on.wait()
        ended.append("work")
        tasks.start(more(), "more")

    async def more() -> None:
        ended.append("more")

    tasks.start(work(), "work")
    asyncio.get_running_loop().call_soon(go_on.set)
    await tasks.wait()
    assert ended == ["work", "more"] and len(tasks) == 0


async def test_a_failure_is_told_to_the_owner() -> None:
    """Otherwise it would be found in no log."""
    failed: list[str] = []
    tasks = Tasks(lambda name, error: failed.append(f"{name}: {error}"))

    async def fail() -> None:
        raise ValueError("broken")

    tasks.start(fail(), "work")
    await tasks.wait()
    assert failed == ["work: broken"]
