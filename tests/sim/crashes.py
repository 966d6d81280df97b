"""A writer whose transactions may end between any two statements, or just after their commit."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

from tallygate.store.database import Database, Tx

STATEMENTS_MAX = 24  # of one command; a crash further on is one before its commit
_COUNTED = {"execute", "read_all", "scalar", "later", "insert_many", "update_all", "write_all"}


class Crash(Exception):
    """The process died here: what was not committed never was."""


class Failing:
    """A transaction that dies at its n-th statement."""

    def __init__(self, tx: Tx, left: int) -> None:
        self._tx = tx
        self._left = left

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._tx, name)
        if name not in _COUNTED:
            return found

        async def counted(*words: Any, **named: Any) -> Any:
            if self._left == 0:
                raise Crash
            self._left -= 1
            return await found(*words, **named)

        return counted


class CrashingWriter:
    """Stands for the clerk's writer: one transaction a job, `rng` says which of them die."""

    def __init__(self, db: Database, rng: random.Random, crashes: float) -> None:
        self.db = db
        self.rng = rng
        self.crashes = crashes
        self.now_ms = 0
        self.died = 0

    async def do(self, _: str, run: Callable[[Any, int], Awaitable[Any]], **__: Any) -> Any:
        """Commit or Crash. What dies after its commit has happened, and nobody heard of it."""
        dies = self.rng.random() < self.crashes
        at = self.rng.randrange(STATEMENTS_MAX) if dies else -1
        try:
            async with self.db.writing() as tx:
                value = await run(Failing(tx, at) if dies else tx, self.now_ms)
                if dies and self.rng.random() < 0.5:
                    raise Crash
        except Crash:
            self.died += 1
            raise
        if dies:
            self.died += 1
            raise Crash
        return value
