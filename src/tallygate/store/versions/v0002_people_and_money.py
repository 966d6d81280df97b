"""People and their money: accounts, wallets, the ledger, prices. Frozen, as every version is."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_people()
    _create_wallets()
    _create_holds()
    _create_ledger()
    _create_prices()
    _create_codes()


def _create_people() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
        sa.UniqueConstraint("subject"),
    )
    op.create_table(
        "team",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "member",
        sa.Column("team_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.ForeignKeyConstraint(
            ["team_id"],
            ["team.id"],
        ),
        sa.PrimaryKeyConstraint("team_id", "account_id"),
    )
    op.create_index("api_key_of_user", "api_key", ["user_id"], unique=False)
    op.create_index(op.f("ix_member_account_id"), "member", ["account_id"], unique=False)
    op.create_table(
        "session",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("seen_ms", big, nullable=False),
        sa.Column("expires_ms", big, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index(op.f("ix_session_account_id"), "session", ["account_id"], unique=False)
    op.create_index(op.f("ix_session_expires_ms"), "session", ["expires_ms"], unique=False)


def _create_wallets() -> None:
    op.create_table(
        "wallet",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("balance_micros", big, nullable=False),
        sa.Column("held_micros", big, nullable=False),
        sa.Column("leased_micros", big, nullable=False),
        sa.Column("granted_micros", big, nullable=False),
        sa.Column("floor_micros", big, nullable=False),
        sa.Column("warn_micros", big, nullable=True),
        sa.Column("created_ms", big, nullable=False),
        sa.CheckConstraint("floor_micros <= 0"),
        sa.CheckConstraint("held_micros >= 0 AND leased_micros >= 0 AND granted_micros >= 0"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id"),
    )
    _create_partial("wallet_warned", "wallet", ["id"], "warn_micros IS NOT NULL")
    op.create_table(
        "credit_grant",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("wallet_id", big, nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("amount_micros", big, nullable=False),
        sa.Column("left_micros", big, nullable=False),
        sa.Column("expires_ms", big, nullable=True),
        sa.Column("voided_ms", big, nullable=True),
        sa.Column("created_ms", big, nullable=False),
        sa.CheckConstraint("left_micros >= 0 AND left_micros <= amount_micros"),
        sa.ForeignKeyConstraint(
            ["wallet_id"],
            ["wallet.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    _create_partial("grant_due", "credit_grant", ["expires_ms"], "left_micros > 0")
    _create_partial("grant_left", "credit_grant", ["wallet_id"], "left_micros > 0")
    op.create_index(op.f("ix_credit_grant_wallet_id"), "credit_grant", ["wallet_id"], unique=False)


def _create_holds() -> None:
    op.create_table(
        "hold",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("wallet_id", big, nullable=False),
        sa.Column("amount_micros", big, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("charge_id", big, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("expires_ms", big, nullable=False),
        sa.CheckConstraint("amount_micros > 0"),
        sa.ForeignKeyConstraint(
            ["wallet_id"],
            ["wallet.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_hold_wallet_id"), "hold", ["wallet_id"], unique=False)
    _create_partial("hold_due", "hold", ["expires_ms"], "state = 'open'")
    _create_partial("hold_open", "hold", ["wallet_id", "expires_ms"], "state = 'open'")


def _create_partial(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)


def _create_ledger() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("wallet_id", big, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_micros", big, nullable=False),
        sa.Column("held_micros", big, nullable=False),
        sa.Column("balance_micros", big, nullable=False),
        sa.Column("charge_id", big, nullable=True),
        sa.Column("grant_id", big, nullable=True),
        sa.Column("hold_id", big, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("at_ms", big, nullable=False),
        sa.ForeignKeyConstraint(
            ["wallet_id"],
            ["wallet.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_ledger_entry_charge_id"), "ledger_entry", ["charge_id"], unique=False)
    op.create_index("ledger_of_wallet", "ledger_entry", ["wallet_id", "id"], unique=False)
    op.create_table(
        "budget",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("subject_kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("span", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("amount_micros", big, nullable=False),
        sa.Column("window_s", big, nullable=False),
        sa.Column("spent_micros", big, nullable=False),
        sa.Column("told_percent", sa.Integer(), nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("deleted_ms", big, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("budget_of_subject", "budget", ["subject_kind", "subject_id"], unique=False)


def _create_prices() -> None:
    book = op.create_table(
        "price_book",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("version", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(book, [{"id": 1, "version": 0}])
    op.create_table(
        "price",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("per_tokens", big, nullable=False),
        sa.Column("input_picos", big, nullable=False),
        sa.Column("output_picos", big, nullable=False),
        sa.Column("cache_read_picos", big, nullable=True),
        sa.Column("cache_write_picos", big, nullable=True),
        sa.Column("request_picos", big, nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("effective_ms", big, nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), server_default="operator", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_price_model"), "price", ["model"], unique=False)
    op.create_table(
        "price_alias",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "rate",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("micros_per_usd", big, nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _create_codes() -> None:
    op.create_table(
        "redeem_batch",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("amount_micros", big, nullable=False),
        sa.Column("codes", sa.Integer(), nullable=False),
        sa.Column("expires_ms", big, nullable=True),
        sa.Column("grant_days", sa.Integer(), nullable=True),
        sa.Column("voided_ms", big, nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_ms", big, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "redeem_code",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("batch_id", big, nullable=False),
        sa.Column("tenant_id", big, server_default="1", nullable=False),
        sa.Column("masked", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=True),
        sa.Column("redeemed_ms", big, nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["redeem_batch.id"],
        ),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index(op.f("ix_redeem_code_batch_id"), "redeem_code", ["batch_id"], unique=False)
