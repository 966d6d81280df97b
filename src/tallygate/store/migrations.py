"""Bring a store to the schema of this code, or say in one line why this code may not use it.

One transaction does all of it, under a lock that lets two processes start at once: a migration
either happened or did not. `store.version` says which schema a store has and `store.min_code` which
code may still use it, so that newer code can migrate while older code serves.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from tallygate.core.errors import StoreRefused
from tallygate.store import schema
from tallygate.store.database import Database, Tx
from tallygate.store.points_views import create_points_views
from tallygate.store.postgresql import LOCK_TIMEOUT_MS, SCHEMA
from tallygate.store.views import create_views

MIGRATION_DEADLINE_S = 600.0
ADVISORY_LOCK = 0x7A11_9A7E  # this number means «a Tallygate store is being migrated»
VERSION_TABLE = "alembic_version"


@dataclass(frozen=True, slots=True)
class _Found:
    """What a store says of itself. All None: it has no schema of ours."""

    revision: int | None  # what Alembic wrote
    version: int | None  # what our own row says
    min_code: int | None

    @property
    def is_empty(self) -> bool:
        return self.revision is None and self.version is None


async def migrate(db: Database, new_uuid: Callable[[], uuid.UUID] = uuid.uuid4) -> None:
    """Bring the store to this code's schema; harmless when it is there already."""
    now_ms = await _system_ms(db)
    async with db.writing(deadline_s=MIGRATION_DEADLINE_S) as tx:
        if tx.dialect == "postgresql":
            await _wait_for_others(tx)
            await tx.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        found = await tx.run_sync(_look)
        _refuse_if_unusable(found)
        if found.version is not None and found.version >= schema.SCHEMA_VERSION:
            return
        await tx.run_sync(_upgrade)
        await create_views(tx)
        await create_points_views(tx)
        await _write_version(tx, str(new_uuid()), now_ms, is_new=found.is_empty)


async def _wait_for_others(tx: Tx) -> None:
    """One process migrates at a time, however long it takes; tables are not waited for so long."""
    await tx.execute(sa.text("SET LOCAL lock_timeout TO 0"))
    await tx.execute(sa.text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
    await tx.execute(sa.text(f"SET LOCAL lock_timeout TO {LOCK_TIMEOUT_MS}"))


async def check_schema(db: Database) -> None:
    """StoreRefused, with one clear line, unless this code may use the store as it is."""
    async with db.reading() as tx:
        found = await tx.run_sync(_look)
    _refuse_if_unusable(found)
    if found.is_empty:
        raise StoreRefused("the store is empty: run `tallygate db migrate`")
    if found.version is not None and found.version < schema.SCHEMA_VERSION:
        raise StoreRefused(
            f"the store has schema {found.version}, older than this code's "
            f"{schema.SCHEMA_VERSION}: run `tallygate db migrate`"
        )


async def store_uuid(tx: Tx) -> str:
    """Which store this is; journals carry it, so that they are never settled into another one."""
    return str(await tx.scalar(sa.select(schema.store.c.uuid)))


async def _system_ms(db: Database) -> int:
    if db.dialect == "sqlite":
        return db.system_clock_ms()
    return await db.clock_ms()


def _refuse_if_unusable(found: _Found) -> None:
    if found.is_empty:
        return
    if found.version is None or found.revision is None or found.revision != found.version:
        raise StoreRefused(
            f"the store is half migrated (steps done: {found.revision}, recorded: "
            f"{found.version}): restore a backup"
        )
    if found.min_code is not None and found.min_code > schema.SCHEMA_VERSION:
        raise StoreRefused(
            f"the store has schema {found.version} and needs code for schema {found.min_code} or "
            f"newer; this code knows {schema.SCHEMA_VERSION}: upgrade Tallygate"
        )


def _look(connection: sa.Connection) -> _Found:
    place = SCHEMA if connection.dialect.name == "postgresql" else None
    tables = set(sa.inspect(connection).get_table_names(schema=place))
    revision = version = min_code = None
    if VERSION_TABLE in tables:
        written = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
        revision = int(written) if written is not None else None
    if "store" in tables:
        row = connection.execute(sa.select(schema.store.c.version, schema.store.c.min_code)).first()
        version, min_code = row or (None, None)
        if row is None and revision is None:
            revision = 0  # our table without a row and without a revision: half migrated
    return _Found(revision, version, min_code)


def _upgrade(connection: sa.Connection) -> None:
    # 13 MB and half a second, for stores that are not at this schema yet and for nobody else.
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(__file__).parent))
    context = MigrationContext.configure(connection)
    done = context.get_current_revision()
    steps = list(scripts.iterate_revisions("head", done or "base"))
    with Operations.context(context):
        for step in reversed(steps):
            step.module.upgrade()
            context.stamp(scripts, step.revision)


async def _write_version(tx: Tx, new_uuid: str, now_ms: int, *, is_new: bool) -> None:
    numbers = {"version": schema.SCHEMA_VERSION, "min_code": schema.MIN_CODE}
    if is_new:
        row = {"id": 1, "uuid": new_uuid, "feed_seq": 0, "created_ms": now_ms, "clock_ms": now_ms}
        await tx.execute(sa.insert(schema.store), {**row, **numbers})
    else:
        await tx.execute(sa.update(schema.store).values(numbers))
