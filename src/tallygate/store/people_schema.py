"""The tables of people: accounts, teams, and who is signed in."""

import sqlalchemy as sa

from tallygate.store.tables import big, table, tenant

# A person, or whatever Dify's `user_id` names. Signing in takes a password or a subject.
account = table(
    "account",
    sa.Column("id", sa.Text, primary_key=True),
    tenant(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, unique=True),  # in lower case
    sa.Column("password", sa.Text),  # argon2id
    sa.Column("subject", sa.Text, unique=True),  # issuer and subject of OpenID Connect
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("language", sa.Text),  # None: the operator's
)

team = table(
    "team",
    sa.Column("id", sa.Text, primary_key=True),
    tenant(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_ms", big, nullable=False),
)

member = table(
    "member",
    sa.Column("team_id", sa.Text, sa.ForeignKey("team.id"), primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("account.id"), primary_key=True, index=True),
    tenant(),
)

# Known by the hash of its cookie only.
session = table(
    "session",
    sa.Column("hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("account_id", sa.Text, sa.ForeignKey("account.id"), nullable=False, index=True),
    tenant(),
    sa.Column("created_ms", big, nullable=False),
    sa.Column("seen_ms", big, nullable=False),
    sa.Column("expires_ms", big, nullable=False, index=True),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
)
