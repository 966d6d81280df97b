"""Taking over the keys and the counts of the seed's server.

Old keys work unchanged and old counts stand as the counters of their day. What was taken over is
remembered, so that a repeated import adds only what is new, and never brings back a key that was
deleted since. A count that grew at the old server in the meantime is added to.
"""

import hashlib
import secrets
from pathlib import Path

import msgspec
import sqlalchemy as sa

from tallygate.core.entry import Outcome
from tallygate.core.keys import Kind, hash_key, mask
from tallygate.core.sealing import NONCE_BYTES, seal_key
from tallygate.core.takeover import OldKey, OldUsage, Report
from tallygate.core.windows import day_window
from tallygate.store import keys, limits
from tallygate.store.database import Tx
from tallygate.store.quota_proxy_file import OldFile
from tallygate.store.schema import counter, imported, key_secret, usage
from tallygate.store.schema import limits as limit_table

SOURCE = "quota-proxy"
ROUTE = "/v1/chat/completions"
NO_LONGER_THERE = "usage of a key that is not in the file"
ALREADY_HERE = "a key that this store has already"


class Sealing(msgspec.Struct, frozen=True):
    """How copies of the keys are kept; no master key: none are."""

    master_key: bytes | None

    def __repr__(self) -> str:
        return f"<Sealing {'on' if self.master_key else 'off'}>"


async def was_taken_over(tx: Tx, path: Path) -> bool:
    """Whether a first start has taken this file over; later starts leave it alone."""
    query = sa.select(imported.c.at_ms).where(
        imported.c.source == SOURCE, imported.c.item == _file_item(path)
    )
    return await tx.scalar(query) is not None


async def remember_file(tx: Tx, path: Path, now_ms: int) -> None:
    await _remember(tx, _file_item(path), now_ms)


async def take_over(tx: Tx, old: OldFile, *, zone: str, sealing: Sealing, now_ms: int) -> Report:
    """Import what earlier imports have not. A dry run is rolled back by the caller."""
    report = Report()
    for reason, rows in old.skipped.items():
        report.skip(reason, rows)
    items = set(
        (await tx.execute(sa.select(imported.c.item).where(imported.c.source == SOURCE))).scalars()
    )
    here: dict[str, int] = {}
    for key in old.keys:
        key_id = await _take_key(tx, key, items, report, zone, sealing, now_ms)
        if key_id is not None:
            here[key.secret] = key_id
    counted = _counted_before(items)
    for day in _summed(old.usages):
        if day.secret in here:
            await _take_day(tx, here[day.secret], day, counted, report, now_ms)
        else:
            report.skip(NO_LONGER_THERE)
    return report


async def _take_key(
    tx: Tx,
    key: OldKey,
    items: set[str],
    report: Report,
    zone: str,
    sealing: Sealing,
    now_ms: int,
) -> int | None:
    """The key's id here; None if its use is not to be taken over either."""
    key_hash = hash_key(key.secret.encode())
    item = f"key:{key_hash.hex()}"
    query = sa.select(key_secret.c.key_id).where(key_secret.c.hash == key_hash)
    key_id = await tx.scalar(query)
    if item in items:
        report.known += 1
        return None if key_id is None else int(key_id)
    if key_id is not None:
        report.skip(ALREADY_HERE)
        return None
    key_id = await keys.insert_key(
        tx,
        kind=Kind.TRIAL.value,
        label=key.label,
        now_ms=now_ms,
        is_active=key.is_active,
        created_ms=key.created_ms,
    )
    sealed = None
    if sealing.master_key is not None:
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = seal_key(sealing.master_key, key.secret, key_id, nonce)
    await keys.add_secret(
        tx,
        key_id,
        key_hash=key_hash,
        masked=mask(key.secret),
        sealed=sealed,
        now_ms=key.created_ms,
    )
    await limits.set_daily(tx, key_id, key.daily_limit, zone, now_ms)
    await _remember(tx, item, now_ms)
    report.keys += 1
    return key_id


async def _take_day(
    tx: Tx, key_id: int, day: OldUsage, counted: dict[str, int], report: Report, now_ms: int
) -> None:
    item = f"usage:{hash_key(day.secret.encode()).hex()}:{day.day}"
    added = day.requests - counted.get(item, 0)
    if added <= 0:
        report.known += 1
        return
    await _count(tx, key_id, day, added)
    await tx.execute(sa.insert(usage).values(_history(key_id, day, added)))
    await keys.touch_last_used(tx, {key_id: day.updated_ms})
    await _remember(tx, f"{item}:{day.requests}", now_ms)
    report.days += 1
    report.requests += added


async def _count(tx: Tx, key_id: int, day: OldUsage, added: int) -> None:
    """Add to the counter of that day, as settling would."""
    query = sa.select(limit_table.c.id, limit_table.c.zone).where(
        limit_table.c.subject_kind == limits.KEY,
        limit_table.c.subject_id == str(key_id),
        limit_table.c.is_daily,
        limit_table.c.deleted_ms.is_(None),
    )
    limit = (await tx.execute(query)).first()
    if limit is None:  # the key was deleted, or its daily limit was: history is all there is
        return
    window_s = day_window(day.day, limit.zone)
    here = sa.and_(counter.c.limit_id == limit.id, counter.c.window_s == window_s)
    values = {"spent": counter.c.spent + added, "updated_ms": day.updated_ms}
    if (await tx.execute(sa.update(counter).where(here).values(values))).rowcount:
        return
    await tx.execute(
        sa.insert(counter).values(
            limit_id=limit.id,
            window_s=window_s,
            generation=1,
            spent=added,
            leased=0,
            updated_ms=day.updated_ms,
        )
    )


def _history(key_id: int, day: OldUsage, added: int) -> dict[str, object]:
    """One usage row for the day's requests: the old server knew no more of them."""
    start_ms = day_window(day.day, "UTC") * 1000
    return {
        "request_id": f"import-{SOURCE}",
        "key_id": key_id,
        "user_id": "",
        "at_ms": min(max(day.updated_ms, start_ms), start_ms + 86_399_999),
        "duration_ms": 0,
        "first_byte_ms": 0,
        "route": ROUTE,
        "model": "",
        "provider": "",
        "status": 200,
        "outcome": Outcome.OK.value,
        "source": "missing",
        "requests": added,
        "input_tokens": 0,
        "output_tokens": 0,
        "counts": None,
        "address": "",
        "agent": "",
        "bytes_in": 0,
        "bytes_out": 0,
    }


def _summed(usages: list[OldUsage]) -> list[OldUsage]:
    """One per key and day: nothing kept the old table from having two rows for a day."""
    summed: dict[tuple[str, str], OldUsage] = {}
    for one in usages:
        place = (one.secret, one.day.isoformat())
        if earlier := summed.get(place):
            requests = earlier.requests + one.requests
            one = OldUsage(one.secret, one.day, requests, max(earlier.updated_ms, one.updated_ms))
        summed[place] = one
    return list(summed.values())


def _counted_before(items: set[str]) -> dict[str, int]:
    """`usage:<hash>:<day>` → the highest count that an earlier import saw."""
    counted: dict[str, int] = {}
    for item in items:
        if item.startswith("usage:"):
            place, _, requests = item.rpartition(":")
            counted[place] = max(counted.get(place, 0), int(requests))
    return counted


async def _remember(tx: Tx, item: str, now_ms: int) -> None:
    await tx.execute(sa.insert(imported).values(source=SOURCE, item=item, at_ms=now_ms))


def _file_item(path: Path) -> str:
    return f"file:{hashlib.sha256(str(path.absolute()).encode()).hexdigest()}"
