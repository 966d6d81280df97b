"""The edge's publisher. Frozen: it is what version 9 added, whatever came since."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_entries()
    _create_publisher()


def _create_entries() -> None:
    op.create_table(
        "edge_entry",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("key_id", big, nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("published", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("wanted_ms", big, nullable=False),
        sa.Column("published_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index(op.f("ix_edge_entry_key_id"), "edge_entry", ["key_id"], unique=False)
    differ = sa.text("wanted != published")
    op.create_index(
        "edge_entry_waiting",
        "edge_entry",
        ["rank", "wanted_ms"],
        unique=False,
        sqlite_where=differ,
        postgresql_where=differ,
    )


def _create_publisher() -> None:
    numbers = ("until_ms", "feed_seq", "compared_ms", "reconciled_ms")
    counts = ("writes", "deletes", "published_ms", "failures", "failing_ms", "next_ms")
    op.create_table(
        "edge_publisher",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        *(sa.Column(name, big, nullable=False) for name in numbers),
        sa.Column("day", sa.Text(), nullable=False),
        *(sa.Column(name, big, nullable=False) for name in counts),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("left", big, nullable=False),
        sa.Column("withheld", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
