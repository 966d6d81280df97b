"""Nodes, the lives of their workers, and how far the journal of each is settled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallygate.store.closing import close_boot
from tallygate.store.counters import Place
from tallygate.store.database import Tx
from tallygate.store.schema import boot, node


@dataclass(frozen=True, slots=True)
class Node:
    uuid: str
    name: str
    first_seen_ms: int
    last_seen_ms: int
    settled_seq: int  # everything before this feed number is settled
    retired_ms: int | None


@dataclass(frozen=True, slots=True)
class Boot:
    """One life of one worker. `segment` and `offset` are its journal's watermark."""

    id: int
    node: str
    slot: int
    boot: int
    started_ms: int
    ended_ms: int | None
    segment: int
    offset: int

    @property
    def watermark(self) -> tuple[int, int]:
        return self.segment, self.offset


_REGISTER = sa.text(
    "INSERT INTO node (uuid, name, first_seen_ms, last_seen_ms, settled_seq, retired_ms) "
    "VALUES (:uuid, :name, :now, :now, 0, NULL) ON CONFLICT (uuid) DO UPDATE "
    "SET name = excluded.name, last_seen_ms = excluded.last_seen_ms, retired_ms = NULL"
).bindparams(sa.bindparam("now", type_=sa.BigInteger))

_REGISTER_BOOT = sa.text(
    'INSERT INTO boot (node, slot, boot, started_ms, segment, "offset") '
    "VALUES (:node, :slot, :boot, :now, 0, 0) ON CONFLICT (node, slot, boot) DO NOTHING"
).bindparams(sa.bindparam("boot", type_=sa.BigInteger), sa.bindparam("now", type_=sa.BigInteger))


async def register_node(tx: Tx, uuid: str, name: str, now_ms: int) -> None:
    """A node starts, or starts again; one that was retired is in use once more."""
    await tx.execute(_REGISTER, {"uuid": uuid, "name": name, "now": now_ms})


async def heartbeat(tx: Tx, uuid: str, now_ms: int) -> None:
    is_earlier = sa.and_(node.c.uuid == uuid, node.c.last_seen_ms < now_ms)
    await tx.execute(sa.update(node).where(is_earlier).values(last_seen_ms=now_ms))


async def set_settled(tx: Tx, uuid: str, seq: int) -> None:
    """Everything this node answered before feed number `seq` is on the books."""
    is_earlier = sa.and_(node.c.uuid == uuid, node.c.settled_seq < seq)
    await tx.execute(sa.update(node).where(is_earlier).values(settled_seq=seq))


async def list_nodes(tx: Tx) -> list[Node]:
    rows = await tx.execute(sa.select(node).order_by(node.c.name, node.c.uuid))
    return [Node(**row) for row in rows.mappings()]


async def register_boot(tx: Tx, node_uuid: str, slot: int, boot_number: int, now_ms: int) -> Boot:
    """The row of one worker's life, made at its first hello; asking again changes nothing."""
    names = {"node": node_uuid, "slot": slot, "boot": boot_number}
    await tx.execute(_REGISTER_BOOT, {**names, "now": now_ms})
    query = sa.select(boot).where(
        boot.c.node == node_uuid, boot.c.slot == slot, boot.c.boot == boot_number
    )
    return _boots((await tx.execute(query)).mappings().all())[0]


async def live_boots(tx: Tx, node_uuid: str | None = None) -> list[Boot]:
    """Lives that nobody has ended yet: of one node, or of all."""
    query = sa.select(boot).where(boot.c.ended_ms.is_(None)).order_by(boot.c.id)
    if node_uuid is not None:
        query = query.where(boot.c.node == node_uuid)
    return _boots((await tx.execute(query)).mappings().all())


def _boots(rows: Sequence[sa.RowMapping]) -> list[Boot]:
    values: list[dict[str, Any]] = [{str(name): row[name] for name in row} for row in rows]
    return [Boot(**value) for value in values]


async def retire(tx: Tx, uuid: str, now_ms: int) -> dict[Place, int] | None:
    """Give up a dead node: what its workers held counts as spent. None: no such node in use.

    Should the node come back and settle what its journals still hold, those requests count once
    more: the limits stay kept, some units are wasted.
    """
    statement = sa.update(node).where(node.c.uuid == uuid, node.c.retired_ms.is_(None))
    if (await tx.execute(statement.values(retired_ms=now_ms))).rowcount != 1:
        return None
    spent: dict[Place, int] = {}
    for life in await live_boots(tx, uuid):
        summary = await close_boot(tx, life.id, {}, True, now_ms)
        for place, units in summary.spent.items():
            spent[place] = spent.get(place, 0) + units
    return spent
