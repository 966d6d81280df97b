"""/api/keeper: the runs over the credentials, and a run now."""

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies, lists
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.credential_commands import KeeperAsked, RunKeeper
from tallygate.store import keeper_runs
from tallygate.store.keeper_runs import DEAD_MS, RunView


class KeeperRun(msgspec.Struct, kw_only=True):
    """`state`: `running`, `done`, or `broken_off` for one that showed no more sign of life.

    `selection` says which credentials: `all`, `due` ones, or those `used within` some days.
    """

    id: str
    selection: str
    owner: str
    state: str
    started_at: str
    finished_at: str | None
    total: int
    refreshed: int
    failed: int
    quarantined: int
    deleted: int


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/keeper", tags=["credentials"])

    @router.get("/runs", **described(lists.Page[KeeperRun]))
    async def list_keeper_runs(limit: str | None = None, cursor: str | None = None) -> Response:
        """Runs of the last 30 days, of every node and of the command line, the latest first."""
        size, before_id = lists.read_limit(limit), lists.read_cursor(cursor)
        now_ms = await parts.database.clock_ms()
        async with parts.database.reading() as tx:
            rows, total = await keeper_runs.page(tx, limit=size + 1, before_id=before_id)
        items = [shown(row, now_ms) for row in rows[:size]]
        following = items[-1].id if len(rows) > size else None
        return bodies.answer(lists.Page(items=items, total=total, next=following))

    @router.post("/run", **described(KeeperAsked, status=202))
    async def run_keeper(request: Request) -> Response:
        """Look after all credentials now. While such a run is under way no other one begins."""
        return bodies.answer(await order(parts.clerk, request, RunKeeper(), KeeperAsked), 202)

    return router


def shown(run: RunView, now_ms: int) -> KeeperRun:
    return KeeperRun(
        id=str(run.id),
        selection=run.selection,
        owner=run.owner,
        state=_state(run, now_ms),
        started_at=bodies.rfc3339(run.started_ms) or "",
        finished_at=bodies.rfc3339(run.finished_ms),
        total=run.total,
        refreshed=run.refreshed,
        failed=run.failed,
        quarantined=run.quarantined,
        deleted=run.deleted,
    )


def _state(run: RunView, now_ms: int) -> str:
    if run.finished_ms is None:
        return "running" if run.alive_ms > now_ms - DEAD_MS else "broken_off"
    # Others end a dead run for it, later than its last sign of life.
    return "broken_off" if run.finished_ms - run.alive_ms > DEAD_MS else "done"
