"""The tables of the edge: what should lie in Cloudflare's KV, what does, and who publishes."""

import sqlalchemy as sa

from tallygate.store.tables import big, table, tenant

# One name in KV. Digests are core/edge.py's, "" means that nothing is to be there, or is there.
edge_entry = table(
    "edge_entry",
    sa.Column("name", sa.Text, primary_key=True),
    tenant(),
    sa.Column("key_id", big, nullable=False, index=True),  # 0: no token
    sa.Column("wanted", sa.Text, nullable=False),
    sa.Column("published", sa.Text, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False),  # what revokes is 0 and goes first
    sa.Column("wanted_ms", big, nullable=False),  # since when
    sa.Column("published_ms", big, nullable=False),
)
sa.Index(
    "edge_entry_waiting",
    edge_entry.c.rank,
    edge_entry.c.wanted_ms,
    sqlite_where=edge_entry.c.wanted != edge_entry.c.published,
    postgresql_where=edge_entry.c.wanted != edge_entry.c.published,
)

# One row. Of several nodes one publishes: the owner, until its time is over or it says so again.
edge_publisher = table(
    "edge_publisher",
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    tenant(),
    sa.Column("place", sa.Text, nullable=False),  # account and namespace
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("until_ms", big, nullable=False),
    sa.Column("feed_seq", big, nullable=False),  # what changed until there is in the entries
    sa.Column("compared_ms", big, nullable=False),  # when all of the store was last compared
    sa.Column("reconciled_ms", big, nullable=False),  # when all of KV was
    sa.Column("day", sa.Text, nullable=False),  # UTC, that the next two count
    sa.Column("writes", big, nullable=False),
    sa.Column("deletes", big, nullable=False),
    sa.Column("published_ms", big, nullable=False),  # when something was last taken
    sa.Column("failures", big, nullable=False),  # in a row
    sa.Column("failing_ms", big, nullable=False),  # since when, 0: it is not
    sa.Column("next_ms", big, nullable=False),  # not before
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("left", big, nullable=False),  # what had no room in the day
    sa.Column("withheld", sa.Text, nullable=False),  # JSON: routes that the edge must not serve
)
