"""Traces of Dify as they come in: piece by piece, until one has been quiet for a while.

Dify exports a message's uses of models one by one, each in a delivery of its own, and says of none
that it was the last. What came is kept by the observation's id, so that a repeated delivery adds
nothing; once quiet, a trace becomes one event.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from tallygate.core.dify_commands import Observation, TraceTold
from tallygate.store.database import Tx
from tallygate.store.money_schema import dify_trace as _rows

OBSERVATIONS_MAX: Final = 5_000  # of one trace
KEEP_MS: Final = 7 * 86_400_000  # a late piece is told from a new trace that long

_TEXTS: Final = ("account_id", "conversation_id", "message_id", "run_id")
_decode = msgspec.json.Decoder(dict[str, Observation]).decode


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that has been quiet."""

    id: int
    app_id: int
    told: TraceTold
    due_ms: int


# Two nodes may hear of one trace at the same time.
_OPEN: Final = sa.text(
    "INSERT INTO dify_trace (app_id, trace_id, account_id, conversation_id, message_id, run_id, "
    "used, event_ms, seen_ms) VALUES (:app_id, :trace_id, '', '', '', '', '{}', 0, :now_ms) "
    "ON CONFLICT DO NOTHING"
)


async def take(tx: Tx, app_id: int, told: Sequence[TraceTold], now_ms: int, quiet_ms: int) -> None:
    """Add what a delivery says; each of its traces waits `quiet_ms` from now."""
    for one in sorted(told, key=lambda one: one.trace_id):
        await _take(tx, app_id, one, now_ms, now_ms + quiet_ms)


async def is_any_due(tx: Tx, now_ms: int) -> bool:
    query = sa.select(_rows.c.id).where(_rows.c.due_ms <= now_ms).limit(1)
    return await tx.scalar(query) is not None


async def due(tx: Tx, now_ms: int, limit: int) -> list[Trace]:
    """Those that have been quiet, locked where the store knows row locks."""
    query = sa.select(_rows).where(_rows.c.due_ms <= now_ms).order_by(_rows.c.id).limit(limit)
    found = await tx.execute(query.with_for_update(skip_locked=True))
    return [_trace(row) for row in found]


async def settled(tx: Tx, traces: Iterable[Trace]) -> None:
    """They have become events; a piece that comes later makes one due again."""
    for one in traces:
        await tx.execute(sa.update(_rows).where(_rows.c.id == one.id).values(due_ms=None))


async def prune(tx: Tx, now_ms: int) -> int:
    """Forget what became an event long ago."""
    old = (_rows.c.due_ms.is_(None)) & (_rows.c.seen_ms < now_ms - KEEP_MS)
    return (await tx.execute(sa.delete(_rows).where(old))).rowcount


async def _take(tx: Tx, app_id: int, told: TraceTold, now_ms: int, due_ms: int) -> None:
    named = {"app_id": app_id, "trace_id": told.trace_id}
    await tx.execute(_OPEN, {**named, "now_ms": now_ms})
    row = (await tx.execute(sa.select(_rows).filter_by(**named).with_for_update())).one()
    known = _decode(row.used)
    merged = dict(known)
    for one in told.observations:
        if one.id in merged or len(merged) < OBSERVATIONS_MAX:
            merged[one.id] = one
    values: dict[str, object] = {"seen_ms": now_ms, "used": msgspec.json.encode(merged).decode()}
    for name in _TEXTS:
        values[name] = getattr(told, name) or getattr(row, name)
    values["event_ms"] = max(told.event_ms, row.event_ms)
    if merged != known:  # a trace of which only the frame has come waits for its first use
        values["due_ms"] = due_ms
    await tx.execute(sa.update(_rows).where(_rows.c.id == row.id).values(values))


def _trace(row: sa.Row[tuple[object, ...]]) -> Trace:
    values = row._mapping
    told = TraceTold(
        trace_id=values["trace_id"],
        event_ms=values["event_ms"],
        observations=list(_decode(values["used"]).values()),
        **{name: values[name] for name in _TEXTS},
    )
    return Trace(id=values["id"], app_id=values["app_id"], told=told, due_ms=values["due_ms"])
