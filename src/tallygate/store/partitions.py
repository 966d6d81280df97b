"""On PostgreSQL `usage` is made of a table for each month, so that old months go at once.

Months are those of UTC, by the time of a use. All that there was before is one partition of its
own, and what fits into none goes to `usage_rest`: nothing that is settled is ever refused. Months
are made ahead of time; whoever comes second finds them there.
"""

import datetime
import re
from dataclasses import dataclass

import sqlalchemy as sa

from tallygate.store.database import Tx
from tallygate.store.rollup_schema import rollup_mark

MONTHS_AHEAD = 3
COUNTED_ROWS_MAX = 2_000_000
REST = "usage_rest"
ADVISORY_LOCK = 0x7A11_9A70  # this number means «months of usage are being made or dropped»

_BOUND = re.compile(r"FROM \('?(?P<start>-?\d+|MINVALUE)'?\) TO \('?(?P<end>-?\d+)'?\)")
_LIST = sa.text(
    "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i"
    " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'usage'::regclass"
)


@dataclass(frozen=True, slots=True)
class Partition:
    """`start_ms` None: from the beginning of time."""

    name: str
    start_ms: int | None
    end_ms: int


async def partitions(tx: Tx) -> list[Partition]:
    """The oldest first, without the rest; none on SQLite."""
    if tx.dialect != "postgresql":
        return []
    found = []
    for row in await tx.execute(_LIST):
        if bound := _BOUND.search(row.bound):
            start = None if bound["start"] == "MINVALUE" else int(bound["start"])
            found.append(Partition(row.relname, start, int(bound["end"])))
    return sorted(found, key=lambda one: one.end_ms)


async def make_ahead(tx: Tx, now_ms: int, months: int = MONTHS_AHEAD) -> int:
    """Make the months that are missing up to some ahead of now; how many there were."""
    known = await partitions(tx)
    if not known:
        return 0
    wanted = _month_after(now_ms, months)
    if known[-1].end_ms >= wanted:
        return 0
    await _take_turn(tx)
    end_ms, made = (await partitions(tx))[-1].end_ms, 0
    while end_ms < wanted:
        end_ms, made = await _make(tx, end_ms), made + 1
    return made


async def drop_before(tx: Tx, before_ms: int) -> int:
    """Drop the oldest month if all of it is older than that and summed up; how many rows it had,
    or about how many.
    """
    old = [one for one in await partitions(tx) if one.end_ms <= before_ms]
    if not old:
        return 0
    await _take_turn(tx)
    name = old[0].name
    rows = await _count(tx, name)
    # The parent first: whoever inserts locks it before the month, and never waits for us twice.
    await tx.execute(sa.text("LOCK TABLE ONLY usage IN ACCESS EXCLUSIVE MODE"))
    newest = await tx.scalar(sa.text(f"SELECT max(id) FROM {name}"))  # noqa: S608 - the catalogue's
    if (newest or 0) > int(await tx.scalar(sa.select(rollup_mark.c.usage_id))):
        return 0
    await tx.execute(sa.text(f"DROP TABLE {name}"))
    return rows


async def _count(tx: Tx, name: str) -> int:
    """Exactly, unless it takes long."""
    about = sa.text("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(:name)")
    estimate = int(await tx.scalar(about, {"name": name}) or 0)
    if estimate > COUNTED_ROWS_MAX:
        return estimate
    return int(await tx.scalar(sa.text(f"SELECT count(*) FROM {name}")))  # noqa: S608 - the same


async def _take_turn(tx: Tx) -> None:
    await tx.execute(sa.text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))


async def _make(tx: Tx, start_ms: int) -> int:
    """The month that begins there, with what waits for it among the rest. Where it ends."""
    end_ms = _month_after(start_ms, 1)
    name = f"usage_{_month_of(start_ms):%Y_%m}"
    within = f"at_ms >= {start_ms} AND at_ms < {end_ms}"
    statements = (
        f"CREATE TABLE {name} (LIKE usage INCLUDING DEFAULTS, PRIMARY KEY (id))",
        f"LOCK TABLE {REST} IN ACCESS EXCLUSIVE MODE",
        f"WITH moved AS (DELETE FROM {REST} WHERE {within} RETURNING *)"  # noqa: S608 - numbers
        f" INSERT INTO {name} SELECT * FROM moved",
        f"ALTER TABLE usage ATTACH PARTITION {name} FOR VALUES FROM ({start_ms}) TO ({end_ms})",
    )
    for statement in statements:
        await tx.execute(sa.text(statement))
    return end_ms


def _month_of(at_ms: int) -> datetime.datetime:
    at = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _month_after(at_ms: int, months: int) -> int:
    """The start of the month that is so many after the one of a time."""
    month = _month_of(at_ms)
    for _ in range(months):
        month = (month + datetime.timedelta(days=32)).replace(day=1)
    return int(month.timestamp() * 1000)
