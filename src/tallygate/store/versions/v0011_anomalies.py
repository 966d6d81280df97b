"""Anomalies. Frozen: it is what version 11 added, whatever came since."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _events()
    _habits()
    op.create_table(
        "anomaly_mark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("usage_id", big, nullable=False),
        sa.Column("hour_s", big, nullable=False),
        sa.Column("turn", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO anomaly_mark (id, usage_id, hour_s, turn) VALUES (1, 0, 0, 0)")


def _events() -> None:
    op.create_table(
        "anomaly",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key_id", big, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_ms", big, nullable=False),
        sa.Column("last_ms", big, nullable=False),
        sa.Column("ended_ms", big, nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("acknowledged_by", sa.Text(), nullable=False),
        sa.Column("acknowledged_ms", big, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("throttle", sa.Text(), nullable=False),
        sa.Column("limit_id", big, nullable=True),
        sa.Column("throttled_until_ms", big, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("anomaly_of_key", "anomaly", ["key_id", "id"], unique=False)
    op.create_index(
        "anomaly_ongoing",
        "anomaly",
        ["key_id", "kind"],
        unique=True,
        sqlite_where=sa.text("ended_ms IS NULL"),
        postgresql_where=sa.text("ended_ms IS NULL"),
    )


def _habits() -> None:
    op.create_table(
        "key_source",
        sa.Column("key_id", big, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("first_ms", big, nullable=False),
        sa.Column("last_ms", big, nullable=False),
        sa.Column("days", big, nullable=False),
        sa.Column("uses", big, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "kind", "name"),
    )
    op.create_index("ix_key_source_last_ms", "key_source", ["last_ms"], unique=False)
    op.create_table(
        "key_habit",
        sa.Column("key_id", big, autoincrement=False, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("first_ms", big, nullable=False),
        sa.Column("last_ms", big, nullable=False),
        sa.Column("gap_ms", big, nullable=False),
        sa.Column("days", big, nullable=False),
        sa.PrimaryKeyConstraint("key_id"),
    )
    op.create_table(
        "key_throttle",
        sa.Column("key_id", big, autoincrement=False, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("throttle", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key_id"),
    )
