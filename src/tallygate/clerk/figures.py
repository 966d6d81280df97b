"""What a clerk says of itself: for metrics, and for whoever looks at a node."""

from typing import TYPE_CHECKING, Any

import msgspec

from tallygate.core.errors import StoreUnavailable
from tallygate.core.master_key import identities
from tallygate.store import keeper_figures

if TYPE_CHECKING:
    from tallygate.clerk.clerk import Clerk


def of(clerk: "Clerk") -> dict[str, Any]:
    lives = list(clerk.settler.lives.values())
    return {
        "node": clerk.options.node_name,
        "master_keys": identities(clerk.options.master_key),
        "workers": clerk.peers.described(),
        "refused": [life.refused for life in lives if life.refused],
        "deliveries": clerk.billing.faring(),
        "figures": {
            "is_store_available": int(clerk.is_store_available),
            "feed_seq": clerk.feed.cursor,
            "deliveries_waiting": clerk.billing.waiting,
            "delivery_batches": clerk.billing.batches,
            "deliveries_answered": clerk.billing.statuses.total(),
            "lease_syncs": clerk.leases.syncs,
            "lease_recalls": clerk.leases.recalls,
            "journals_open": sum(life.is_open for life in lives),
            "journals_refused": sum(bool(life.refused) for life in lives),
            "journal_lag_bytes": sum(
                life.tail.lag_bytes(life.position) for life in lives if life.is_open
            ),
            "entries_settled": sum(life.settled for life in lives),
            **{f"edge_{name}": value for name, value in clerk.edge.figures.items()},
            **{f"traces_{name}": value for name, value in clerk.traces.figures.items()},
            "frames_set_aside": sum(life.corruptions for life in lives),
        },
    }


async def of_keeper(clerk: "Clerk") -> dict[str, Any] | None:
    """What the store says of it; None while the store does not answer."""
    try:
        async with clerk.db.reading() as tx:
            found = await keeper_figures.read(tx, clerk.clock.now_ms())
    except StoreUnavailable:
        return None
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain
