"""Charges and what they are made from. Frozen: it is what version 3 added, whatever came since."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_charges()
    _create_letters()
    _create_dify()
    op.add_column("usage", sa.Column("charge_micros", big, server_default="0", nullable=False))


def _create_charges() -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite has one writer, who counts on
        op.execute("CREATE SEQUENCE charge_id")
    op.create_table(
        "charge",
        sa.Column("id", big, autoincrement=False, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("wallet_id", big, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("price_id", big, nullable=True),
        sa.Column("rate_id", big, nullable=True),
        sa.Column("input_tokens", big, nullable=False),
        sa.Column("output_tokens", big, nullable=False),
        sa.Column("cache_read_tokens", big, nullable=False),
        sa.Column("cache_write_tokens", big, nullable=False),
        sa.Column("micros", big, nullable=False),
        sa.Column("output_micros", big, nullable=False),
        sa.Column("refunded_micros", big, nullable=False),
        sa.Column("balance_micros", big, nullable=False),
        sa.Column("key_id", big, nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("parts", sa.Text(), nullable=True),
        sa.Column("reports", sa.Text(), nullable=True),
        sa.Column("event_ms", big, nullable=False),
        sa.Column("at_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("charge_by_time", "charge", ["at_ms"], unique=False)
    op.create_index("charge_of_account", "charge", ["account_id", "at_ms"], unique=False)
    op.create_index(
        "charge_open",
        "charge",
        ["state", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('unpaid', 'review')"),
        postgresql_where=sa.text("state IN ('unpaid', 'review')"),
    )
    op.create_table(
        "event_alias",
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("charge_id", big, nullable=False),
        sa.PrimaryKeyConstraint("instance", "kind", "event_id"),
    )
    op.create_index(op.f("ix_event_alias_charge_id"), "event_alias", ["charge_id"], unique=False)


def _create_letters() -> None:
    op.create_table(
        "dead_letter",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("app", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("charge_id", big, nullable=True),
        sa.Column("received_ms", big, nullable=False),
        sa.Column("seen_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index(op.f("ix_dead_letter_state"), "dead_letter", ["state"], unique=False)
    op.create_table(
        "notice",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_ms", big, nullable=True),
        sa.Column("sent", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_notice_next_ms"), "notice", ["next_ms"], unique=False)
    op.create_index("notice_of_account", "notice", ["account_id", "id"], unique=False)


def _create_dify() -> None:
    op.create_table(
        "dify_app",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("api_url", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("billed_by", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("hold_micros", big, nullable=False),
        sa.Column("trace_public", sa.Text(), nullable=True),
        sa.Column("trace_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("trace_public"),
    )
    op.create_table(
        "dify_trace",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("app_id", big, nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("used", sa.Text(), nullable=False),
        sa.Column("event_ms", big, nullable=False),
        sa.Column("seen_ms", big, nullable=False),
        sa.Column("due_ms", big, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("app_id", "trace_id"),
    )
    op.create_index(op.f("ix_dify_trace_due_ms"), "dify_trace", ["due_ms"], unique=False)
    op.create_table(
        "past_usage",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("input_tokens", big, nullable=False),
        sa.Column("output_tokens", big, nullable=False),
        sa.Column("input_micros", big, nullable=False),
        sa.Column("output_micros", big, nullable=False),
        sa.Column("micros", big, nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("at_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("past_usage_of_account", "past_usage", ["account_id", "at_ms"], unique=False)
