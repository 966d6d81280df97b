"""Rollups of usage. Frozen: it is what version 7 added, whatever came since."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SUMS = (
    *("uses", "requests", "refused", "client_errors", "server_errors", "failures"),
    *("input_tokens", "output_tokens", "cached_tokens", "charge_micros"),
    *("timed", "duration_ms", "last_ms"),
)


def upgrade() -> None:
    for name in ("rollup_hour", "rollup_day"):
        _create(
            name,
            sa.Column("bucket_s", big, autoincrement=False, nullable=False),
            sa.Column("key_id", big, autoincrement=False, nullable=False),
            sa.Column("route", sa.Text(), nullable=False),
            sa.Column("model", sa.Text(), nullable=False),
        )
        op.create_index(f"{name}_of_key", name, ["key_id", "bucket_s"], unique=False)
    for name in ("total_hour", "total_day"):
        _create(
            name,
            sa.Column("grain", sa.Integer(), autoincrement=False, nullable=False),
            sa.Column("bucket_s", big, autoincrement=False, nullable=False),
            sa.Column("route", sa.Text(), nullable=False),
            sa.Column("model", sa.Text(), nullable=False),
        )
        columns = ["grain", "route", "model", "bucket_s"]
        op.create_index(f"{name}_of_route", name, columns, unique=False)
    op.create_table(
        "rollup_mark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("usage_id", big, nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("sweep_s", big, nullable=True),
        sa.Column("updated_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO rollup_mark (id, usage_id, zone, updated_ms) VALUES (1, 0, '', 0)")


def _create(name: str, *keys: sa.Column[int] | sa.Column[str]) -> None:
    op.create_table(
        name,
        *keys,
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        *(sa.Column(column, big, nullable=False) for column in SUMS),
        *(sa.Column(f"d{number}", big, nullable=True) for number in range(25)),
        sa.PrimaryKeyConstraint(*(key.name for key in keys)),
        sqlite_with_rowid=False,
    )
