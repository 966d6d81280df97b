"""The end of a worker's life: what it had admitted and never journaled is spent, the rest is free.

A unit that was perhaps used is lost to its limit, but money goes back to its wallet: nobody pays
for what no record shows. What was set aside then stands in a usage row of its own.

Its journal must be settled to the end before. One transaction does all, and doing it again does
nothing, so whoever finds a dead worker may close it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.core.entry import Outcome
from tallygate.core.limits import Dimension
from tallygate.store import wallet_leases, wallets
from tallygate.store.counters import Lease, Place, lock_counters, write_counters
from tallygate.store.database import Tx
from tallygate.store.limits import KEY
from tallygate.store.schema import api_key, boot, lease, limits, usage

KEYS_MAX = 500  # in one query

_encode = msgspec.json.encode


@dataclass(slots=True)
class LostSummary:
    """What the end of a worker wrote down."""

    leases: int = 0
    released: int = 0  # units given back to their counters
    refunded: dict[int, int] = field(default_factory=dict)  # perhaps used, given back, by wallet
    spent: dict[Place, int] = field(default_factory=dict)  # lost units, by counter
    requests: dict[int, int] = field(default_factory=dict)  # lost requests, by key


async def close_boot(
    tx: Tx, boot_id: int, admitted: Mapping[int, int], is_power_loss: bool, now_ms: int
) -> LostSummary:
    """End a worker's life. `admitted` is its slab: units admitted by lease id.

    After a power loss the slab and the journal's tail may be gone: all it held counts as spent.
    """
    ending = sa.update(boot).where(boot.c.id == boot_id, boot.c.ended_ms.is_(None))
    summary = LostSummary()
    if (await tx.execute(ending.values(ended_ms=now_ms))).rowcount != 1:
        return summary
    rows = await _leases_of(tx, boot_id)
    places = [(row.limit_id, row.window_s) for row in rows if row.limit_id > 0]
    counters = await lock_counters(tx, dict.fromkeys(places, 0))
    freed: dict[int, int] = {}
    requests_by_limit: dict[tuple[int, int], int] = {}
    for row in rows:
        held = Lease(row.granted, row.returned, row.spent, row.journaled, row.is_closing)
        outstanding = max(0, held.outstanding)
        lost = outstanding if is_power_loss else max(0, admitted.get(row.id, 0) - held.journaled)
        if row.limit_id < 0:
            _add(freed, -row.limit_id, outstanding)
            _add(summary.refunded, -row.limit_id, lost)
            continue
        if lost and row.subject_kind == KEY and row.dimension == Dimension.REQUESTS.value:
            owner = (int(row.subject_id), row.limit_id)
            requests_by_limit[owner] = requests_by_limit.get(owner, 0) + lost
        place = (row.limit_id, row.window_s)
        found = counters.get(place)
        if found is not None and found.generation == row.generation:
            found.add(spent=lost, leased=-outstanding, used_ms=now_ms if lost else 0)
            summary.released += max(0, outstanding - lost)
            if lost:
                summary.spent[place] = summary.spent.get(place, 0) + lost
    await write_counters(tx, counters)
    await _release_wallets(tx, boot_id, freed, summary.refunded, now_ms)
    await tx.execute(sa.delete(lease).where(lease.c.boot_id == boot_id))
    summary.leases = len(rows)
    for (key_id, _), lost in requests_by_limit.items():
        # A request that counted against two limits of its key was one request.
        summary.requests[key_id] = max(lost, summary.requests.get(key_id, 0))
    await _write_lost(tx, boot_id, summary.requests, now_ms)
    return summary


async def _leases_of(tx: Tx, boot_id: int) -> list[sa.Row[Any]]:
    owner = (limits.c.subject_kind, limits.c.subject_id, limits.c.dimension)
    query = sa.select(lease, *owner).outerjoin(limits, limits.c.id == lease.c.limit_id)
    return list(await tx.execute(query.where(lease.c.boot_id == boot_id).order_by(lease.c.id)))


def _add(sums: dict[int, int], id_: int, amount: int) -> None:
    if amount:
        sums[id_] = sums.get(id_, 0) + amount


async def _release_wallets(
    tx: Tx, boot_id: int, freed: Mapping[int, int], refunded: Mapping[int, int], now_ms: int
) -> None:
    """Give back what was leased of wallets, and write down what of it may have been used."""
    if not freed and not refunded:
        return
    found = await wallets.lock_ids(tx, {*freed, *refunded}, now_ms)
    await wallet_leases.release(tx, freed)
    await wallets.write(tx, found.values())
    rows = [
        {
            **_lost_row(now_ms),
            "tenant_id": found[wallet_id].tenant_id,
            "request_id": f"lost-{boot_id}-wallet-{wallet_id}",
            "key_id": 0,  # which keys it was set aside for is not known
            "user_id": found[wallet_id].account_id,
            "requests": 0,
            "counts": _encode({"released_micros": micros}).decode(),
        }
        for wallet_id, micros in sorted(refunded.items())
        if wallet_id in found
    ]
    await tx.insert_many(usage, rows)


def _lost_row(now_ms: int) -> dict[str, Any]:
    blank = dict.fromkeys(("route", "model", "provider", "address", "agent"), "")
    zeros = ("duration_ms", "first_byte_ms", "status", "input_tokens", "output_tokens")
    nothing = dict.fromkeys((*zeros, "bytes_in", "bytes_out", "charge_micros"), 0)
    how = {"outcome": Outcome.LOST.value, "source": "lost", "at_ms": now_ms, "counts": None}
    return {**blank, **nothing, **how}


async def _write_lost(tx: Tx, boot_id: int, requests: Mapping[int, int], now_ms: int) -> None:
    """One usage row for each key that lost requests, so that rows and counters agree."""
    ids = sorted(requests)
    for start in range(0, len(ids), KEYS_MAX):
        some = ids[start : start + KEYS_MAX]
        query = sa.select(api_key.c.id, api_key.c.tenant_id, api_key.c.user_id)
        owners = (await tx.execute(query.where(api_key.c.id.in_(some)))).all()
        rows = [
            {
                **_lost_row(now_ms),
                "tenant_id": owner.tenant_id,
                "request_id": f"lost-{boot_id}-{owner.id}",
                "key_id": owner.id,
                "user_id": owner.user_id,
                "requests": requests[owner.id],
            }
            for owner in owners
        ]
        await tx.insert_many(usage, rows)
