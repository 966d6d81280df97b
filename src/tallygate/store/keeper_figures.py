"""The keeper in numbers, for metrics: what there is, what the last run came to, who was told."""

from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.core import credential_notices
from tallygate.store import keeper_runs
from tallygate.store.database import Tx
from tallygate.store.keeper_schema import credential, keeper_run
from tallygate.store.money_schema import notice

_ENDS = tuple(name for name in keeper_runs.TOTALS if name != "total")


class Figures(msgspec.Struct, kw_only=True):
    """`credentials` by kind and state; `alerts` by kind and whether a channel took them."""

    credentials: list[tuple[str, str, int]]
    last_run: dict[str, int] | None
    last_run_ms: int  # how long it took
    silent_ms: int | None  # since somebody last looked after all of them
    alerts: list[tuple[str, bool, int]]


async def read(tx: Tx, now_ms: int) -> Figures:
    latest_ms = await keeper_runs.latest_ms(tx)
    last = await _last_run(tx)
    return Figures(
        credentials=await _credentials(tx),
        last_run=None if last is None else {name: last[name] for name in _ENDS},
        last_run_ms=0 if last is None else last["finished_ms"] - last["started_ms"],
        silent_ms=None if latest_ms is None else max(0, now_ms - latest_ms),
        alerts=await _alerts(tx),
    )


async def _credentials(tx: Tx) -> list[tuple[str, str, int]]:
    kind_and_state = (credential.c.kind, credential.c.state)
    query = sa.select(*kind_and_state, sa.func.count().label("number")).group_by(*kind_and_state)
    rows = await tx.execute(query.order_by(*kind_and_state))
    return [(row.kind, row.state, int(row.number)) for row in rows]


async def _last_run(tx: Tx) -> Any:  # a row mapping of SQLAlchemy, or None
    done = (keeper_run.c.finished_ms.is_not(None), keeper_runs.over_all())
    query = sa.select(keeper_run).where(*done).order_by(keeper_run.c.id.desc()).limit(1)
    row = (await tx.execute(query)).first()
    return None if row is None else row._mapping


async def _alerts(tx: Tx) -> list[tuple[str, bool, int]]:
    is_sent = (notice.c.sent != "").label("is_sent")
    query = sa.select(notice.c.kind, is_sent, sa.func.count().label("number"))
    ours = query.where(notice.c.kind.in_(credential_notices.KINDS))
    rows = await tx.execute(ours.group_by(notice.c.kind, is_sent).order_by(notice.c.kind, is_sent))
    return [(row.kind, bool(row.is_sent), int(row.number)) for row in rows]
