"""The tables of rollups: sums of `usage` by hour and by day, and how far they reach.

`rollup_*` has a row for each key, route and model in a bucket. `total_*` has the sums over all
keys, in four grains, so that a question without a key never reads a row per key. `bucket_s` is the
UTC second at which an hour or a calendar day of the mark's time zone begins. `d0` … `d24` count
durations (core/histogram.py); NULL is 0 there, for most of them stay empty.
"""

import enum

import sqlalchemy as sa

from tallygate.core.histogram import BUCKETS
from tallygate.core.rollup import SUMS
from tallygate.store.tables import big, table, tenant


class Grain(enum.IntEnum):
    """What a row of `total_*` is the sum of; what it sums over is empty in it."""

    ALL = 0
    ROUTE = 1
    MODEL = 2
    BOTH = 3


DURATIONS = tuple(f"d{number}" for number in range(BUCKETS))


def _sums() -> list[sa.Column[int]]:
    found = [sa.Column(name, big, nullable=False) for name in (*SUMS, "last_ms")]
    return [*found, *(sa.Column(name, big, nullable=True) for name in DURATIONS)]


def _by_key(name: str, *more: sa.Index, of_key: tuple[str, ...] = ()) -> sa.Table:
    """`of_key`: sums that the index by key holds too, on PostgreSQL."""
    return table(
        name,
        sa.Column("bucket_s", big, primary_key=True, autoincrement=False),
        sa.Column("key_id", big, primary_key=True, autoincrement=False),
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        tenant(),
        *_sums(),
        sa.Index(f"{name}_of_key", "key_id", "bucket_s", postgresql_include=of_key),
        *more,
        sqlite_with_rowid=False,
    )


def _total(name: str) -> sa.Table:
    return table(
        name,
        sa.Column("grain", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bucket_s", big, primary_key=True, autoincrement=False),
        sa.Column("route", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, primary_key=True),
        tenant(),
        *_sums(),
        sa.Index(f"{name}_of_route", "grain", "route", "model", "bucket_s"),
        sqlite_with_rowid=False,
    )


# What keys are ranked by. On SQLite the table itself lies in the order of time; on PostgreSQL its
# rows, wide as they are, would be read for a few numbers of each.
RANKED = (
    *("uses", "client_errors", "server_errors", "failures"),
    *("input_tokens", "output_tokens", "cached_tokens", "charge_micros"),
)
_day_sums = sa.Index(
    "rollup_day_sums", "bucket_s", "key_id", "model", postgresql_include=RANKED
).ddl_if(dialect="postgresql")

rollup_hour = _by_key("rollup_hour", of_key=("uses",))
rollup_day = _by_key("rollup_day", _day_sums)
total_hour = _total("total_hour")
total_day = _total("total_day")

# One row. `usage_id`: exactly the rows of `usage` up to this id are in the sums. `sweep_s`: days
# are being made anew from hours, since the zone was changed, and this one is next; None: all stand.
rollup_mark = table(
    "rollup_mark",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("usage_id", big, nullable=False),
    sa.Column("zone", sa.Text, nullable=False),  # "": nothing was summed yet
    sa.Column("sweep_s", big),
    sa.Column("updated_ms", big, nullable=False),
)
