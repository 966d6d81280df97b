"""When a notice was seen by whom it is for. Frozen: it is what version 13 added."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("notice", sa.Column("seen_ms", big, nullable=True))
