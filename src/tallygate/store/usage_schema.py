"""The tables of reported uses: what was counted already, and what came by the day.

The uses themselves are rows of `usage`, like those that came through a gateway.
"""

import sqlalchemy as sa

from tallygate.store.tables import big, table, tenant

# An event that named itself, so that it counts once whoever repeats it. Rows are found by their
# key alone: they are forgotten slice by slice of it (usage_reports.py), with no index by time.
usage_event = table(
    "usage_event",
    sa.Column("hash", sa.LargeBinary(16), primary_key=True),
    sa.Column("seen_ms", big, nullable=False),
    sqlite_with_rowid=False,
)

# Those of the latest minutes on SQLite, not yet in `usage_event`: a row for each transaction, of
# many hashes one after the other (recent_events.py). Its ids are never used again.
usage_event_recent = table(
    "usage_event_recent",
    sa.Column("id", big, primary_key=True, autoincrement=True),
    sa.Column("seen_ms", big, nullable=False),
    sa.Column("hashes", sa.LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

# What reports became on a day (UTC). `detail` is "" for logged and repeated uses, the masked hash
# of an unknown token, or the code by which reports were refused; `example` the route of an unknown
# token's latest use, or the address of the latest refused report.
usage_intake = table(
    "usage_intake",
    sa.Column("day_s", big, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("detail", sa.Text, primary_key=True),
    tenant(),
    sa.Column("counted", big, nullable=False),
    sa.Column("last_ms", big, nullable=False),
    sa.Column("example", sa.Text, nullable=False),
)
