"""The tables of the credential keeper."""

import sqlalchemy as sa

from tallygate.store.tables import big, table, tenant

# A credential of an upstream. `sealed` is the JSON of its parts; none when it is deleted.
credential = table(
    "credential",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("user_name", sa.Text, nullable=False),
    sa.Column("pool", sa.Text, nullable=False),  # what a provider names to use it
    sa.Column("variables", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # core/credential.py
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("given_hash", sa.LargeBinary(32), nullable=False),  # of the secret as handed in
    sa.Column("version", sa.Integer, nullable=False),  # of the secret: each new one counts on
    sa.Column("failures", sa.Integer, nullable=False),  # checks in a row that proved nothing
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("run_id", big),  # which run holds it; one that died holds nothing
    sa.Column("claimed_ms", big),
    sa.Column("wanted_ms", big),  # somebody asks that it be checked soon: since when
    sa.Column("expires_ms", big),  # of the part that is used, where it is known
    sa.Column("last_used_ms", big),
    sa.Column("last_checked_ms", big),
    sa.Column("state_ms", big, nullable=False),  # since when its state holds
    sa.Column("created_ms", big, nullable=False),
    sa.UniqueConstraint("kind", "given_hash"),
    sa.Index("credential_of_pool", "pool", "state"),
)

# One run over the credentials. It lives while `alive_ms` moves on; `since_ms` is the window that it
# works on, which it shares with the runs that it joined or goes on for.
keeper_run = table(
    "keeper_run",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    tenant(),
    sa.Column("selection", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("since_ms", big, nullable=False),
    sa.Column("started_ms", big, nullable=False, index=True),
    sa.Column("alive_ms", big, nullable=False),
    sa.Column("finished_ms", big),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("refreshed", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("quarantined", sa.Integer, nullable=False),
    sa.Column("deleted", sa.Integer, nullable=False),
)

# When the next request to a host may go out, of whatever process.
keeper_host = table(
    "keeper_host",
    sa.Column("host", sa.Text, primary_key=True),
    tenant(),
    sa.Column("next_ms", big, nullable=False),
)
