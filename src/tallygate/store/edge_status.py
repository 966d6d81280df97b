"""How publishing to the edge stands, out of its two tables."""

import msgspec

from tallygate.core.edge_commands import Publishing, WithheldRoute, state_of, utc_day
from tallygate.store import edge_entries as entries
from tallygate.store.database import Tx


async def publishing(tx: Tx, *, namespace_id: str, writes_per_day: int, now_ms: int) -> Publishing:
    """`namespace_id` "": there is no edge."""
    row = await entries.publisher(tx)
    lying, waiting, revocations, since_ms = await entries.counts(tx)
    is_today = row.day == utc_day(now_ms)
    return Publishing(
        state=state_of(
            is_on=bool(namespace_id),
            waiting=waiting,
            failures=row.failures,
            is_over_quota=is_today and row.left > 0,
        ),
        namespace_id=namespace_id,
        entries=lying,
        waiting=waiting,
        waiting_revocations=revocations,
        waiting_since_ms=since_ms or 0,
        writes_today=row.writes if is_today else 0,
        deletes_today=row.deletes if is_today else 0,
        writes_per_day=writes_per_day,
        published_ms=row.published_ms,
        reconciled_ms=row.reconciled_ms,
        retry_ms=row.next_ms if row.failures else 0,
        error=row.error,
        publisher=row.owner if row.until_ms > now_ms else "",
        withheld=msgspec.json.decode(row.withheld, type=list[WithheldRoute]),
    )
