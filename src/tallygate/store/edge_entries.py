"""What lies in Cloudflare's KV and what should: entries, and the one row of whoever publishes.

An entry waits while the two differ. Nothing here talks to Cloudflare: what was published is entered
when Cloudflare has said so, and published again if nobody came to enter it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.store.database import Tx
from tallygate.store.edge_schema import edge_entry, edge_publisher

REVOKING, OTHERS = range(2)  # rank: what changes something that lies there may revoke it
THE_ROW = 1
_AT_ONCE_MAX = 500  # names in one statement


class Entry(msgspec.Struct, frozen=True):
    """A name in KV; `key_id` 0: no token's."""

    name: str
    key_id: int
    wanted: str
    published: str
    rank: int
    wanted_ms: int
    published_ms: int


class Publisher(msgspec.Struct, kw_only=True):
    """How publishing stands."""

    place: str = ""
    owner: str = ""
    until_ms: int = 0
    feed_seq: int = 0
    compared_ms: int = 0
    reconciled_ms: int = 0
    day: str = ""
    writes: int = 0
    deletes: int = 0
    published_ms: int = 0
    failures: int = 0
    failing_ms: int = 0
    next_ms: int = 0
    error: str = ""
    left: int = 0
    withheld: str = "[]"


_ENTRY = sa.select(*(edge_entry.c[name] for name in Entry.__struct_fields__))
_WAITS = edge_entry.c.wanted != edge_entry.c.published


async def publisher(tx: Tx) -> Publisher:
    columns = (edge_publisher.c[name] for name in Publisher.__struct_fields__)
    row = (await tx.execute(sa.select(*columns))).first()
    return Publisher() if row is None else Publisher(**row._mapping)


async def claim(tx: Tx, owner: str, now_ms: int, until_ms: int) -> bool:
    """Mine to publish until then, unless another one's time is not over."""
    if await tx.scalar(sa.select(edge_publisher.c.id)) is None:
        await _make_row(tx)
    is_free = sa.or_(edge_publisher.c.owner == owner, edge_publisher.c.until_ms <= now_ms)
    statement = sa.update(edge_publisher).where(is_free)
    return (await tx.execute(statement.values(owner=owner, until_ms=until_ms))).rowcount == 1


async def save(tx: Tx, node: str, /, **changes: Any) -> bool:
    """Change the row, unless it is another's by now."""
    statement = sa.update(edge_publisher).where(edge_publisher.c.owner == node)
    return (await tx.execute(statement.values(changes))).rowcount == 1


async def _make_row(tx: Tx) -> None:
    """Two nodes may begin at once."""
    if tx.dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]  # same methods
    row = insert(edge_publisher).values(id=THE_ROW, **msgspec.structs.asdict(Publisher()))
    await tx.execute(row.on_conflict_do_nothing())


async def named(tx: Tx, names: Sequence[str]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for start in range(0, len(names), _AT_ONCE_MAX):
        query = _ENTRY.where(edge_entry.c.name.in_(names[start : start + _AT_ONCE_MAX]))
        found |= {row.name: Entry(**row._mapping) for row in await tx.execute(query)}
    return found


async def of_keys(tx: Tx, key_ids: Sequence[int]) -> list[Entry]:
    query = _ENTRY.where(edge_entry.c.key_id.in_(key_ids))
    return [Entry(**row._mapping) for row in await tx.execute(query)]


async def waiting(tx: Tx, limit: int) -> list[Entry]:
    """Those to be published next: what revokes first, then the oldest."""
    order = (edge_entry.c.rank, edge_entry.c.wanted_ms, edge_entry.c.name)
    query = _ENTRY.where(_WAITS).order_by(*order).limit(limit)
    return [Entry(**row._mapping) for row in await tx.execute(query)]


async def counts(tx: Tx) -> tuple[int, int, int, int | None]:
    """How many lie in KV, wait, wait and revoke; and since when the oldest of those waits."""
    number = sa.select(sa.func.count()).select_from(edge_entry)
    oldest = sa.select(sa.func.min(edge_entry.c.wanted_ms)).where(_WAITS)
    return (
        int(await tx.scalar(number.where(edge_entry.c.published != ""))),
        int(await tx.scalar(number.where(_WAITS))),
        int(await tx.scalar(number.where(_WAITS, edge_entry.c.rank == REVOKING))),
        await tx.scalar(oldest),
    )


async def after(tx: Tx, name: str, limit: int) -> list[Entry]:
    """All of them by name, page by page."""
    query = _ENTRY.where(edge_entry.c.name > name).order_by(edge_entry.c.name).limit(limit)
    return [Entry(**row._mapping) for row in await tx.execute(query)]


async def put(tx: Tx, entries: Iterable[Entry]) -> None:
    """Write them whole; one that is neither wanted nor there is forgotten."""
    all_of_them = list(entries)
    names = [one.name for one in all_of_them]
    for start in range(0, len(names), _AT_ONCE_MAX):
        some = names[start : start + _AT_ONCE_MAX]
        await tx.execute(sa.delete(edge_entry).where(edge_entry.c.name.in_(some)))
    kept = [msgspec.structs.asdict(one) for one in all_of_them if one.wanted or one.published]
    if kept:
        await tx.execute(sa.insert(edge_entry), kept)


async def published(tx: Tx, texts: Mapping[str, str], now_ms: int) -> None:
    """These digests lie in KV now, "" where nothing does."""
    known = await named(tx, list(texts))
    await put(
        tx,
        (
            msgspec.structs.replace(known[name], published=digest, published_ms=now_ms)
            for name, digest in texts.items()
            if name in known
        ),
    )


async def forget_published(tx: Tx) -> None:
    """Nothing lies in KV: it is another one."""
    await tx.execute(sa.update(edge_entry).values(published="", published_ms=0))
    await tx.execute(sa.delete(edge_entry).where(edge_entry.c.wanted == ""))
