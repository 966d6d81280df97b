"""Granting: one worker's view of one lease comes in, the store's answer to it goes out.

A pure decision (lease_decision.py) between one locked read and guarded single-statement updates.
Totals are cumulative on both sides, so an ask that was lost or repeated changes nothing. Waiting
for others to give back units is the clerk's business: it asks again. A limit id below 0 is a
wallet's.

An ask that names a lease which is void (its counter was reset), closed or unknown to this store is
answered as if it had named none: the answer then carries another `lease_id`, and the worker must
forget the old one. A worker never forgets a lease on any other ground than such an answer or its
own closing ask; one that asks with `lease_id` 0 has not heard of any lease it may have.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallygate.core.ports import Ask
from tallygate.store import wallet_leases
from tallygate.store.database import Tx
from tallygate.store.lease_decision import Decision, Row, Source, decide
from tallygate.store.schema import boot, counter, lease, limits


class BootEnded(Exception):
    """This worker's life is over in the store: it was succeeded, or its node retired."""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """What the clerk answers with. `lease_id` 0: nothing is leased."""

    lease_id: int
    generation: int
    granted: int
    shortage: int  # how much of the need is not covered
    used: int  # spent + leased of the counter; of a wallet see core/ports.py Answer
    leased_elsewhere: int  # what a recall may bring back
    amount: int | None
    is_limit_missing: bool = False  # the store never had such a limit; nothing can be granted
    may_grow: bool = False  # a wallet: it may be topped up any time
    rest: int = 0  # of the shortage, what a last request may have

    @property
    def is_final(self) -> bool:
        """Short, and until the window ends nothing can come back."""
        return self.shortage > 0 and not self.leased_elsewhere and not self.may_grow


_COUNTER = (
    sa.select(
        *(counter.c.generation, counter.c.spent, counter.c.leased),
        *(limits.c.amount, limits.c.deleted_ms),
    )
    .join(limits, limits.c.id == counter.c.limit_id)
    .where(
        counter.c.limit_id == sa.bindparam("limit"), counter.c.window_s == sa.bindparam("window")
    )
    .with_for_update(of=counter)
)
_NEW_COUNTER = sa.text(
    "INSERT INTO counter (limit_id, window_s, tenant_id, generation, spent, leased, updated_ms) "
    "SELECT id, CAST(:window AS BIGINT), tenant_id, 1, 0, 0, 0 FROM limits "
    "WHERE id = :limit ON CONFLICT DO NOTHING"
)
_LEASES = sa.select(
    *(lease.c.id, lease.c.boot_id, lease.c.generation, lease.c.granted, lease.c.returned),
    *(lease.c.spent, lease.c.journaled, lease.c.is_closing),
).where(lease.c.limit_id == sa.bindparam("limit"), lease.c.window_s == sa.bindparam("window"))
_LIVE_BOOT = (
    sa.select(boot.c.id)
    .where(boot.c.id == sa.bindparam("of_boot"), boot.c.ended_ms.is_(None))
    .with_for_update(read=True)
)
_CHANGE_COUNTER = (
    sa.update(counter)
    .where(
        counter.c.limit_id == sa.bindparam("limit"),
        counter.c.window_s == sa.bindparam("window"),
        counter.c.generation == sa.bindparam("of_generation"),
    )
    .values(leased=counter.c.leased + sa.bindparam("change", type_=sa.BigInteger))
)
_CHANGE_COUNTER_WITHIN = _CHANGE_COUNTER.where(
    counter.c.spent + counter.c.leased + sa.bindparam("change", type_=sa.BigInteger)
    <= sa.bindparam("within", type_=sa.BigInteger)
)
_CHANGE_LEASE = (
    sa.update(lease)
    .where(lease.c.id == sa.bindparam("lease"))
    .values(
        granted=lease.c.granted + sa.bindparam("grant", type_=sa.BigInteger),
        returned=lease.c.returned + sa.bindparam("more", type_=sa.BigInteger),
        is_closing=sa.bindparam("closing"),
    )
)
_DROP_LEASE = sa.delete(lease).where(lease.c.id == sa.bindparam("lease"))
_NEW_LEASE = sa.insert(lease).returning(lease.c.id)


async def sync(tx: Tx, boot_id: int, ask: Ask, now_ms: int, *, is_last: bool = False) -> LeaseState:
    """Bring the store and one worker to one view of one lease, and grant what it needs.

    `is_last`: nothing more is waited for, so whoever is short gets what is left.
    """
    if not ask.lease_id and ask.need:
        await _require_live(tx, boot_id)
    found = await _lock_source(tx, ask, now_ms)
    if found is None:
        return LeaseState(0, 0, 0, ask.need, 0, 0, 0, is_limit_missing=True)
    place = {"limit": ask.limit_id, "window": ask.window_s}
    rows = [Row(*list(row)) for row in await tx.execute(_LEASES, place)]
    decision = decide(found, rows, boot_id, ask, is_last=is_last)
    if decision.change:
        await _change_source(tx, ask, found, decision.change)
    lease_id = await _write_lease(tx, boot_id, ask, found.generation, decision)
    row = decision.row
    used = found.spent + found.leased + decision.change
    return LeaseState(
        lease_id=lease_id,
        generation=found.generation,
        granted=(row.granted if row else 0) + decision.grant,
        shortage=decision.shortage,
        used=used if found.balance is None else decision.outstanding - found.balance,
        leased_elsewhere=decision.leased_elsewhere,
        amount=found.amount,
        may_grow=found.balance is not None,
        rest=decision.rest,
    )


async def _lock_source(tx: Tx, ask: Ask, now_ms: int) -> Source | None:
    if ask.limit_id < 0:
        return await wallet_leases.lock(tx, -ask.limit_id, now_ms)
    return await _lock_counter(tx, ask)


async def _change_source(tx: Tx, ask: Ask, found: Source, change: int) -> None:
    """What is leased of it, by one guarded statement."""
    if ask.limit_id < 0:
        await wallet_leases.change(tx, -ask.limit_id, change)
        return
    place = {"limit": ask.limit_id, "window": ask.window_s}
    values = {**place, "change": change, "of_generation": found.generation}
    guarded = _CHANGE_COUNTER
    if change > 0 and found.amount is not None:
        guarded = _CHANGE_COUNTER_WITHIN
        values["within"] = found.amount
    changed = await tx.execute(guarded, values)
    assert changed.rowcount == 1, "the counter was locked and the grant fits it"


async def _require_live(tx: Tx, boot_id: int) -> None:
    """Locked against being ended until we are done, or a lease would outlive its worker."""
    if await tx.scalar(_LIVE_BOOT, {"of_boot": boot_id}) is None:
        raise BootEnded(f"boot {boot_id} has ended")


async def _lock_counter(tx: Tx, ask: Ask) -> Source | None:
    place = {"limit": ask.limit_id, "window": ask.window_s}
    row = (await tx.execute(_COUNTER, place)).first()
    if row is None:
        await tx.later(_NEW_COUNTER, place)
        row = (await tx.execute(_COUNTER, place)).first()
    if row is None:
        return None
    amount = row.amount if row.deleted_ms is None else None
    return Source(row.generation, row.spent, row.leased, amount)


async def _write_lease(tx: Tx, boot_id: int, ask: Ask, generation: int, decision: Decision) -> int:
    if decision.abandoned:
        left = {"lease": decision.abandoned, "grant": 0, "more": 0, "closing": True}
        await tx.later(_CHANGE_LEASE, left)
    row = decision.row
    if row is None:
        if not decision.grant:
            return 0
        if ask.lease_id:
            await _require_live(tx, boot_id)
        values = {
            "boot_id": boot_id,
            "limit_id": ask.limit_id,
            "window_s": ask.window_s,
            "generation": generation,
            "granted": decision.grant,
            **dict.fromkeys(("returned", "spent", "journaled"), 0),
            "is_closing": False,
        }
        return int(await tx.scalar(_NEW_LEASE, values))
    if ask.is_closing and decision.outstanding <= 0:
        await tx.later(_DROP_LEASE, {"lease": row.id})
    elif decision.grant or decision.returned or ask.is_closing != row.is_closing:
        totals = {"grant": decision.grant, "more": decision.returned}
        await tx.later(_CHANGE_LEASE, {"lease": row.id, **totals, "closing": ask.is_closing})
    return row.id


async def held(tx: Tx, boot_id: int) -> list[sa.Row[Any]]:
    """Every lease of a worker, for operators: limit_id, window_s, granted, returned, spent."""
    columns = (lease.c.limit_id, lease.c.window_s, lease.c.granted, lease.c.returned)
    query = sa.select(*columns, lease.c.spent).where(lease.c.boot_id == boot_id)
    return list(await tx.execute(query.order_by(lease.c.limit_id, lease.c.window_s)))
