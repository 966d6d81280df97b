"""The table of routes: which private service a path leads to, and who may go there."""

import sqlalchemy as sa

from tallygate.store.tables import big, table, tenant

# `rules` is JSON of both HeaderRules with the values of added request headers left out; those are
# in `sealed`, for they are mostly credentials. Limits of a route are rows of `limits` with the
# subject_kind `route` (all tokens together) or `route_token` (each token: see store/routes.py).
route = table(
    "route",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("backend_url", sa.Text, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("methods", sa.Text, nullable=False),
    sa.Column("strip_prefix", sa.Boolean, nullable=False),
    sa.Column("rewrite", sa.Text, nullable=False),
    sa.Column("rules", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("connect_ms", big, nullable=False),
    sa.Column("first_byte_ms", big, nullable=False),
    sa.Column("between_bytes_ms", big, nullable=False),
    sa.Column("total_ms", big, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("created_ms", big, nullable=False),
    sa.UniqueConstraint("host", "path"),
)
