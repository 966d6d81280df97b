"""Rollups of usage, and its months on PostgreSQL. Frozen: it is what version 7 added, whatever came
since.
"""

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
    if op.get_bind().dialect.name == "postgresql":
        _divide_usage()


def _divide_usage() -> None:
    """The table of rows becomes the first partition of a table of its name: no row is written, and
    its indexes stay. Reading it once, for the border, is what takes time: a second or two for ten
    million rows. Code of before goes on; it writes to `usage` as it did.
    """
    connection = op.get_bind()
    op.execute("LOCK TABLE usage IN ACCESS EXCLUSIVE MODE")
    newest_ms = connection.scalar(
        sa.text(
            "SELECT greatest((SELECT max(at_ms) FROM usage),"
            " floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)"
        )
    )
    border_ms = connection.scalar(
        sa.text(
            "SELECT (extract(epoch FROM (date_trunc('month', to_timestamp(:at / 1000.0)"
            " AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC') * 1000)::bigint"
        ),
        {"at": newest_ms},
    )
    for statement in (
        "ALTER TABLE usage RENAME TO usage_before",
        "ALTER INDEX usage_pkey RENAME TO usage_before_pkey",
        "ALTER INDEX usage_by_time RENAME TO usage_before_by_time",
        "ALTER INDEX usage_by_key RENAME TO usage_before_by_key",
        "CREATE TABLE usage (LIKE usage_before INCLUDING DEFAULTS) PARTITION BY RANGE (at_ms)",
        "ALTER SEQUENCE usage_id_seq OWNED BY usage.id",
        "CREATE INDEX usage_by_time ON usage (at_ms)",
        "CREATE INDEX usage_by_key ON usage (key_id, at_ms)",
        f"ALTER TABLE usage_before ADD CONSTRAINT usage_before_border CHECK (at_ms < {border_ms})",
        "ALTER TABLE usage ATTACH PARTITION usage_before"
        f" FOR VALUES FROM (MINVALUE) TO ({border_ms})",
        "ALTER TABLE usage_before DROP CONSTRAINT usage_before_border",
        "CREATE TABLE usage_rest (LIKE usage INCLUDING DEFAULTS, PRIMARY KEY (id))",
        "ALTER TABLE usage ATTACH PARTITION usage_rest DEFAULT",
    ):
        op.execute(statement)


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
