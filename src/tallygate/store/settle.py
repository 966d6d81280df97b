"""Settling: journal entries become usage rows and move counters, exactly once.

The watermark of the journal moves in the same transaction, so an entry is on the books if and only
if the watermark is behind it. Sums are made in Python: a thousand entries of one key change its
counter once. Everything that several nodes may lock is locked in one order: boot, counters,
wallets, events, keys.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec
import sqlalchemy as sa

from tallygate.core.entry import Entry, Use
from tallygate.core.usage_report import UsageReport
from tallygate.store import budgets, dify_charges, gateway_charges, keys, usage_reports
from tallygate.store.closing import LostSummary as LostSummary
from tallygate.store.closing import close_boot as close_boot
from tallygate.store.counters import Lease, Place, lock_counters, write_counters
from tallygate.store.database import Tx
from tallygate.store.recent_events import RecentEvents
from tallygate.store.schema import attempt, boot, lease, usage

INPUT, OUTPUT = "input_tokens", "output_tokens"  # the dimensions that have columns of their own
NAMES_MAX = 500  # in one IN list

USAGE_COLUMNS = tuple(column.name for column in usage.columns if column.name != "id")
_ATTEMPT_COLUMNS = tuple(column.name for column in attempt.columns if column.name != "id")
_encode = msgspec.json.encode


class StaleWatermark(Exception):
    """The journal is settled up to somewhere else: what was read is not what is to be settled."""


@dataclass(slots=True)
class _LeaseSum:
    spent: int = 0
    reserved: int = 0
    used_ms: int = 0


# A lease as entries name it. Its id alone is not enough: a restored store may use it once more.
_Named = tuple[int, int, int, int]  # lease_id, limit_id, window_s, generation


@dataclass(slots=True)
class _Sums:
    """What a batch of entries does to leases and counters, before the store is asked anything."""

    leases: dict[_Named, _LeaseSum] = field(default_factory=dict)
    tallies: dict[Place, tuple[int, int]] = field(default_factory=dict)  # spent, last use

    def add(self, use: Use, at_ms: int) -> None:
        used_ms = at_ms if use.spent else 0
        if not use.lease_id:
            if use.limit_id < 0:  # a free model: nothing was leased of its wallet
                return
            place = (use.limit_id, use.window_s)
            spent, before_ms = self.tallies.get(place, (0, 0))
            self.tallies[place] = (spent + use.spent, max(before_ms, used_ms))
            return
        named = (use.lease_id, use.limit_id, use.window_s, use.generation)
        total = self.leases.get(named)
        if total is None:
            total = self.leases[named] = _LeaseSum()
        total.spent += use.spent
        total.reserved += use.reserved
        total.used_ms = max(total.used_ms, used_ms)


async def settle(
    tx: Tx,
    boot_id: int,
    old: tuple[int, int],
    new: tuple[int, int],
    entries: Sequence[Entry],
    now_ms: int,
    reports: Sequence[UsageReport] = (),
    recent: RecentEvents | None = None,
) -> None:
    """Put on the books what a worker's journal holds between two watermarks; once a transaction."""
    await _move_watermark(tx, boot_id, old, new)
    sums, used_ms = _Sums(), dict[int, int]()
    for entry in entries:
        used_ms[entry.key_id] = max(used_ms.get(entry.key_id, 0), entry.admitted_ms)
        for use in entry.uses:
            sums.add(use, entry.admitted_ms)
    await tx.insert_many(usage, [_usage_row(entry) for entry in entries], USAGE_COLUMNS)
    await tx.insert_many(attempt, list(_attempt_rows(entries)), _ATTEMPT_COLUMNS)
    freed = await _apply(tx, boot_id, sums)
    await dify_charges.lock_payers(tx, entries, freed)
    if spent := await gateway_charges.settle(tx, entries, freed, now_ms):
        await budgets.note_spent(tx, spent, now_ms)
    if not reports:
        await keys.touch_last_used(tx, used_ms)
        return
    taken = await usage_reports.take(tx, reports, now_ms, recent)
    await tx.insert_many(usage, taken.rows, USAGE_COLUMNS)
    for key_id, at_ms in taken.used_ms.items():
        used_ms[key_id] = max(used_ms.get(key_id, 0), at_ms)
    await keys.touch_last_used(tx, used_ms)
    await usage_reports.note(tx, taken, now_ms)


_MOVE = (
    sa.update(boot)
    .where(
        boot.c.id == sa.bindparam("of_boot"),
        boot.c.segment == sa.bindparam("old_segment"),
        boot.c.offset == sa.bindparam("old_offset"),
    )
    .values(segment=sa.bindparam("new_segment"), offset=sa.bindparam("new_offset"))
)


async def _move_watermark(tx: Tx, boot_id: int, old: tuple[int, int], new: tuple[int, int]) -> None:
    assert old <= new, "a watermark never moves backwards"
    places = {"old_segment": old[0], "old_offset": old[1]}
    targets = {"new_segment": new[0], "new_offset": new[1]}
    moved = await tx.execute(_MOVE, {"of_boot": boot_id, **places, **targets})
    if moved.rowcount != 1:
        raise StaleWatermark(f"the journal of boot {boot_id} is not settled up to {old}")


def _usage_row(entry: Entry) -> tuple[object, ...]:
    counts = entry.counts
    further = {name: count for name, count in counts.items() if name not in (INPUT, OUTPUT)}
    return (
        *(entry.tenant_id, entry.request_id, entry.key_id, entry.user_id),
        *(entry.admitted_ms, entry.duration_ms, entry.first_byte_ms),
        *(entry.route, entry.model, entry.provider, entry.status),
        *(entry.outcome.value, entry.source, int(entry.is_counted)),
        *(counts.get(INPUT, 0), counts.get(OUTPUT, 0)),
        _encode(further).decode() if further else None,
        *(entry.address, entry.agent, entry.bytes_in, entry.bytes_out),
        entry.charge.micros if entry.charge is not None else 0,
    )


def _attempt_rows(entries: Iterable[Entry]) -> Iterable[tuple[object, ...]]:
    for entry in entries:
        if len(entry.attempts) < 2:
            continue
        for number, tried in enumerate(entry.attempts, 1):
            yield (
                *(entry.tenant_id, entry.request_id, number),
                *(tried.provider, tried.status, tried.duration_ms, entry.admitted_ms),
            )


async def _apply(tx: Tx, boot_id: int, sums: _Sums) -> dict[int, int]:
    """Move leases and counters; what is leased of wallets no longer, by their ids."""
    generations: dict[Place, int] = dict.fromkeys(sums.tallies, 0)
    for _, limit_id, window_s, generation in sums.leases:
        if limit_id > 0:
            place = (limit_id, window_s)
            generations[place] = max(generation, generations.get(place, 0))
    counters = await lock_counters(tx, generations)
    known = await _load_leases(tx, boot_id, sums.leases)
    freed: dict[int, int] = {}
    for named, total in sums.leases.items():
        limit_id, window_s, generation = named[1:]
        held = known.get(named)
        units = _settle_lease(held, total) if held is not None else 0
        found = counters.get((limit_id, window_s))
        if limit_id < 0:
            freed[-limit_id] = freed.get(-limit_id, 0) + units
        elif found is not None and found.generation == generation:  # else it was reset since
            found.add(spent=total.spent, leased=-units, used_ms=total.used_ms)
    for place, (spent, used_ms) in sums.tallies.items():
        if (tallied := counters.get(place)) is not None:
            tallied.add(spent=spent, leased=0, used_ms=used_ms)
    await write_counters(tx, counters)
    await _write_leases(tx, {named[0]: held for named, held in known.items()})
    return freed


def _settle_lease(held: Lease, total: _LeaseSum) -> int:
    """Add a sum to a lease; how many units it holds no longer."""
    before = max(0, held.outstanding)
    held.spent += total.spent
    held.journaled += total.reserved
    return before - max(0, held.outstanding)


async def _load_leases(tx: Tx, boot_id: int, sums: dict[_Named, _LeaseSum]) -> dict[_Named, Lease]:
    """The leases that are what the entries say they are; a restored store may not know them."""
    found: dict[_Named, Lease] = {}
    ids = iter(sorted({named[0] for named in sums}))
    columns = (lease.c.id, lease.c.limit_id, lease.c.window_s, lease.c.generation)
    totals = (lease.c.granted, lease.c.returned, lease.c.spent, lease.c.journaled)
    while some := list(islice(ids, NAMES_MAX)):
        query = sa.select(*columns, *totals, lease.c.is_closing).where(
            lease.c.id.in_(some), lease.c.boot_id == boot_id
        )
        for row in await tx.execute(query):
            named = (row.id, row.limit_id, row.window_s, row.generation)
            if named in sums:
                found[named] = Lease(
                    row.granted, row.returned, row.spent, row.journaled, row.is_closing
                )
    return found


_WRITE_LEASE = (
    sa.update(lease)
    .where(lease.c.id == sa.bindparam("lease"))
    .values(spent=sa.bindparam("now_spent"), journaled=sa.bindparam("now_journaled"))
)


async def _write_leases(tx: Tx, known: dict[int, Lease]) -> None:
    """A closing lease of which nothing is outstanding has told all it had to tell."""
    changed = [
        {"lease": lease_id, "now_spent": held.spent, "now_journaled": held.journaled}
        for lease_id, held in sorted(known.items())
        if not held.is_done
    ]
    if changed:
        await tx.later(_WRITE_LEASE, changed)
    done = iter([lease_id for lease_id, held in known.items() if held.is_done])
    while some := list(islice(done, NAMES_MAX)):
        await tx.later(sa.delete(lease).where(lease.c.id.in_(some)))
