"""The tables of money.

Amounts are micro-points (`_micros`); prices are pico-units of their currency, per token. A row of
`ledger_entry` is never changed; what a wallet says of itself is the sum of its entries. The tables
of prices are in price_schema.py.
"""

from typing import Any

import sqlalchemy as sa

from tallygate.store.dify_schema import dify_app as dify_app
from tallygate.store.dify_schema import dify_trace as dify_trace
from tallygate.store.people_schema import account
from tallygate.store.price_schema import price as price
from tallygate.store.price_schema import price_alias as price_alias
from tallygate.store.price_schema import price_book as price_book
from tallygate.store.price_schema import rate as rate
from tallygate.store.tables import big, table, tenant


def _index_some(name: str, condition: str, *columns: sa.Column[Any]) -> None:
    """An index of the few rows that are looked for."""
    where = sa.text(condition)
    sa.Index(name, *columns, sqlite_where=where, postgresql_where=where)


# `leased` is what gateways hold of it: never an entry, and part of the balance that is shown.
wallet = table(
    "wallet",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("account_id", sa.Text, sa.ForeignKey(account.c.id), nullable=False, unique=True),
    sa.Column("balance_micros", big, nullable=False),
    sa.Column("held_micros", big, nullable=False),
    sa.Column("leased_micros", big, nullable=False),
    sa.Column("granted_micros", big, nullable=False),  # sum of what is left of its grants
    sa.Column("floor_micros", big, nullable=False),  # 0, or below: how far it may be overdrawn
    sa.Column("warn_micros", big),  # tell its owner when the balance falls below
    sa.Column("created_ms", big, nullable=False),
    sa.CheckConstraint("held_micros >= 0 AND leased_micros >= 0 AND granted_micros >= 0"),
    sa.CheckConstraint("floor_micros <= 0"),
)
_index_some("wallet_warned", "warn_micros IS NOT NULL", wallet.c.id)

# Money with a purpose or an end: spent before the rest, by priority, then the soonest to expire.
credit_grant = table(
    "credit_grant",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("wallet_id", big, sa.ForeignKey("wallet.id"), nullable=False, index=True),
    sa.Column("category", sa.Text, nullable=False),  # paid, promotional
    sa.Column("priority", sa.Integer, nullable=False),  # lower is spent first
    sa.Column("amount_micros", big, nullable=False),
    sa.Column("left_micros", big, nullable=False),
    sa.Column("expires_ms", big),
    sa.Column("voided_ms", big),
    sa.Column("created_ms", big, nullable=False),
    sa.CheckConstraint("left_micros >= 0 AND left_micros <= amount_micros"),
)
_index_some("grant_due", "left_micros > 0", credit_grant.c.expires_ms)
_index_some("grant_left", "left_micros > 0", credit_grant.c.wallet_id)

hold = table(
    "hold",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("wallet_id", big, sa.ForeignKey("wallet.id"), nullable=False, index=True),
    sa.Column("amount_micros", big, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),  # who may capture or release it
    sa.Column("state", sa.Text, nullable=False),  # open, captured, released, expired
    sa.Column("charge_id", big),  # what it became
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("expires_ms", big, nullable=False),
    sa.CheckConstraint("amount_micros > 0"),
)
_index_some("hold_due", "state = 'open'", hold.c.expires_ms)
_index_some("hold_open", "state = 'open'", hold.c.wallet_id, hold.c.expires_ms)

ledger_entry = table(
    "ledger_entry",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("wallet_id", big, sa.ForeignKey("wallet.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # core/wallet.py
    sa.Column("amount_micros", big, nullable=False),  # what it does to the balance
    sa.Column("held_micros", big, nullable=False),  # what it does to what is held
    sa.Column("balance_micros", big, nullable=False),  # after it
    sa.Column("charge_id", big, index=True),
    sa.Column("grant_id", big),
    sa.Column("hold_id", big),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("at_ms", big, nullable=False),
    sa.Index("ledger_of_wallet", "wallet_id", "id"),
)

# One billed event. It pins the versions that it was computed with; `parts` says more of an event
# that used several models, `reports` what other sources said of the same event.
charge = table(
    "charge",
    sa.Column("id", big, primary_key=True, autoincrement=False),
    tenant(),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("wallet_id", big),
    sa.Column("state", sa.Text, nullable=False),  # core/charging.py
    sa.Column("source", sa.Text, nullable=False),  # gateway, proxy, tracing, webhook, browser
    sa.Column("instance", sa.Text, nullable=False),  # the Dify server, "" for the gateway's own
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("price_id", big),
    sa.Column("rate_id", big),
    sa.Column("input_tokens", big, nullable=False),
    sa.Column("output_tokens", big, nullable=False),
    sa.Column("cache_read_tokens", big, nullable=False),
    sa.Column("cache_write_tokens", big, nullable=False),
    sa.Column("micros", big, nullable=False),
    sa.Column("output_micros", big, nullable=False),  # the part of it that output cost
    sa.Column("refunded_micros", big, nullable=False),
    sa.Column("balance_micros", big, nullable=False),  # after it
    sa.Column("key_id", big, nullable=False),  # 0: none
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("conversation_id", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("parts", sa.Text),
    sa.Column("reports", sa.Text),
    sa.Column("event_ms", big, nullable=False),  # when it happened, as its source says
    sa.Column("at_ms", big, nullable=False),  # when it was received
    sa.Index("charge_of_account", "account_id", "at_ms"),
    sa.Index("charge_by_time", "at_ms"),
)
_index_some("charge_open", "state IN ('unpaid', 'review')", charge.c.state, charge.c.id)

event_alias = table(
    "event_alias",
    sa.Column("instance", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),  # message, run
    sa.Column("event_id", sa.Text, primary_key=True),
    tenant(),
    sa.Column("charge_id", big, nullable=False, index=True),
)

# What was refused although money was at stake; `payload` is what came, to be sent in again.
dead_letter = table(
    "dead_letter",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("instance", sa.Text, nullable=False),
    sa.Column("app", sa.Text, nullable=False),  # what the delivery named beside its body
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),  # open, replayed, dismissed
    sa.Column("deliveries", sa.Integer, nullable=False),
    sa.Column("digest", sa.LargeBinary(32), nullable=False, unique=True),  # one row per payload
    sa.Column("charge_id", big),
    sa.Column("received_ms", big, nullable=False),
    sa.Column("seen_ms", big, nullable=False),  # the last delivery of the same
)

budget = table(
    "budget",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("subject_kind", sa.Text, nullable=False),  # user, team
    sa.Column("subject_id", sa.Text, nullable=False),
    sa.Column("span", sa.Text, nullable=False),
    sa.Column("zone", sa.Text, nullable=False),
    sa.Column("amount_micros", big, nullable=False),
    sa.Column("window_s", big, nullable=False),  # the window that `spent` and `told` are about
    sa.Column("spent_micros", big, nullable=False),
    sa.Column("told_percent", sa.Integer, nullable=False),  # 0, 50, 80 or 100
    sa.Column("created_ms", big, nullable=False),
    sa.Column("deleted_ms", big),
    sa.Index("budget_of_subject", "subject_kind", "subject_id"),
)

redeem_batch = table(
    "redeem_batch",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("amount_micros", big, nullable=False),
    sa.Column("codes", sa.Integer, nullable=False),
    sa.Column("expires_ms", big),
    sa.Column("grant_days", sa.Integer),  # None: ordinary money; else a grant that ends
    sa.Column("voided_ms", big),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("created_ms", big, nullable=False),
)

redeem_code = table(
    "redeem_code",
    sa.Column("hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("batch_id", big, sa.ForeignKey("redeem_batch.id"), nullable=False, index=True),
    tenant(),
    sa.Column("masked", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text),
    sa.Column("redeemed_ms", big),
)

# Something that somebody should hear of; sent by mail, chat or webhook, then kept for a while.
notice = table(
    "notice",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_ms", big, index=True),  # None: done
    sa.Column("sent", sa.Text, nullable=False),  # the channels that have it, separated by spaces
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("seen_ms", big),  # by the account that it is for; None: not yet
    sa.Index("notice_of_account", "account_id", "id"),
)

# What an imported system had recorded; shown in the history, never charged.
past_usage = table(
    "past_usage",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("input_tokens", big, nullable=False),
    sa.Column("output_tokens", big, nullable=False),
    sa.Column("input_micros", big, nullable=False),
    sa.Column("output_micros", big, nullable=False),
    sa.Column("micros", big, nullable=False),
    sa.Column("conversation_id", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("at_ms", big, nullable=False),
    sa.Index("past_usage_of_account", "account_id", "at_ms"),
)
