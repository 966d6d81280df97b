"""The tables, once, for SQLite and PostgreSQL.

Times are integer milliseconds UTC (`_ms`) or, for windows, seconds (`_s`). Lists and maps that are
only ever read whole are JSON text. Every table of users' data carries `tenant_id`. The tables of
people, of money and of credentials are in people_schema.py, money_schema.py and keeper_schema.py.
"""

import sqlalchemy as sa

from tallygate.store.tables import big, table, tenant

SCHEMA_VERSION = 12
MIN_CODE = 1  # the oldest schema version that code may be written for and still use this store

# One row: who this store is, which code may use it, and the last number of the change feed.
store = table(
    "store",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("uuid", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("min_code", sa.Integer, nullable=False),
    sa.Column("feed_seq", big, nullable=False),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("clock_ms", big, nullable=False),  # the latest time seen: the clock never goes back
)

feed = table(
    "feed",
    sa.Column("seq", big, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", big, nullable=False),
    sa.Column("detail", big, nullable=False),
    sa.Column("node", sa.Text, nullable=False),  # who wrote it
    sa.Column("at_ms", big, nullable=False),
)

node = table(
    "node",
    sa.Column("uuid", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("first_seen_ms", big, nullable=False),
    sa.Column("last_seen_ms", big, nullable=False),
    sa.Column("settled_seq", big, nullable=False),  # everything before this feed number is settled
    sa.Column("retired_ms", big),
)

# One life of one worker; segment and offset are the watermark of its journal.
boot = table(
    "boot",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("boot", big, nullable=False),
    sa.Column("started_ms", big, nullable=False),
    sa.Column("ended_ms", big),
    sa.Column("segment", big, nullable=False),
    sa.Column("offset", big, nullable=False),
    sa.UniqueConstraint("node", "slot", "boot"),
)

api_key = table(
    "api_key",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("expires_ms", big),
    sa.Column("deleted_ms", big),
    sa.Column("last_used_ms", big),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("team_id", sa.Text, nullable=False),
    sa.Column("models", sa.Text),
    sa.Column("addresses", sa.Text),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Index("api_key_of_user", "user_id"),
)

# A key has one secret, or two while a rotated one is in its grace.
key_secret = table(
    "key_secret",
    sa.Column("hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("key_id", big, sa.ForeignKey("api_key.id"), nullable=False, index=True),
    sa.Column("masked", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("expires_ms", big),
)

# Whose limit: subject_kind key, user or team. `is_daily` marks the one that /admin/keys shows.
limits = table(
    "limits",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("subject_kind", sa.Text, nullable=False),
    sa.Column("subject_id", sa.Text, nullable=False),
    sa.Column("is_daily", sa.Boolean, nullable=False),
    sa.Column("dimension", sa.Text, nullable=False),
    sa.Column("span", sa.Text, nullable=False),
    sa.Column("zone", sa.Text, nullable=False),
    sa.Column("amount", big),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("deleted_ms", big),
    sa.Index("limits_of_subject", "subject_kind", "subject_id"),
)

counter = table(
    "counter",
    sa.Column("limit_id", big, sa.ForeignKey("limits.id"), primary_key=True, autoincrement=False),
    sa.Column("window_s", big, primary_key=True, autoincrement=False),
    tenant(),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("spent", big, nullable=False),
    sa.Column("leased", big, nullable=False),  # sum of max(0, outstanding) of its leases
    sa.Column("updated_ms", big, nullable=False),  # last settled use
    sa.CheckConstraint("spent >= 0 AND leased >= 0"),
)

lease = table(
    "lease",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    sa.Column("boot_id", big, sa.ForeignKey("boot.id"), nullable=False),
    sa.Column("limit_id", big, nullable=False),
    sa.Column("window_s", big, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("granted", big, nullable=False),
    sa.Column("returned", big, nullable=False),
    sa.Column("spent", big, nullable=False),  # settled out of the journal
    sa.Column("journaled", big, nullable=False),  # reservations seen in the journal
    sa.Column("is_closing", sa.Boolean, nullable=False),
    sa.Index("lease_of_counter", "limit_id", "window_s"),
    sqlite_autoincrement=True,  # the id of a deleted lease is never another lease's
)

# One open lease per worker and counter; closing ones linger beside it until they are settled.
sa.Index(
    "lease_open",
    *(lease.c.boot_id, lease.c.limit_id, lease.c.window_s, lease.c.generation),
    unique=True,
    sqlite_where=~lease.c.is_closing,
    postgresql_where=~lease.c.is_closing,
)

usage = table(
    "usage",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("key_id", big, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("at_ms", big, nullable=False),
    sa.Column("duration_ms", big, nullable=False),
    sa.Column("first_byte_ms", big, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("requests", big, nullable=False),  # counted units: 1, or 0 if given back
    sa.Column("input_tokens", big, nullable=False),
    sa.Column("output_tokens", big, nullable=False),
    sa.Column("counts", sa.Text),  # further dimensions as JSON
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("bytes_in", big, nullable=False),
    sa.Column("bytes_out", big, nullable=False),
    sa.Column("charge_micros", big, nullable=False, server_default="0"),
    sa.Index("usage_by_time", "at_ms"),
    sa.Index("usage_by_key", "key_id", "at_ms"),
)

# Tries beyond a single one, under their request.
attempt = table(
    "attempt",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("request_id", sa.Text, nullable=False, index=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("duration_ms", big, nullable=False),
    sa.Column("at_ms", big, nullable=False),
)

provider = table(
    "provider",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("protocol", sa.Text, nullable=False),
    sa.Column("base_url", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("weight", sa.Integer, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("models", sa.Text),
    sa.Column("aliases", sa.Text, nullable=False),
    sa.Column("output_tokens_max", sa.Text, nullable=False),
    sa.Column("passthrough", sa.Text, nullable=False),
    sa.Column("connect_ms", big, nullable=False),
    sa.Column("first_byte_ms", big, nullable=False),
    sa.Column("between_bytes_ms", big, nullable=False),
    sa.Column("total_ms", big, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("credentials", sa.Text),  # the pool whose secrets it uses in place of its own
)

audit = table(
    "audit",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("at_ms", big, nullable=False, index=True),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
)

# Delivery idempotency of changing calls and of billable calls (scope says which).
idempotency = table(
    "idempotency",
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    tenant(),
    sa.Column("payload_hash", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # running, done
    sa.Column("owner", sa.Text, nullable=False),  # the boot that runs it, "" when done
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("answer", sa.LargeBinary),
    sa.Column("expires_ms", big, nullable=False, index=True),
)

# What an import has already taken over, so that repeating it changes nothing.
imported = table(
    "imported",
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("item", sa.Text, primary_key=True),
    tenant(),
    sa.Column("at_ms", big, nullable=False),
)
