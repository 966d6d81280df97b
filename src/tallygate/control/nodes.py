"""/api/nodes: the nodes that share the store, and giving up a dead one."""

from typing import Any

import msgspec
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from tallygate.control import bodies, lists
from tallygate.control.openapi import described
from tallygate.control.orders import order
from tallygate.control.parts import Parts
from tallygate.core.commands import RetireNode
from tallygate.store import schema


class Node(msgspec.Struct, kw_only=True):
    """A node; `retired_at` when an operator gave it up."""

    uuid: str
    name: str
    first_seen: str
    last_seen: str
    retired_at: str | None


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/api/nodes", tags=["nodes"])

    @router.get("", **described(lists.Page[Node]))
    async def list_nodes(limit: str | None = None, cursor: str | None = None) -> Response:
        """Every node that ever used this store, by the time it came."""
        query = sa.select(schema.node).order_by(schema.node.c.first_seen_ms, schema.node.c.uuid)
        async with parts.database.reading() as tx:
            found = [_node(row) for row in await tx.execute(query)]
        return bodies.answer(lists.cut(found, limit, cursor))

    @router.post("/{node}/retire", **described(dict[str, Any]))
    async def retire_node(request: Request, node: str) -> Response:
        """Give up a dead node, by its uuid or name: what it had leased counts as spent."""
        await bodies.read(request, bodies.Body)
        return bodies.answer(
            await order(parts.clerk, request, RetireNode(node=node), dict[str, Any])
        )

    return router


def _node(row: Any) -> Node:  # a row of SQLAlchemy
    return Node(
        uuid=row.uuid,
        name=row.name,
        first_seen=bodies.rfc3339(row.first_seen_ms) or "",
        last_seen=bodies.rfc3339(row.last_seen_ms) or "",
        retired_at=bodies.rfc3339(row.retired_ms),
    )
