"""Sealing anew: everything that rests sealed is opened and sealed under the ring's first key.

Row by row, a few at a time, each only if it is still what was read; so it may be stopped and begun
again at any moment, beside a server that reads and writes the same rows.
"""

import secrets
from collections.abc import Callable
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from tallygate.core import sealing
from tallygate.store import credentials, routes, schema
from tallygate.store.database import Database
from tallygate.store.keeper_schema import credential
from tallygate.store.money_schema import dify_app
from tallygate.store.routes_schema import route

ROWS_PER_PORTION: Final = 200


class Sealed(msgspec.Struct, frozen=True):
    """A column of sealed secrets. `purpose` is made from the row's `named` columns."""

    column: sa.Column[Any]
    named: tuple[str, ...]
    purpose: Callable[..., str]

    @property
    def table(self) -> sa.Table:
        found = self.column.table
        assert isinstance(found, sa.Table), "a column of the schema is in a table"
        return found


SEALED: Final = (
    Sealed(schema.key_secret.c.sealed, ("key_id",), "key_secret.sealed:{}".format),
    Sealed(schema.provider.c.sealed, ("name",), "provider.sealed:{}".format),
    Sealed(schema.idempotency.c.answer, ("scope", "key"), "idempotency.answer:{}:{}".format),
    Sealed(dify_app.c.sealed, ("name",), "dify_app.sealed:{}".format),
    Sealed(credential.c.sealed, ("id",), credentials.purpose),
    Sealed(route.c.sealed, ("id",), routes.purpose),
)


class Resealed(msgspec.Struct, kw_only=True):
    """`shut`: what none of the ring's keys opens; it is left as it is."""

    sealed_anew: int = 0
    done_before: int = 0
    shut: int = 0


async def reseal(db: Database, ring: bytes) -> Resealed:
    """All of it; what is sealed under the first key already only costs a look."""
    report = Resealed()
    for one in SEALED:
        after: tuple[Any, ...] | None = None
        while (after := await _portion(db, ring, one, after, report)) is not None:
            pass
    return report


async def _portion(
    db: Database, ring: bytes, one: Sealed, after: tuple[Any, ...] | None, report: Resealed
) -> tuple[Any, ...] | None:
    """Some rows; answers the last one's key, or None behind the last."""
    keys = list(one.table.primary_key.columns)
    query = sa.select(*keys, *(one.table.c[name].label(f"named_{name}") for name in one.named))
    query = query.add_columns(one.column.label("closed")).where(one.column.is_not(None))
    if after is not None:
        query = query.where(sa.tuple_(*keys) > sa.tuple_(*(sa.literal(part) for part in after)))
    async with db.reading() as tx:
        rows = (await tx.execute(query.order_by(*keys).limit(ROWS_PER_PORTION))).all()
    changes = []
    for row in rows:
        purpose = one.purpose(*(row._mapping[f"named_{name}"] for name in one.named))
        closed, place = bytes(row.closed), tuple(row)[: len(keys)]
        if sealing.is_sealed_anew(ring, closed, purpose):
            report.done_before += 1
        elif (opened := _opened(ring, closed, purpose)) is None:
            report.shut += 1
        else:
            nonce = secrets.token_bytes(sealing.NONCE_BYTES)
            changes.append((place, closed, sealing.seal(ring, opened, purpose, nonce)))
    await _write(db, one, changes, report)
    return tuple(rows[-1])[: len(keys)] if len(rows) == ROWS_PER_PORTION else None


async def _write(
    db: Database, one: Sealed, changes: list[tuple[tuple[Any, ...], bytes, bytes]], report: Resealed
) -> None:
    if not changes:
        return
    keys = list(one.table.primary_key.columns)
    async with db.writing() as tx:
        for place, closed, sealed in changes:
            same = [column == part for column, part in zip(keys, place, strict=True)]
            change = sa.update(one.table).where(*same, one.column == closed)
            # One that was changed meanwhile is seen by the next pass.
            report.sealed_anew += (
                await tx.execute(change.values({one.column.name: sealed}))
            ).rowcount


def _opened(ring: bytes, closed: bytes, purpose: str) -> bytes | None:
    try:
        return sealing.unseal(ring, closed, purpose)
    except sealing.Unsealable:
        return None
