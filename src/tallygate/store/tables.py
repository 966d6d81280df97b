"""What all tables are made of."""

import sqlalchemy as sa

metadata = sa.MetaData()

big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def table(
    name: str,
    *items: sa.schema.SchemaItem,
    sqlite_autoincrement: bool = False,
    sqlite_with_rowid: bool = True,
) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        *items,
        sqlite_autoincrement=sqlite_autoincrement,
        sqlite_with_rowid=sqlite_with_rowid,
    )


def tenant() -> sa.Column[int]:
    return sa.Column("tenant_id", big, nullable=False, server_default="1")
