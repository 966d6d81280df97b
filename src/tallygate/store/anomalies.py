"""Anomalies as they are kept: written once for each event, which grows while it goes on.

Whoever writes takes a turn first: the mark's `turn` moves in the same transaction, so that of two
nodes that have found the same thing one writes it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from tallygate.core.anomalies import ACKNOWLEDGED, OPEN, QUIET_MS, Evidence, Throttle
from tallygate.core.anomaly_commands import AnomalyView
from tallygate.store.anomaly_schema import anomaly, anomaly_mark, key_throttle
from tallygate.store.database import Tx
from tallygate.store.schema import api_key

CLEAN_ROWS_MAX = 500  # in one transaction

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to where usage is learnt from, and which hour is to be judged next."""

    usage_id: int
    hour_s: int
    turn: int


_MARK = sa.select(anomaly_mark.c.usage_id, anomaly_mark.c.hour_s, anomaly_mark.c.turn)
_TAKE = (
    sa.update(anomaly_mark)
    .where(anomaly_mark.c.turn == sa.bindparam("old_turn"))
    .values(
        turn=anomaly_mark.c.turn + 1,
        usage_id=sa.bindparam("new_usage_id"),
        hour_s=sa.bindparam("new_hour_s"),
    )
)


async def read_mark(tx: Tx) -> Mark:
    row = (await tx.execute(_MARK)).one()
    return Mark(row.usage_id, row.hour_s, row.turn)


async def take_turn(
    tx: Tx, mark: Mark, *, usage_id: int | None = None, hour_s: int | None = None
) -> bool:
    """Move the mark. False: somebody else did since it was read, and nothing may be written."""
    values = {
        "old_turn": mark.turn,
        "new_usage_id": mark.usage_id if usage_id is None else usage_id,
        "new_hour_s": mark.hour_s if hour_s is None else hour_s,
    }
    return (await tx.execute(_TAKE, values)).rowcount == 1


async def latest(tx: Tx, key_id: int, kind: str) -> AnomalyView | None:
    """The last event of that kind, which may go on."""
    where = (anomaly.c.key_id == key_id, anomaly.c.kind == kind)
    row = (await tx.execute(_VIEW.where(*where).order_by(anomaly.c.id.desc()).limit(1))).first()
    return None if row is None else _view(row)


async def insert(
    tx: Tx, kind: str, key_id: int, at_ms: int, evidence: Evidence, now_ms: int
) -> int:
    values = {
        "kind": kind,
        "key_id": key_id,
        "state": OPEN,
        "started_ms": at_ms,
        "last_ms": at_ms,
        "evidence": _encode(evidence).decode(),
        "created_ms": now_ms,
        "acknowledged_by": "",
        "note": "",
        "throttle": Throttle.OFF.value,
    }
    return int(await tx.scalar(sa.insert(anomaly).returning(anomaly.c.id), values))


async def extend(tx: Tx, anomaly_id: int, last_ms: int, evidence: Evidence) -> None:
    values = {"last_ms": last_ms, "evidence": _encode(evidence).decode()}
    await tx.execute(sa.update(anomaly).where(anomaly.c.id == anomaly_id).values(values))


async def end_quiet(tx: Tx, now_ms: int) -> int:
    """What was not seen for a while is over; how many were."""
    ended = 0
    for kind, quiet_ms in QUIET_MS.items():
        is_quiet = (anomaly.c.kind == kind.value, anomaly.c.last_ms < now_ms - quiet_ms)
        statement = sa.update(anomaly).where(anomaly.c.ended_ms.is_(None), *is_quiet)
        ended += (await tx.execute(statement.values(ended_ms=anomaly.c.last_ms))).rowcount
    return ended


async def find(tx: Tx, anomaly_id: int) -> AnomalyView | None:
    row = (await tx.execute(_VIEW.where(anomaly.c.id == anomaly_id))).first()
    return None if row is None else _view(row)


async def acknowledge(tx: Tx, anomaly_id: int, who: str, note: str, now_ms: int) -> bool:
    """False: somebody has done so already."""
    values = {
        "state": ACKNOWLEDGED,
        "acknowledged_by": who,
        "acknowledged_ms": now_ms,
        "note": note,
    }
    is_open = (anomaly.c.id == anomaly_id, anomaly.c.state == OPEN)
    return (await tx.execute(sa.update(anomaly).where(*is_open).values(values))).rowcount == 1


@dataclass(frozen=True, slots=True)
class Filter:
    """Which anomalies; None or nothing: whichever. `user_id`: of the keys of this account."""

    state: str | None = None
    kind: str | None = None
    key_id: int | None = None
    user_id: str | None = None

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        named = ((anomaly.c.state, self.state), (anomaly.c.kind, self.kind))
        found = [column == value for column, value in named if value is not None]
        if self.key_id is not None:
            found.append(anomaly.c.key_id == self.key_id)
        if self.user_id is not None:
            found.append(api_key.c.user_id == self.user_id)
        return found


async def page(
    tx: Tx, wanted: Filter, *, limit: int, before_id: int | None = None
) -> tuple[list[AnomalyView], int]:
    """Newest first, and how many there are in all."""
    query = _VIEW.where(*wanted.conditions)
    counted = sa.select(sa.func.count()).select_from(_WITH_KEY).where(*wanted.conditions)
    if before_id is not None:
        query = query.where(anomaly.c.id < before_id)
    rows = await tx.execute(query.order_by(anomaly.c.id.desc()).limit(limit))
    return [_view(row) for row in rows], int(await tx.scalar(counted) or 0)


async def clean(tx: Tx, before_ms: int) -> int:
    """Forget old ones that are over, acknowledged or not, unless they still throttle."""
    old = (
        anomaly.c.ended_ms < before_ms,
        anomaly.c.throttle == Throttle.OFF.value,
    )
    some = sa.select(anomaly.c.id).where(*old).limit(CLEAN_ROWS_MAX)
    return (await tx.execute(sa.delete(anomaly).where(anomaly.c.id.in_(some)))).rowcount


_WITH_KEY = anomaly.outerjoin(api_key, api_key.c.id == anomaly.c.key_id)
_COLUMNS = (
    *("id", "kind", "key_id", "state", "started_ms", "last_ms", "ended_ms", "evidence"),
    *("created_ms", "acknowledged_by", "acknowledged_ms", "note", "throttle"),
    "throttled_until_ms",
)
_VIEW = sa.select(
    *(anomaly.c[name] for name in _COLUMNS),
    sa.func.coalesce(api_key.c.label, "").label("key_label"),
    sa.func.coalesce(api_key.c.user_id, "").label("user_id"),
).select_from(_WITH_KEY)


def _view(row: sa.Row[tuple[object, ...]]) -> AnomalyView:
    values = dict(row._mapping)
    evidence = msgspec.json.decode(values.pop("evidence"), type=Evidence)
    return AnomalyView(**values, evidence=evidence)


# --- throttles ---


async def throttled(tx: Tx, key_id: int) -> list[tuple[int, Throttle, int | None]]:
    """The anomalies by which a key is throttled: id, how, and by which limit."""
    is_held = (anomaly.c.key_id == key_id, anomaly.c.throttle != Throttle.OFF.value)
    columns = (anomaly.c.id, anomaly.c.throttle, anomaly.c.limit_id)
    rows = await tx.execute(sa.select(*columns).where(*is_held).order_by(anomaly.c.id))
    return [(row.id, Throttle(row.throttle), row.limit_id) for row in rows]


async def set_throttle(
    tx: Tx, anomaly_id: int, throttle: Throttle, limit_id: int | None, until_ms: int | None
) -> None:
    values = {
        "throttle": throttle.value,
        "limit_id": limit_id,
        "throttled_until_ms": until_ms,
    }
    await tx.execute(sa.update(anomaly).where(anomaly.c.id == anomaly_id).values(values))


async def over_throttled(tx: Tx, now_ms: int, limit: int) -> list[int]:
    """Keys whose throttle was for a time, and that time is over."""
    is_over = (anomaly.c.throttled_until_ms <= now_ms, anomaly.c.throttle != Throttle.OFF.value)
    query = sa.select(anomaly.c.key_id).where(*is_over).distinct().limit(limit)
    return list((await tx.execute(query)).scalars())


async def key_throttles(tx: Tx, key_ids: Iterable[int]) -> dict[int, Throttle]:
    """What is said of these keys themselves."""
    query = sa.select(key_throttle.c.key_id, key_throttle.c.throttle)
    rows = await tx.execute(query.where(key_throttle.c.key_id.in_(list(key_ids))))
    return {row.key_id: Throttle(row.throttle) for row in rows}


async def set_key_throttle(tx: Tx, key_id: int, throttle: Throttle | None) -> None:
    await tx.execute(sa.delete(key_throttle).where(key_throttle.c.key_id == key_id))
    if throttle is not None:
        values = {"key_id": key_id, "throttle": throttle.value}
        await tx.execute(sa.insert(key_throttle).values(values))


async def keep_throttle(tx: Tx, anomaly_id: int) -> None:
    """It no longer ends by itself."""
    statement = sa.update(anomaly).where(anomaly.c.id == anomaly_id)
    await tx.execute(statement.values(throttled_until_ms=None))
