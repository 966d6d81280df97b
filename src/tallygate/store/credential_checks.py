"""Checking credentials: who is due, who holds which, and what a check ends with.

A run holds a credential by `run_id` while it lives. What it found is written only if the secret is
still the one that it looked at and nobody took the credential over; a new secret is written as long
as the old one is the one that it came from, for it exists nowhere else.
"""

import enum
from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.core.credential import LIVING, SIGNALS, Outcome, Signal, State, after, may_happen
from tallygate.store import credentials, keeper_runs
from tallygate.store.database import Tx
from tallygate.store.keeper_runs import DEAD_MS, Run
from tallygate.store.keeper_schema import credential

_row = credential.c


class Choice(msgspec.Struct, kw_only=True):
    """A credential that a run is to look at; its secret is read when its turn comes."""

    id: int
    kind: str
    name: str
    user: str
    variables: str
    last_used_ms: int | None


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which credentials: used since then; only those that cannot wait; only these."""

    used_since_ms: int | None = None
    due_before_ms: int | None = None  # of an end that is known, or asked for
    ids: tuple[int, ...] | None = None


class Claim(msgspec.Struct, kw_only=True):
    """A credential that is ours to check."""

    id: int
    kind: str
    variables: dict[str, str]
    sealed: bytes
    version: int
    expires_ms: int | None

    def __repr__(self) -> str:
        return f"<Claim {self.id}>"


class Held(enum.Enum):
    """Why a credential can not be claimed."""

    GONE = "gone"  # quarantined or deleted meanwhile
    DONE = "done"  # checked in this window already
    BUSY = "busy"  # another run holds it, and lives
    INTERRUPTED = "interrupted"  # its check in this window was broken off: the next one has it


class Result(msgspec.Struct, kw_only=True):
    """What a check found. `outcome` None: it could not begin. `parts`: the secret is a new one."""

    id: int
    version: int
    outcome: Outcome | None
    reason: str = ""
    parts: dict[str, str] | None = None
    expires_ms: int | None = None

    def __repr__(self) -> str:
        return f"<Result of {self.id}: {self.outcome}>"


async def choose(tx: Tx, run: Run, wanted: Selection, now_ms: int) -> list[Choice]:
    """Those that this window has not seen, the longest unused first; they are due from now on."""
    where = _chosen(run.since_ms, wanted, now_ms)
    movable = [state for state in LIVING if may_happen(state, Signal.CHOSEN)]
    due = sa.update(credential).where(*where, _row.state.in_(movable))
    await tx.execute(due.values(state=State.DUE))
    return await preview(tx, run.since_ms, wanted, now_ms)


async def preview(tx: Tx, since_ms: int, wanted: Selection, now_ms: int) -> list[Choice]:
    """The same, and nothing is changed."""
    query = sa.select(
        *(_row.id, _row.kind, _row.name, _row.user_name.label("user")),
        *(_row.variables, _row.last_used_ms),
    )
    ordered = query.where(*_chosen(since_ms, wanted, now_ms)).order_by(
        sa.func.coalesce(_row.last_checked_ms, 0), _row.id
    )
    return [Choice(**row._mapping) for row in await tx.execute(ordered)]


def _chosen(since_ms: int, wanted: Selection, now_ms: int) -> list[sa.ColumnElement[bool]]:
    seen = sa.func.coalesce(_row.last_checked_ms, -1).between(since_ms, now_ms + DEAD_MS)
    where: list[sa.ColumnElement[bool]] = [_row.state.in_(LIVING), sa.not_(seen)]
    if wanted.used_since_ms is not None:
        used = sa.func.coalesce(_row.last_used_ms, _row.created_ms)
        where.append(used >= wanted.used_since_ms)
    if wanted.due_before_ms is not None:
        ends = _row.expires_ms <= wanted.due_before_ms
        where.append(sa.or_(_row.wanted_ms.is_not(None), ends))
    if wanted.ids is not None:
        where.append(_row.id.in_(wanted.ids))
    return where


async def claim(tx: Tx, run: Run, credential_id: int, now_ms: int) -> Claim | Held:
    """Make it ours, unless the window has seen it or another holds it."""
    row = (await tx.execute(sa.select(credential).where(_row.id == credential_id))).first()
    if row is None or row.state not in LIVING or row.sealed is None:
        return Held.GONE
    if _is_within(run, row.last_checked_ms, now_ms):
        return Held.DONE
    state = State(row.state)
    if row.run_id not in (None, run.id):
        if not await keeper_runs.has_ended(tx, row.run_id):
            return Held.BUSY
        if _is_within(run, row.claimed_ms, now_ms):
            return Held.INTERRUPTED
    if state is State.CHECKING:  # by a run that died, or by us when the end was unknown
        state = after(state, Signal.LET_GO)
    as_seen = (
        _row.id == credential_id,
        _row.version == row.version,
        _row.state == row.state,
        _row.run_id.is_not_distinct_from(row.run_id),
        _row.claimed_ms.is_not_distinct_from(row.claimed_ms),
    )
    values = {"state": after(state, Signal.CLAIMED), "run_id": run.id, "claimed_ms": now_ms}
    if (await tx.execute(sa.update(credential).where(*as_seen).values(values))).rowcount != 1:
        return Held.BUSY
    return _claim(row)


def _is_within(run: Run, at_ms: int | None, now_ms: int) -> bool:
    """In the run's window; what is later than now is of a clock that was set back since."""
    return at_ms is not None and run.since_ms <= at_ms < now_ms + DEAD_MS


def _claim(row: Any) -> Claim:  # a row of SQLAlchemy
    return Claim(
        id=row.id,
        kind=row.kind,
        variables=msgspec.json.decode(row.variables, type=dict[str, str]),
        sealed=bytes(row.sealed),
        version=row.version,
        expires_ms=row.expires_ms,
    )


async def look(tx: Tx, credential_id: int) -> Claim | None:
    """What a claim would hold, claimed by nobody; None if it has no secret any more."""
    row = (await tx.execute(sa.select(credential).where(_row.id == credential_id))).first()
    return None if row is None or row.sealed is None else _claim(row)


async def finish(tx: Tx, ring: bytes, run: Run, result: Result, now_ms: int) -> State | None:
    """What it is now; None if it was changed meanwhile, so that the check says nothing of it."""
    where = [_row.id == result.id, _row.version == result.version]
    if result.parts is None:
        where += [_row.run_id == run.id, _row.state == State.CHECKING]
    else:
        where.append(_row.state != State.DELETED)
    signal = SIGNALS[result.outcome] if result.outcome else Signal.LET_GO
    state = after(State.CHECKING, signal)
    values = {
        "state": state,
        "state_ms": now_ms,
        "run_id": None,
        **_found(ring, result, now_ms),
    }
    done = await tx.execute(sa.update(credential).where(*where).values(values))
    return state if done.rowcount == 1 else None


def _found(ring: bytes, result: Result, now_ms: int) -> dict[str, Any]:
    if result.outcome is None:
        return {"reason": result.reason}
    values: dict[str, Any] = {
        "reason": result.reason,
        "last_checked_ms": now_ms,
        "wanted_ms": None,
    }
    if result.outcome is Outcome.VALID:
        values |= {"failures": 0, "last_used_ms": now_ms}
    elif result.outcome is Outcome.UNPROVEN:
        values["failures"] = _row.failures + 1
    if result.parts is not None:
        values |= {
            "sealed": credentials.seal(ring, result.id, result.parts),
            "version": result.version + 1,
            "expires_ms": result.expires_ms,
        }
    return values


async def bury(tx: Tx, before_ms: int, now_ms: int) -> list[tuple[int, str]]:
    """Delete what has been in quarantine since before then; answers ids and names."""
    where = (_row.state == State.QUARANTINED, _row.state_ms <= before_ms)
    return await _delete(tx, where, now_ms)


async def clean(
    tx: Tx, unused_since_ms: int, now_ms: int, *, is_dry_run: bool
) -> list[tuple[int, str]]:
    """Delete what nobody used since then; what was never used counts from when it was made."""
    where = (
        _row.state.in_([*LIVING, State.QUARANTINED]),
        sa.func.coalesce(_row.last_used_ms, _row.created_ms) < unused_since_ms,
    )
    if is_dry_run:
        query = sa.select(_row.id, _row.name).where(*where).order_by(_row.id)
        return [(row.id, row.name) for row in await tx.execute(query)]
    return await _delete(tx, where, now_ms)


async def _delete(
    tx: Tx, where: tuple[sa.ColumnElement[bool], ...], now_ms: int
) -> list[tuple[int, str]]:
    gone = sa.update(credential).where(*where).values(credentials.deleted_values(now_ms))
    rows = await tx.execute(gone.returning(_row.id, _row.name))
    return sorted((row.id, row.name) for row in rows)
