"""What the rest of the store sees of a transaction, whichever store it is of.

`later` and `insert_many` are for writes whose outcome nobody reads: a store may do them together
with the next statement that has an answer, at the latest with COMMIT. One that fails fails whatever
it was done with, and nothing of the transaction, or of the savepoint it is in, remains.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

ROLLBACK_DEADLINE_S = 2.0

# Values are whatever a column takes, which SQLAlchemy does not type either.
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
Rows = Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class BulkRead:
    """A read as each store takes it. A list of names is a JSON array to one, an array to the other:

    `IN (SELECT value FROM json_each(?))`, and `= ANY ($1)`. `is_locking`: reads after it are to see
    what others did before they let go of the rows.
    """

    sqlite: str
    postgresql: str
    is_locking: bool = False


Read = tuple[BulkRead, tuple[Any, ...]]  # with its parameters


def require_all(changed: int, rows: Sequence[object]) -> None:
    assert changed == len(rows), "a row was changed that was not locked"


@dataclass(frozen=True, slots=True)
class BulkChange:
    """A change of many rows as each store takes it: parameters of one row, or whole columns."""

    sqlite: str
    postgresql: str


@dataclass(frozen=True, slots=True)
class BulkWrite:
    """A write of many rows as each store takes it when it is done together with others.

    SQLite has parameters of one row; PostgreSQL a JSON array of rows, each an array, as `$1`.
    """

    sqlite: str
    postgresql: str


def inserting(table: sa.Table, columns: Sequence[str]) -> BulkWrite:
    """Rows of numbers, texts and truth values, as tuples of these columns."""
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    values = json_columns([(table.c[name].type, None) for name in columns])
    return BulkWrite(
        f"INSERT INTO {table.name} ({names}) VALUES ({marks})",  # noqa: S608 - names of our schema
        f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {JSON_ROWS}",  # noqa: S608
    )


JSON_ROWS = "jsonb_array_elements($1::jsonb) AS one_row"


def json_columns(columns: Sequence[tuple[sa.types.TypeEngine[Any], str | None]]) -> str:
    """The values of a row of `JSON_ROWS`, of these types and by these names."""
    return ", ".join(
        f"(one_row->>{number})::{kind.compile()}" + (f" AS {name}" if name else "")
        for number, (kind, name) in enumerate(columns)
    )


Write = tuple[BulkWrite, Sequence[Sequence[Any]]]  # with its rows


class Tx(ABC):
    """One transaction: thin over SQLAlchemy, plus savepoints and a bulk path."""

    __slots__ = ("_deadline_s", "_savepoints", "dialect")

    def __init__(self, dialect: str, deadline_s: float) -> None:
        self.dialect = dialect
        self._deadline_s = deadline_s  # of one statement
        self._savepoints = 0

    @abstractmethod
    async def execute(
        self, statement: sa.Executable, parameters: Parameters = None
    ) -> sa.CursorResult[Any]: ...

    @abstractmethod
    async def read_all(self, reads: Sequence[Read]) -> list[list[Sequence[Any]]]:
        """The rows of several reads that do not depend on each other, in this order, by the
        driver itself."""

    async def scalar(self, statement: sa.Executable, parameters: Parameters = None) -> Any:
        return (await self.execute(statement, parameters)).scalar()

    @abstractmethod
    async def later(self, statement: sa.Executable, parameters: Parameters = None) -> None: ...

    async def insert_many(
        self, table: sa.Table, rows: Rows, columns: Sequence[str] | None = None
    ) -> None:
        """Insert many rows by the driver itself; tuples go with the names of their columns."""
        if not rows:
            return
        names = tuple(rows[0]) if columns is None else columns
        tuples: list[Any] = list(rows)
        if isinstance(rows[0], Mapping):
            tuples = [tuple(row[name] for name in names) for row in tuples]
        await self._insert(table.name, names, tuples)

    @abstractmethod
    async def _insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None: ...

    async def update_all(self, change: BulkChange, rows: Sequence[Sequence[Any]]) -> None:
        """Run one guarded change for many rows by the driver itself.

        Each of them must be there as the guard says, or the transaction fails. Like rows that are
        inserted, they may be changed together with the next statement that has an answer.
        """
        if rows:
            await self._update(change, rows)

    @abstractmethod
    async def _update(self, change: BulkChange, rows: Sequence[Sequence[Any]]) -> None: ...

    async def write_all(self, writes: Sequence[Write]) -> None:
        """Several of them that do not depend on each other. Each row must be written, as those of
        `update_all` must, and so they may be written together with what comes next.
        """
        if some := [one for one in writes if one[1]]:
            await self._write(some)

    @abstractmethod
    async def _write(self, writes: Sequence[Write]) -> None: ...

    @abstractmethod
    async def run_sync(self, function: Callable[[sa.Connection], Any]) -> Any:
        """For Alembic, which speaks only to synchronous connections."""

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What is done inside is undone alone if it raises."""
        self._savepoints += 1
        name = f"inner_{self._savepoints}"
        await self._set_savepoint(name)
        try:
            yield
            await self._release(name)
        except Exception:
            await self._undo_to(name)
            raise

    @abstractmethod
    async def _set_savepoint(self, name: str) -> None: ...

    @abstractmethod
    async def _release(self, name: str) -> None: ...

    @abstractmethod
    async def _undo_to(self, name: str) -> None: ...

    @abstractmethod
    async def begin(self) -> None: ...

    @abstractmethod
    async def commit(self) -> None: ...

    @abstractmethod
    async def give_back(self) -> None:
        """After COMMIT: the connection is another's."""

    @abstractmethod
    async def roll_back(self) -> None:
        """Instead of COMMIT, whatever state things are in; the connection is given back."""


class Connections(ABC):
    """The connections of one process to one store."""

    @abstractmethod
    async def open(self, *, may_create: bool) -> None: ...

    @abstractmethod
    async def take(self, deadline_s: float | None, *, is_writing: bool) -> Tx:
        """A transaction that is not begun yet, on a connection of its own."""

    @abstractmethod
    async def close(self) -> None: ...
