"""Runs of the keeper, who is alive of them, and whose turn a host has.

A run that finds another one of the same selection unfinished joins its window: what was checked in
it is not checked again, whether the other still works or was killed. So a run that is started again
after a crash goes on where that one stopped.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
import sqlalchemy as sa

from tallygate.store.database import Tx
from tallygate.store.keeper_schema import credential, keeper_host, keeper_run

DEAD_MS: Final = 10_000  # without a sign of life
KEEP_MS: Final = 30 * 86_400_000
# So far ahead nobody reserves a host: a moment beyond was reserved by a clock that was wrong.
AHEAD_MS_MAX: Final = 120_000
# What runs are named by: who finds another of the same name works on the same window.
OF_ALL: Final = "all"
OF_THE_USED: Final = "used within "
OF_THE_DUE: Final = "due"
TOTALS: Final = ("total", "refreshed", "failed", "quarantined", "deleted")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """`since_ms` begins the window that it works on; joined: the window is another run's, too."""

    id: int
    since_ms: int
    is_joined: bool


async def open_run(tx: Tx, selection: str, owner: str, now_ms: int, window_ms: int) -> Run:
    same = (keeper_run.c.selection == selection, keeper_run.c.finished_ms.is_(None))
    recent = sa.and_(
        keeper_run.c.since_ms > now_ms - window_ms,
        keeper_run.c.since_ms < now_ms + DEAD_MS,  # not one of a clock that was set back since
    )
    since = await tx.scalar(sa.select(sa.func.max(keeper_run.c.since_ms)).where(*same, recent))
    since_ms = now_ms if since is None else int(since)
    values = {"selection": selection, "owner": owner, "since_ms": since_ms, "started_ms": now_ms}
    totals = dict.fromkeys(TOTALS, 0)
    made = sa.insert(keeper_run).values(**values, **totals, alive_ms=now_ms)
    run_id = int(await tx.scalar(made.returning(keeper_run.c.id)))
    await tx.execute(sa.delete(keeper_run).where(keeper_run.c.started_ms < now_ms - KEEP_MS))
    return Run(id=run_id, since_ms=since_ms, is_joined=since is not None)


async def beat(tx: Tx, run_id: int, now_ms: int) -> None:
    """A sign of life moves on even where the clock stands still."""
    alive = keeper_run.c.alive_ms
    moved = sa.case((alive >= now_ms, alive + 1), else_=now_ms)
    values = {"alive_ms": moved, "finished_ms": None}  # whoever gave it up was wrong
    await tx.execute(sa.update(keeper_run).where(keeper_run.c.id == run_id).values(values))


class Pulse(msgspec.Struct, frozen=True):
    """A run's last sign of life; whether it lives is seen by whether the next one is another."""

    run_id: int
    alive_ms: int


async def pulse_of_holder(tx: Tx, credential_id: int) -> Pulse | None:
    """Of the run that holds a credential, if it has not ended."""
    holds = sa.and_(credential.c.run_id == keeper_run.c.id, keeper_run.c.finished_ms.is_(None))
    query = sa.select(keeper_run.c.id, keeper_run.c.alive_ms).join(credential, holds)
    row = (await tx.execute(query.where(credential.c.id == credential_id))).first()
    return None if row is None else Pulse(int(row.id), int(row.alive_ms))


async def give_up(tx: Tx, pulse: Pulse, now_ms: int) -> None:
    """It has not moved for too long, whatever the clocks say; unless it has just now."""
    same = (keeper_run.c.id == pulse.run_id, keeper_run.c.alive_ms == pulse.alive_ms)
    await tx.execute(sa.update(keeper_run).where(*same).values(finished_ms=now_ms))


async def has_ended(tx: Tx, run_id: int) -> bool:
    """By itself, or given up by who waited for it. No clock decides: it may have been set."""
    where = (keeper_run.c.id == run_id, keeper_run.c.finished_ms.is_(None))
    return await tx.scalar(sa.select(keeper_run.c.id).where(*where)) is None


async def close_run(
    tx: Tx, run: Run, selection: str, totals: Mapping[str, int], now_ms: int
) -> None:
    """Done; dead runs of the same window are done with it."""
    mine = keeper_run.c.id == run.id
    values = {name: totals[name] for name in TOTALS}
    await tx.execute(sa.update(keeper_run).where(mine).values(finished_ms=now_ms, **values))
    dead = (
        keeper_run.c.selection == selection,
        keeper_run.c.finished_ms.is_(None),
        keeper_run.c.alive_ms <= now_ms - DEAD_MS,
    )
    await tx.execute(sa.update(keeper_run).where(*dead).values(finished_ms=now_ms))


async def is_running(tx: Tx, selection: str, now_ms: int) -> bool:
    """Whether a run of that name has not ended and showed a sign of life lately."""
    where = (
        keeper_run.c.selection == selection,
        keeper_run.c.finished_ms.is_(None),
        keeper_run.c.alive_ms > now_ms - DEAD_MS,
    )
    return await tx.scalar(sa.select(keeper_run.c.id).where(*where).limit(1)) is not None


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run as operators see it; the totals of one that has not ended are all 0."""

    id: int
    selection: str
    owner: str
    started_ms: int
    alive_ms: int
    finished_ms: int | None
    total: int
    refreshed: int
    failed: int
    quarantined: int
    deleted: int


async def page(tx: Tx, *, limit: int, before_id: int | None) -> tuple[list[RunView], int]:
    """The latest first, and how many are kept."""
    columns = [keeper_run.c[name] for name in RunView.__struct_fields__]
    query = sa.select(*columns).order_by(keeper_run.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(keeper_run.c.id < before_id)
    rows = (await tx.execute(query)).mappings().all()
    total = await tx.scalar(sa.select(sa.func.count()).select_from(keeper_run))
    return [RunView(**row) for row in rows], int(total)


async def latest_ms(tx: Tx) -> int | None:
    """When somebody last looked after all of them, or after all that are in use; runs over a few
    do not count."""
    column = sa.func.max(sa.func.coalesce(keeper_run.c.finished_ms, keeper_run.c.alive_ms))
    found = await tx.scalar(sa.select(column).where(over_all()))
    return None if found is None else int(found)


def over_all() -> sa.ColumnElement[bool]:
    """Runs over all credentials, or over all that are in use."""
    selection = keeper_run.c.selection
    return sa.or_(selection == OF_ALL, selection.startswith(OF_THE_USED))


async def reserve(tx: Tx, host: str, now_ms: int, gap_ms: int) -> int:
    """When the next request to this host may go out; nobody else gets that moment."""
    mine = keeper_host.c.host == host
    is_ahead = keeper_host.c.next_ms.between(now_ms, now_ms + AHEAD_MS_MAX)
    then = sa.case((is_ahead, keeper_host.c.next_ms), else_=now_ms)
    moved = sa.update(keeper_host).where(mine).values(next_ms=then + gap_ms)
    after_ms = await tx.scalar(moved.returning(keeper_host.c.next_ms))
    if after_ms is None:
        await _make_host(tx, host, now_ms)
        after_ms = await tx.scalar(moved.returning(keeper_host.c.next_ms))
    return int(after_ms) - gap_ms


async def _make_host(tx: Tx, host: str, now_ms: int) -> None:
    if tx.dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]  # same methods
    row = insert(keeper_host).values(host=host, next_ms=now_ms)
    await tx.execute(row.on_conflict_do_nothing())
