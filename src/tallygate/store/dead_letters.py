"""Dead letters: deliveries that were refused although money was at stake, one row per payload.

The same payload sent again counts on in its row. A row that somebody has closed stays as it is,
unless what was sent in again is refused once more.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from tallygate.core.redaction import redacted
from tallygate.store.database import Tx
from tallygate.store.money_schema import dead_letter

OPEN, REPLAYED, DISMISSED = "open", "replayed", "dismissed"


class NewLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A refused event. `payload` is what came, before its secrets were taken out."""

    source: str
    instance: str
    app: str
    account_id: str
    code: str
    message: str
    payload: bytes
    charge_id: int | None = None

    @property
    def digest(self) -> bytes:
        named = f"{self.source}\n{self.app}\n{self.account_id}\n".encode()
        return hashlib.sha256(named + self.payload).digest()


class Letter(msgspec.Struct, kw_only=True):
    """A dead letter as it is kept."""

    id: int
    source: str
    instance: str
    app: str
    account_id: str
    code: str
    message: str
    payload: str
    state: str
    deliveries: int
    charge_id: int | None
    received_ms: int
    seen_ms: int


_SELECTED = tuple(dead_letter.c[name] for name in Letter.__struct_fields__)
_RECORD = sa.text(
    "INSERT INTO dead_letter (source, instance, app, account_id, code, message, payload, state,"
    " deliveries, digest, charge_id, received_ms, seen_ms)"
    " VALUES (:source, :instance, :app, :account_id, :code, :message, :payload, 'open',"
    " :deliveries, :digest, :charge_id, :now_ms, :now_ms)"
    " ON CONFLICT (digest) DO UPDATE SET"
    " deliveries = dead_letter.deliveries + excluded.deliveries,"
    " seen_ms = excluded.seen_ms, code = excluded.code, message = excluded.message,"
    " state = CASE WHEN dead_letter.state = 'dismissed' THEN 'dismissed' ELSE 'open' END"
)


async def record(tx: Tx, letters: Iterable[NewLetter], now_ms: int) -> None:
    """Keep them, in the order of their digests: two who keep the same ones do not block."""
    rows: dict[bytes, dict[str, Any]] = {}
    for letter in letters:
        row = rows.get(letter.digest)
        if row is not None:
            row["deliveries"] += 1
            continue
        rows[letter.digest] = {
            "source": letter.source,
            "instance": letter.instance,
            "app": letter.app,
            "account_id": letter.account_id,
            "code": letter.code,
            "message": letter.message,
            "payload": redacted(letter.payload),
            "deliveries": 1,
            "digest": letter.digest,
            "charge_id": letter.charge_id,
            "now_ms": now_ms,
        }
    for _, row in sorted(rows.items()):
        await tx.execute(_RECORD, row)


async def find(tx: Tx, letter_id: int, *, is_locked: bool = False) -> Letter | None:
    query = sa.select(*_SELECTED).where(dead_letter.c.id == letter_id)
    row = (await tx.execute(query.with_for_update() if is_locked else query)).first()
    return None if row is None else Letter(**row._mapping)


async def close(tx: Tx, letter_id: int, state: str, charge_id: int | None) -> None:
    values = {"state": state, "charge_id": charge_id}
    await tx.execute(sa.update(dead_letter).where(dead_letter.c.id == letter_id).values(**values))


async def note(tx: Tx, letter_id: int, code: str, message: str) -> None:
    """It was sent in again, and refused again."""
    values = {"code": code, "message": message, "state": OPEN}
    await tx.execute(sa.update(dead_letter).where(dead_letter.c.id == letter_id).values(**values))


async def page(
    tx: Tx, *, limit: int, before_id: int | None = None, state: str | None = None
) -> list[Letter]:
    """Newest first."""
    query = sa.select(*_SELECTED).order_by(dead_letter.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(dead_letter.c.id < before_id)
    if state is not None:
        query = query.where(dead_letter.c.state == state)
    return [Letter(**row._mapping) for row in await tx.execute(query)]


async def count(tx: Tx, *, state: str | None = None) -> int:
    query = sa.select(sa.func.count()).select_from(dead_letter)
    if state is not None:
        query = query.where(dead_letter.c.state == state)
    return int(await tx.scalar(query) or 0)
