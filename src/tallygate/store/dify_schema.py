"""The tables of Dify servers: their apps, and what their tracing export has told so far."""

import sqlalchemy as sa

from tallygate.store.tables import big, table, tenant

# One app of one Dify server, and how its use is billed.
dify_app = table(
    "dify_app",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("instance", sa.Text, nullable=False),
    sa.Column("api_url", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary),  # the app's API key
    sa.Column("billed_by", sa.Text, nullable=False),  # dify, gateway
    sa.Column("model", sa.Text, nullable=False),  # for events that name none; "" refuses them
    sa.Column("hold_micros", big, nullable=False),  # what a call through the proxy reserves
    sa.Column("trace_public", sa.Text, unique=True),
    sa.Column("trace_hash", sa.LargeBinary(32)),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("created_ms", big, nullable=False),
)

# What a Dify server's tracing export has told of one message or run so far. It comes in pieces:
# `used` holds what each use of a model counted, and once nothing came for a while it is an event.
dify_trace = table(
    "dify_trace",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("app_id", big, nullable=False),
    sa.Column("trace_id", sa.Text, nullable=False),
    sa.Column("account_id", sa.Text, nullable=False),
    sa.Column("conversation_id", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("used", sa.Text, nullable=False),
    sa.Column("event_ms", big, nullable=False),
    sa.Column("seen_ms", big, nullable=False),
    sa.Column("due_ms", big, index=True),  # None: nothing new since it became an event
    sa.UniqueConstraint("app_id", "trace_id"),
)
