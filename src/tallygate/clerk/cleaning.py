"""Deleting old usage: many small transactions, since leases must not wait for a million rows."""

from tallygate.clerk.commands.context import DAY_MS, bad
from tallygate.clerk.writer import Writer
from tallygate.core.commands import CleanUsage
from tallygate.core.ports import Actor
from tallygate.store import audit, usage
from tallygate.store.database import Database


async def clean_usage(
    db: Database, writer: Writer, now_ms: int, wanted: CleanUsage, actor: Actor
) -> dict[str, int]:
    if wanted.older_than_days < 1:
        raise bad("older_than_days must be at least 1", "older_than_days")
    before_ms = now_ms - wanted.older_than_days * DAY_MS
    if wanted.is_dry_run:
        async with db.reading() as tx:
            return {"deleted": await usage.count_rows(tx, before_ms)}
    total = 0
    while deleted := await writer.do("clean usage", lambda tx, _: usage.clean(tx, before_ms)):
        total += deleted
    await writer.do(
        "audit",
        lambda tx, at_ms: audit.record(
            tx, actor, wanted.NAME, "usage", None, {"deleted": total}, at_ms
        ),
    )
    return {"deleted": total}
