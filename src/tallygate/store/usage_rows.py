"""Rows of usage one by one, for exports: as many as there are, in bounded memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import sqlalchemy as sa

from tallygate.core.usage_window import Window
from tallygate.store.analytics import Filter
from tallygate.store.database import Tx
from tallygate.store.schema import usage

PAGE_ROWS = 1_000

Reading = Callable[[], AbstractAsyncContextManager[Tx]]


@dataclass(frozen=True, slots=True)
class SingleUse:
    """One row of usage, for an export."""

    id: int
    at_ms: int
    key_id: int
    user_id: str
    route: str
    model: str
    provider: str
    status: int
    outcome: str
    duration_ms: int
    first_byte_ms: int
    input_tokens: int
    output_tokens: int
    counts: str | None
    charge_micros: int
    address: str
    agent: str
    request_id: str


async def stream(
    reading: Reading, window: Window, wanted: Filter
) -> AsyncIterator[list[SingleUse]]:
    """All rows of a window by time, some at a time, each lot in a transaction of its own: whoever
    reads slowly keeps nothing open.
    """
    columns = [usage.c[name] for name in SingleUse.__dataclass_fields__]
    query = sa.select(*columns).where(usage.c.at_ms < window.end_s * 1000)
    query = query.order_by(usage.c.at_ms, usage.c.id).limit(PAGE_ROWS)
    at_ms, id_ = window.start_s * 1000, 0
    while True:
        since = (usage.c.at_ms >= at_ms) & ((usage.c.at_ms > at_ms) | (usage.c.id > id_))
        async with reading() as tx:
            page = query.where(since, *wanted.conditions(usage, tx.dialect))
            rows = [SingleUse(**row) for row in (await tx.execute(page)).mappings()]
        if rows:
            yield rows
        if len(rows) < PAGE_ROWS:
            return
        at_ms, id_ = rows[-1].at_ms, rows[-1].id
