"""The tables of anomalies: events out of the ordinary, the habits they are seen against, a mark."""

import sqlalchemy as sa

from tallygate.store.tables import big, table, tenant

# An event of one kind of one key. While `ended_ms` is NULL it goes on; there is one such at most.
anomaly = table(
    "anomaly",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("kind", sa.Text, nullable=False),  # core/anomalies.py Kind
    sa.Column("key_id", big, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # open, acknowledged
    sa.Column("started_ms", big, nullable=False),
    sa.Column("last_ms", big, nullable=False),
    sa.Column("ended_ms", big),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("acknowledged_by", sa.Text, nullable=False),
    sa.Column("acknowledged_ms", big),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("throttle", sa.Text, nullable=False),  # what holds for its key now: off, slow, stop
    sa.Column("limit_id", big),  # the limit that slows it down
    sa.Column("throttled_until_ms", big),  # NULL: until it is acknowledged
    sa.Index("anomaly_of_key", "key_id", "id"),
)
sa.Index(
    "anomaly_ongoing",
    *(anomaly.c.key_id, anomaly.c.kind),
    unique=True,
    sqlite_where=anomaly.c.ended_ms.is_(None),
    postgresql_where=anomaly.c.ended_ms.is_(None),
)

# Where a key was used from; the longest unseen ones are forgotten beyond a bound.
key_source = table(
    "key_source",
    sa.Column("key_id", big, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),  # network, agent
    sa.Column("name", sa.Text, primary_key=True),
    tenant(),
    sa.Column("first_ms", big, nullable=False),
    sa.Column("last_ms", big, nullable=False, index=True),
    sa.Column("days", big, nullable=False),
    sa.Column("uses", big, nullable=False),
)

# When a key was used, and how long it was silent at most.
key_habit = table(
    "key_habit",
    sa.Column("key_id", big, primary_key=True, autoincrement=False),
    tenant(),
    sa.Column("first_ms", big, nullable=False),
    sa.Column("last_ms", big, nullable=False),
    sa.Column("gap_ms", big, nullable=False),
    sa.Column("days", big, nullable=False),
)

# What an anomaly does to this key, where that is not what the setting says.
key_throttle = table(
    "key_throttle",
    sa.Column("key_id", big, primary_key=True, autoincrement=False),
    tenant(),
    sa.Column("throttle", sa.Text, nullable=False),
)

# One row. Rows of `usage` up to `usage_id` are learnt from, hours before `hour_s` are judged. Each
# step counts `turn` on, and is void if somebody else did meanwhile.
anomaly_mark = table(
    "anomaly_mark",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("usage_id", big, nullable=False),
    sa.Column("hour_s", big, nullable=False),
    sa.Column("turn", big, nullable=False),
)
