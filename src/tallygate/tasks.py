"""The one way to start an asyncio task: named, owned, never forgotten, its failure never silent."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

OnFailure = Callable[[str, BaseException], None]


class Tasks:
    """The tasks of one owner. Closing it cancels them all and waits for their ends."""

    def __init__(self, on_failure: OnFailure) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_failure(task.get_name(), error)

    async def wait(self) -> None:
        """Until all that runs has ended by itself."""
        while self._tasks:
            await asyncio.wait(tasks := list(self._tasks))
            self._tasks.difference_update(tasks)

    async def close(self) -> None:
        """Cancel what runs; a failure while ending is reported like any other."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._tasks.difference_update(tasks)  # their callbacks may only run on the next tick
