"""Reported events of late, and indexes for rankings on PostgreSQL. Frozen: it is what version 12
added, whatever came since.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "usage_event_recent",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("seen_ms", big, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    if op.get_bind().dialect.name == "postgresql":
        _indexes()


def _indexes() -> None:
    """They hold all that is asked, but only of pages that were vacuumed: so that is done early."""
    often = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02"
    for statement in (
        "CREATE INDEX rollup_day_sums ON rollup_day (bucket_s, key_id, model) INCLUDE"
        " (uses, client_errors, server_errors, failures,"
        " input_tokens, output_tokens, cached_tokens, charge_micros)",
        "CREATE INDEX rollup_hour_uses ON rollup_hour (key_id, bucket_s) INCLUDE (uses)",
        "DROP INDEX rollup_hour_of_key",
        "ALTER INDEX rollup_hour_uses RENAME TO rollup_hour_of_key",
        f"ALTER TABLE rollup_day SET ({often})",
        f"ALTER TABLE rollup_hour SET ({often})",
    ):
        op.execute(statement)
