"""Charges as rows: found by the names of their events, written many at a time.

A charge is changed only by whoever has locked its wallet. The names of events are unique in the
store: when two nodes record one event for two wallets at once, the second one's transaction fails
as a whole (`Raced`), and when it is run again it finds the charge.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Final

import asyncpg
import msgspec
import sqlalchemy as sa

from tallygate.core.charging import Known, Source, State, Told
from tallygate.core.errors import StoreUnavailable
from tallygate.store.database import Tx
from tallygate.store.money_schema import charge, event_alias
from tallygate.store.tx import BulkRead, Read, Write
from tallygate.store.tx import inserting as inserting_into

_NAMES_MAX: Final = 500  # in one IN list

Alias = tuple[str, str, str]  # instance, kind, id


class Raced(StoreUnavailable):
    """Another node recorded the same event meanwhile: run the transaction again."""


class Row(msgspec.Struct, kw_only=True):
    """A charge as it stands in the table; the order of the fields is that of the columns."""

    id: int
    tenant_id: int
    account_id: str
    wallet_id: int | None
    state: str
    source: str
    instance: str
    model: str
    price_id: int | None
    rate_id: int | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    micros: int
    output_micros: int
    refunded_micros: int
    balance_micros: int
    key_id: int
    request_id: str
    conversation_id: str
    message_id: str
    parts: str | None
    reports: str | None
    event_ms: int
    at_ms: int

    @property
    def told(self) -> Told:
        return Told(self.account_id, self.model, self.input_tokens, self.output_tokens)

    @property
    def known(self) -> Known:
        return Known(
            id=self.id,
            state=State(self.state),
            source=Source(self.source),
            told=self.told,
            reports=read_reports(self.reports),
            micros=self.micros,
            refunded_micros=self.refunded_micros,
        )

    def report(self, reporter: str, told: Told) -> None:
        """Remember what somebody else said of it."""
        reports = read_reports(self.reports) | {reporter: told}
        self.reports = msgspec.json.encode(reports, order="sorted").decode()


class Part(msgspec.Struct, array_like=True):
    """One model of an event that used several, under the version that it was computed with."""

    model: str
    price_id: int
    counts: dict[str, int]


COLUMNS: Final = Row.__struct_fields__
_SELECTED: Final = tuple(charge.c[name] for name in COLUMNS)
_ALIASES: Final = ("instance", "kind", "event_id", "tenant_id", "charge_id")
_NAME: Final = inserting_into(event_alias, _ALIASES)
_INSERT: Final = inserting_into(charge, COLUMNS)
_reports = msgspec.json.Decoder(dict[str, Told])
_parts = msgspec.json.Decoder(list[Part])


def read_reports(text: str | None) -> dict[str, Told]:
    return _reports.decode(text) if text else {}


def read_parts(text: str | None) -> list[Part]:
    return _parts.decode(text) if text else []


def row_of(found: Sequence[Any]) -> Row:
    """A row of the store that has our columns, in their order."""
    return Row(**dict(zip(COLUMNS, found, strict=True)))


def finding(aliases: Iterable[Alias]) -> list[Read]:
    """What finds the charges that bear any of these names; `found` reads the rows."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for instance, kind, event_id in aliases:
        wanted.setdefault((instance, kind), set()).add(event_id)
    return [(_FIND, (instance, kind, list(ids))) for (instance, kind), ids in wanted.items()]


async def found(tx: Tx, answers: Iterable[Sequence[Sequence[Any]]]) -> dict[Alias, Row]:
    """One object for each charge, whatever it was found by."""
    ids: dict[Alias, int] = {}
    for instance, kind, event_id, charge_id in chain.from_iterable(answers):
        ids[instance, kind, event_id] = charge_id
    rows = await read_many(tx, ids.values()) if ids else {}
    return {alias: rows[charge_id] for alias, charge_id in ids.items()}


_FIND: Final = BulkRead(
    "SELECT instance, kind, event_id, charge_id FROM event_alias"
    " WHERE instance = ? AND kind = ? AND event_id IN (SELECT value FROM json_each(?))",
    # One look into the index for each, whatever the planner believes of a table that grows faster
    # than its statistics: it would read all names of the instance to find fifty.
    "SELECT found.* FROM unnest($3::text[]) AS wanted (name) CROSS JOIN LATERAL"
    " (SELECT instance, kind, event_id, charge_id FROM event_alias"
    " WHERE instance = $1 AND kind = $2 AND event_id = wanted.name LIMIT 1) AS found",
)


async def read_many(tx: Tx, charge_ids: Iterable[int]) -> dict[int, Row]:
    rows: dict[int, Row] = {}
    rest = iter(sorted(set(charge_ids)))
    while some := list(islice(rest, _NAMES_MAX)):
        for found in await tx.execute(sa.select(*_SELECTED).where(charge.c.id.in_(some))):
            rows[found.id] = row_of(found)
    return rows


async def read(tx: Tx, charge_id: int) -> Row | None:
    return (await read_many(tx, [charge_id])).get(charge_id)


def inserting(rows: Sequence[Row], aliases: Sequence[tuple[Alias, Row]]) -> list[Write]:
    """New charges and the names of their events; whoever writes them does it within `racing`."""
    # Whoever inserts the same names does so in the same order, so nobody waits in a circle.
    named = sorted(aliases, key=itemgetter(0))
    return [
        (_NAME, [(*alias, row.tenant_id, row.id) for alias, row in named]),
        (_INSERT, [msgspec.structs.astuple(row) for row in rows]),
    ]


@contextmanager
def racing() -> Iterator[None]:
    """Around writing new names."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.table_name != event_alias.name:
            raise
        raise Raced("another node recorded the same event meanwhile") from error


async def move(tx: Tx, moved: Iterable[tuple[Alias, int, Row]]) -> None:
    """Names that a charge had go to another one, unless somebody else has moved them meanwhile."""
    for (instance, kind, event_id), charge_id, row in moved:
        change = sa.update(event_alias).where(
            event_alias.c.instance == instance,
            event_alias.c.kind == kind,
            event_alias.c.event_id == event_id,
            event_alias.c.charge_id == charge_id,
        )
        change = change.values(charge_id=row.id)
        if (await tx.execute(change)).rowcount != 1:
            raise Raced("another node took the names of this event over meanwhile")


async def update(tx: Tx, rows: Iterable[Row]) -> None:
    """Charges that were read, and changed since."""
    changed = [{f"to_{name}": getattr(row, name) for name in _CHANGEABLE} for row in rows]
    for values, row in zip(changed, rows, strict=True):
        values["of_charge"] = row.id
    if changed:
        await tx.execute(_UPDATE, changed)


_CHANGEABLE: Final = tuple(
    name
    for name in COLUMNS
    if name not in ("id", "tenant_id", "account_id", "wallet_id", "instance", "key_id", "at_ms")
)
_UPDATE = (
    sa.update(charge)
    .where(charge.c.id == sa.bindparam("of_charge"))
    .values({name: sa.bindparam(f"to_{name}") for name in _CHANGEABLE})
)
