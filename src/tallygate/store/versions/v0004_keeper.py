"""The credential keeper. Frozen: it is what version 6 added, whatever came since."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_credentials()
    _create_runs()
    op.add_column("provider", sa.Column("credentials", sa.Text(), nullable=True))


def _create_credentials() -> None:
    op.create_table(
        "credential",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("variables", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("given_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run_id", big, nullable=True),
        sa.Column("claimed_ms", big, nullable=True),
        sa.Column("wanted_ms", big, nullable=True),
        sa.Column("expires_ms", big, nullable=True),
        sa.Column("last_used_ms", big, nullable=True),
        sa.Column("last_checked_ms", big, nullable=True),
        sa.Column("state_ms", big, nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "given_hash"),
    )
    op.create_index("credential_of_pool", "credential", ["pool", "state"], unique=False)


def _create_runs() -> None:
    op.create_table(
        "keeper_run",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("selection", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("since_ms", big, nullable=False),
        sa.Column("started_ms", big, nullable=False),
        sa.Column("alive_ms", big, nullable=False),
        sa.Column("finished_ms", big, nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("refreshed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("deleted", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_keeper_run_started_ms"), "keeper_run", ["started_ms"], unique=False)
    op.create_table(
        "keeper_host",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("next_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("host"),
    )
