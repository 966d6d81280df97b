"""Ids of deliveries: the same id with another payload is a mistake of the sender's.

Only the payload's digest is remembered. What a repeated delivery is answered with follows from its
events, which are charged once whoever repeats them.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from tallygate.store import schema
from tallygate.store.database import Tx

SCOPE = "delivery"

_records = schema.idempotency
_CLAIM = sa.text(
    "INSERT INTO idempotency (scope, key, payload_hash, state, owner, request_id, status,"
    " content_type, expires_ms)"
    " VALUES ('delivery', :key, :digest, 'done', '', '', 0, '', :expires_ms)"
    " ON CONFLICT (scope, key) DO UPDATE SET payload_hash = excluded.payload_hash,"
    " expires_ms = excluded.expires_ms WHERE idempotency.expires_ms <= :now_ms"
)
_FIND = sa.select(_records.c.key, _records.c.payload_hash).where(
    _records.c.scope == SCOPE, _records.c.key.in_(sa.bindparam("keys", expanding=True))
)


async def claim(
    tx: Tx, digests: Mapping[str, bytes], now_ms: int, keep_ms: int
) -> dict[str, bytes]:
    """Remember these ids; for each the digest of the payload that it came with first."""
    if not digests:
        return {}
    times = {"now_ms": now_ms, "expires_ms": now_ms + keep_ms}
    keys = sorted(digests)  # in one order by everyone, so nobody waits in a circle
    await tx.execute(_CLAIM, [{"key": key, "digest": digests[key], **times} for key in keys])
    found = await tx.execute(_FIND, {"keys": keys})
    return {row.key: bytes(row.payload_hash) for row in found}
