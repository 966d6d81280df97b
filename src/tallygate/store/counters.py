"""Counters and leases in Python while a transaction works on them: read locked, summed, written.

Whoever changes several counters in one transaction goes through here: they are locked in the order
of (limit_id, window_s), so that two nodes never wait for each other in a circle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import sqlalchemy as sa

from tallygate.store.database import Tx
from tallygate.store.schema import counter

Place = tuple[int, int]  # limit_id, window_s
PLACES_MAX = 200  # in one query


def lock_order(place: Place) -> tuple[bool, int, int]:
    """Counters first, then wallets (limit ids below 0) by their own ids, as settling locks them."""
    limit_id, window_s = place
    return limit_id < 0, abs(limit_id), window_s


@dataclass(slots=True)
class Counter:
    """What is to be added to a counter; `generation` is the one it has now."""

    generation: int
    spent: int = 0
    leased: int = 0
    used_ms: int = 0

    def add(self, *, spent: int, leased: int, used_ms: int) -> None:
        self.spent += spent
        self.leased += leased
        self.used_ms = max(self.used_ms, used_ms)

    @property
    def is_changed(self) -> bool:
        return bool(self.spent or self.leased or self.used_ms)


@dataclass(slots=True)
class Lease:
    """A lease's totals."""

    granted: int
    returned: int
    spent: int
    journaled: int
    is_closing: bool

    @property
    def outstanding(self) -> int:
        return self.granted - self.returned - self.spent

    @property
    def is_done(self) -> bool:
        return self.is_closing and self.outstanding <= 0


_MAKE = sa.text(
    "INSERT INTO counter (limit_id, window_s, tenant_id, generation, spent, leased, updated_ms) "
    "SELECT id, CAST(:window AS BIGINT), tenant_id, CAST(:generation AS INTEGER), 0, 0, 0 "
    "FROM limits WHERE id = :limit ON CONFLICT DO NOTHING"
)
_WRITE = (
    sa.update(counter)
    .where(
        counter.c.limit_id == sa.bindparam("limit"), counter.c.window_s == sa.bindparam("window")
    )
    .values(
        spent=counter.c.spent + sa.bindparam("add_spent", type_=sa.BigInteger),
        leased=counter.c.leased + sa.bindparam("add_leased", type_=sa.BigInteger),
        updated_ms=sa.case(
            (
                counter.c.updated_ms < sa.bindparam("used_ms", type_=sa.BigInteger),
                sa.bindparam("used_ms", type_=sa.BigInteger),
            ),
            else_=counter.c.updated_ms,
        ),
    )
)


async def lock_counters(tx: Tx, generations: Mapping[Place, int]) -> dict[Place, Counter]:
    """Lock counters; make those that are not there (a restored store lacks some), with the
    generation given, 0 standing for a first one. A limit that does not exist has no counter.
    """
    ordered = sorted(generations)
    found = await _read(tx, ordered)
    missing = [place for place in ordered if place not in found]
    if missing:
        await tx.later(
            _MAKE,
            [
                {"limit": place[0], "window": place[1], "generation": generations[place] or 1}
                for place in missing
            ],
        )
        found.update(await _read(tx, missing))
    return found


async def _read(tx: Tx, ordered: list[Place]) -> dict[Place, Counter]:
    found: dict[Place, Counter] = {}
    rest = iter(ordered)
    columns = (counter.c.limit_id, counter.c.window_s, counter.c.generation)
    while some := list(islice(rest, PLACES_MAX)):
        query = (
            sa.select(*columns)
            .where(sa.tuple_(counter.c.limit_id, counter.c.window_s).in_(some))
            .order_by(counter.c.limit_id, counter.c.window_s)
            .with_for_update()
        )
        for row in await tx.execute(query):
            found[(row.limit_id, row.window_s)] = Counter(row.generation)
    return found


async def write_counters(tx: Tx, counters: Mapping[Place, Counter]) -> None:
    rows = [
        {
            "limit": limit_id,
            "window": window_s,
            "add_spent": added.spent,
            "add_leased": added.leased,
            "used_ms": added.used_ms,
        }
        for (limit_id, window_s), added in sorted(counters.items())
        if added.is_changed
    ]
    if rows:
        await tx.later(_WRITE, rows)
