"""Nodes: giving up a dead one."""

from typing import Any

from tallygate.clerk.commands.context import Context
from tallygate.core.commands import RetireNode
from tallygate.core.errors import Code, Refusal
from tallygate.store import nodes

ALIVE_MS = 10_000


async def retire(context: Context, wanted: RetireNode) -> dict[str, Any]:
    """What it had leased counts as spent: its workers may still be serving somewhere."""
    found = [
        node for node in await nodes.list_nodes(context.tx) if wanted.node in (node.uuid, node.name)
    ]
    in_use = [node for node in found if node.retired_ms is None]
    if not in_use:
        raise Refusal(Code.NOT_FOUND, f"no node in use is named {wanted.node!r}")
    if len(in_use) > 1:
        raise Refusal(Code.CONFLICT, "several nodes bear this name; give the node's uuid")
    node = in_use[0]
    if context.now_ms - node.last_seen_ms < ALIVE_MS:
        raise Refusal(Code.CONFLICT, f"node {node.name!r} is alive: stop it first")
    spent = await nodes.retire(context.tx, node.uuid, context.now_ms) or {}
    units = {f"{limit_id}/{window_s}": amount for (limit_id, window_s), amount in spent.items()}
    await context.audit("node.retire", f"node:{node.uuid}", {"name": node.name}, {"spent": units})
    return {"node": node.name, "spent": units}
