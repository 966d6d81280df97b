"""The first schema. Frozen: it says what version 1 was, whatever schema.py says by now."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_store()
    _create_keys()
    _create_limits()
    _create_leases()
    _create_usage()
    _create_providers()
    _create_records()


def _create_store() -> None:
    """Who this store is, and which nodes and workers use it."""
    op.create_table(
        "store",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("min_code", sa.Integer(), nullable=False),
        sa.Column("feed_seq", big, nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("clock_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "feed",
        sa.Column("seq", big, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", big, nullable=False),
        sa.Column("detail", big, nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("at_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_table(
        "node",
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("first_seen_ms", big, nullable=False),
        sa.Column("last_seen_ms", big, nullable=False),
        sa.Column("settled_seq", big, nullable=False),
        sa.Column("retired_ms", big, nullable=True),
        sa.PrimaryKeyConstraint("uuid"),
    )
    op.create_table(
        "boot",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("boot", big, nullable=False),
        sa.Column("started_ms", big, nullable=False),
        sa.Column("ended_ms", big, nullable=True),
        sa.Column("segment", big, nullable=False),
        sa.Column("offset", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("node", "slot", "boot"),
    )


def _create_keys() -> None:
    """Keys and their secrets."""
    op.create_table(
        "api_key",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("expires_ms", big, nullable=True),
        sa.Column("deleted_ms", big, nullable=True),
        sa.Column("last_used_ms", big, nullable=True),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Text(), nullable=False),
        sa.Column("models", sa.Text(), nullable=True),
        sa.Column("addresses", sa.Text(), nullable=True),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "key_secret",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("key_id", big, nullable=False),
        sa.Column("masked", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("expires_ms", big, nullable=True),
        sa.ForeignKeyConstraint(
            ["key_id"],
            ["api_key.id"],
        ),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("ix_key_secret_key_id", "key_secret", ["key_id"], unique=False)


def _create_limits() -> None:
    """Limits, and what is spent and leased of each."""
    op.create_table(
        "limits",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("is_daily", sa.Boolean(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("amount", big, nullable=True),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("deleted_ms", big, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("limits_of_subject", "limits", ["subject_kind", "subject_id"], unique=False)
    op.create_table(
        "counter",
        sa.Column("limit_id", big, autoincrement=False, nullable=False),
        sa.Column("window_s", big, autoincrement=False, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("spent", big, nullable=False),
        sa.Column("leased", big, nullable=False),
        sa.Column("updated_ms", big, nullable=False),
        sa.CheckConstraint("spent >= 0 AND leased >= 0"),
        sa.ForeignKeyConstraint(
            ["limit_id"],
            ["limits.id"],
        ),
        sa.PrimaryKeyConstraint("limit_id", "window_s"),
    )


def _create_leases() -> None:
    """What each worker holds of a counter."""
    op.create_table(
        "lease",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("boot_id", big, nullable=False),
        sa.Column("limit_id", big, nullable=False),
        sa.Column("window_s", big, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("granted", big, nullable=False),
        sa.Column("returned", big, nullable=False),
        sa.Column("spent", big, nullable=False),
        sa.Column("journaled", big, nullable=False),
        sa.Column("is_closing", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["boot_id"],
            ["boot.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("lease_of_counter", "lease", ["limit_id", "window_s"], unique=False)
    op.create_index(
        "lease_open",
        "lease",
        ["boot_id", "limit_id", "window_s", "generation"],
        unique=True,
        sqlite_where=sa.text("is_closing = 0"),
        postgresql_where=sa.text("NOT is_closing"),
    )


def _create_usage() -> None:
    """What was used."""
    op.create_table(
        "usage",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("key_id", big, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("at_ms", big, nullable=False),
        sa.Column("duration_ms", big, nullable=False),
        sa.Column("first_byte_ms", big, nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("requests", big, nullable=False),
        sa.Column("input_tokens", big, nullable=False),
        sa.Column("output_tokens", big, nullable=False),
        sa.Column("counts", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("bytes_in", big, nullable=False),
        sa.Column("bytes_out", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("usage_by_key", "usage", ["key_id", "at_ms"], unique=False)
    op.create_index("usage_by_time", "usage", ["at_ms"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("duration_ms", big, nullable=False),
        sa.Column("at_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_attempt_request_id", "attempt", ["request_id"], unique=False)


def _create_providers() -> None:
    """Upstreams."""
    op.create_table(
        "provider",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("models", sa.Text(), nullable=True),
        sa.Column("aliases", sa.Text(), nullable=False),
        sa.Column("output_tokens_max", sa.Text(), nullable=False),
        sa.Column("passthrough", sa.Text(), nullable=False),
        sa.Column("connect_ms", big, nullable=False),
        sa.Column("first_byte_ms", big, nullable=False),
        sa.Column("between_bytes_ms", big, nullable=False),
        sa.Column("total_ms", big, nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )


def _create_records() -> None:
    """Who changed what, and what must not happen twice."""
    op.create_table(
        "audit",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("at_ms", big, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_at_ms", "audit", ["at_ms"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("expires_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("scope", "key"),
    )
    op.create_index("ix_idempotency_expires_ms", "idempotency", ["expires_ms"], unique=False)
    op.create_table(
        "imported",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("at_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("source", "item"),
    )
