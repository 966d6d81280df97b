"""The tables of prices: versions of each model's price, other names, versions of the rate."""

import sqlalchemy as sa

from tallygate.store.tables import big, table, tenant

# One row. Every change of prices, aliases or the rate locks it first and adds one to `version`:
# changes happen one after the other, and a reader sees by the number that there was one.
price_book = table(
    "price_book",
    sa.Column("id", sa.Integer, primary_key=True),
    tenant(),
    sa.Column("version", big, nullable=False),
)

# One version of one model's price, never changed. Of those whose time has come the one counts that
# took effect last; among equals the highest id. `effective_ms` not after `created_ms`: at once.
price = table(
    "price",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("model", sa.Text, nullable=False, index=True),
    sa.Column("currency", sa.Text, nullable=False),  # usd, points
    sa.Column("per_tokens", big, nullable=False),  # how its maker wrote it: 1000 or 1000000
    sa.Column("input_picos", big, nullable=False),
    sa.Column("output_picos", big, nullable=False),
    sa.Column("cache_read_picos", big),  # None: as input
    sa.Column("cache_write_picos", big),  # None: as input
    sa.Column("request_picos", big, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("effective_ms", big, nullable=False),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    # Who says so: operator, catalogue, file.
    sa.Column("source", sa.Text, nullable=False, server_default="operator"),
)

price_alias = table(
    "price_alias",
    sa.Column("name", sa.Text, primary_key=True),
    tenant(),
    sa.Column("model", sa.Text, nullable=False),
)

rate = table(
    "rate",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("micros_per_usd", big, nullable=False),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
