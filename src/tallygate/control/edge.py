"""/api/edge: how publishing to the edge stands, and publishing at once."""

import msgspec
from fastapi import APIRouter, Request, Response

from tallygate.clock import system_ms
from tallygate.control import bodies
from tallygate.control.languages import language_of
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.control.users import Language
from tallygate.core.diagnosis_wording import withheld_for
from tallygate.core.edge_commands import PublishEdge, Publishing
from tallygate.store import edge_status


class WithheldEdgeRoute(msgspec.Struct, kw_only=True):
    """A route that the edge must not serve, and why."""

    host: str | None
    path: str
    reason: str


class Edge(msgspec.Struct, kw_only=True):
    """`state`: `off`, `current`, `waiting`, `failing` or `over_quota`."""

    state: str
    namespace_id: str | None
    entries: int
    waiting: int
    waiting_revocations: int
    waiting_since: str | None
    writes_today: int
    deletes_today: int
    writes_per_day: int | None
    published_at: str | None
    reconciled_at: str | None
    retry_at: str | None
    error: str | None
    publisher: str | None
    withheld_routes: list[WithheldEdgeRoute]


class EdgePublishing(bodies.Body, kw_only=True):
    """`reconcile` compares everything that lies in KV first."""

    reconcile: bool = False


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/edge", tags=["edge"])

    @router.get("", **described(Edge))
    async def show_edge(request: Request, language: Language | None = None) -> Response:
        """How publishing to the edge stands; why a route is withheld is said in the language that
        is asked for, or in the caller's own."""
        spoken = await language_of(parts, request, language)
        async with parts.database.reading() as tx:
            found = await edge_status.publishing(
                tx,
                namespace_id=parts.edge_namespace_id,
                writes_per_day=parts.edge_writes_per_day,
                now_ms=system_ms(),
            )
        return bodies.answer(shown(found, spoken))

    @router.post("/publish", **described(Edge, body=EdgePublishing))
    async def publish_edge(request: Request) -> Response:
        """Publish what waits, now; 422 where there is no edge."""
        body = await bodies.read(request, EdgePublishing)
        done = await order(parts.clerk, request, PublishEdge(reconcile=body.reconcile), Publishing)
        return bodies.answer(shown(done))

    return router


def shown(status: Publishing, language: str = "") -> Edge:
    """As the API and the command line answer it."""
    return Edge(
        state=status.state,
        namespace_id=status.namespace_id or None,
        entries=status.entries,
        waiting=status.waiting,
        waiting_revocations=status.waiting_revocations,
        waiting_since=_time(status.waiting_since_ms),
        writes_today=status.writes_today,
        deletes_today=status.deletes_today,
        writes_per_day=status.writes_per_day or None,
        published_at=_time(status.published_ms),
        reconciled_at=_time(status.reconciled_ms),
        retry_at=_time(status.retry_ms),
        error=status.error or None,
        publisher=status.publisher or None,
        withheld_routes=[
            WithheldEdgeRoute(
                host=one.host or None, path=one.path, reason=withheld_for(one.reason, language)
            )
            for one in status.withheld
        ],
    )


def _time(at_ms: int) -> str | None:
    return bodies.rfc3339(at_ms) if at_ms else None
