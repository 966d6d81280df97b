"""Read-only views under the seeds' names, so that old SQL still runs; keys are masked.

`usage_stats.day` is the calendar day of the limit's own zone. PostgreSQL computes it exactly;
SQLite knows no zones and adds half a day or so to the window's start, which lies at that zone's
midnight: 13 hours give the right date from UTC-10 to UTC+13, the rest is listed.
"""

import sqlalchemy as sa

from tallygate.store.database import Tx

VIEWS = ("trial_keys", "usage_stats", "tokens", "token_usage_logs")

_FAR_EAST = "'Pacific/Kiritimati', 'Pacific/Apia', 'Etc/GMT-14'"
_FAR_WEST = (
    "'Pacific/Pago_Pago', 'Pacific/Midway', 'Pacific/Samoa', 'US/Samoa', 'Pacific/Niue', "
    "'Etc/GMT+11', 'Etc/GMT+12'"
)

_DAY = {
    "sqlite": f"""strftime('%Y-%m-%d', c.window_s + CASE
            WHEN l.zone IN ({_FAR_EAST}) THEN 50400
            WHEN l.zone IN ({_FAR_WEST}) THEN 43200
            ELSE 46800 END, 'unixepoch')""",
    "postgresql": "to_char(to_timestamp(c.window_s) AT TIME ZONE l.zone, 'YYYY-MM-DD')",
}

# The secret that was made last is the one that a list shows.
_MASKED = """(SELECT s.masked FROM key_secret s WHERE s.key_id = {key_id}
        ORDER BY s.created_ms DESC, s.hash LIMIT 1)"""

_TRIAL_KEYS = f"""CREATE VIEW trial_keys AS
    SELECT {_MASKED.format(key_id="k.id")} AS key,
        k.label AS label,
        k.created_ms AS created_at,
        l.amount AS daily_limit,
        CASE WHEN k.is_active THEN 1 ELSE 0 END AS is_active
    FROM api_key k LEFT JOIN limits l
        ON l.subject_kind = 'key' AND l.subject_id = CAST(k.id AS TEXT)
        AND l.is_daily AND l.deleted_ms IS NULL
    WHERE k.kind = 'roc' AND k.deleted_ms IS NULL"""  # noqa: S608 - names of our own schema

_USAGE_STATS = """CREATE VIEW usage_stats AS
    SELECT c.limit_id * 100000 + c.window_s / 86400 AS id,
        {masked} AS trial_key,
        {day} AS day,
        c.spent AS requests,
        c.updated_ms AS updated_at
    FROM counter c JOIN limits l ON l.id = c.limit_id
    WHERE l.subject_kind = 'key' AND l.is_daily"""


_TIME = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', {ms} / 1000.0, 'unixepoch')",
    "postgresql": "to_timestamp({ms} / 1000.0)",
}
_HEX = {"sqlite": "lower(hex({hash}))", "postgresql": "encode({hash}, 'hex')"}

# A rotated token goes by its newest hash.
_NEWEST = """(SELECT s.hash FROM key_secret s WHERE s.key_id = k.id
        ORDER BY s.created_ms DESC, s.expires_ms IS NOT NULL, s.hash LIMIT 1)"""

_TOKENS = """CREATE VIEW tokens AS
    SELECT k.id AS id,
        k.label AS name,
        NULLIF(k.team_id, '') AS team_id,
        {hash} AS token_hash,
        k.scopes AS scopes,
        CASE WHEN k.is_active THEN 1 ELSE 0 END = 1 AS is_active,
        {created} AS created_at,
        {expires} AS expires_at,
        {last_used} AS last_used
    FROM api_key k
    WHERE k.kind = 'ntk' AND k.deleted_ms IS NULL"""

_USAGE_LOGS = """CREATE VIEW token_usage_logs AS
    SELECT u.id AS id,
        {hash} AS token_hash,
        u.route AS route_path,
        {used} AS used_at,
        u.address AS ip_address,
        u.agent AS user_agent,
        u.status AS response_status,
        u.duration_ms AS response_time_ms
    FROM usage u JOIN api_key k ON k.id = u.key_id
    WHERE k.kind = 'ntk'"""


async def create_views(tx: Tx) -> None:
    """Make the views, or make them anew; part of migrating."""
    masked = _MASKED.format(key_id="CAST(l.subject_id AS BIGINT)")
    for name in VIEWS:
        await tx.execute(sa.text(f"DROP VIEW IF EXISTS {name}"))
    await tx.execute(sa.text(_TRIAL_KEYS))
    await tx.execute(sa.text(_USAGE_STATS.format(masked=masked, day=_DAY[tx.dialect])))
    hashed, time = _HEX[tx.dialect].format(hash=_NEWEST), _TIME[tx.dialect]
    names = {"created": "k.created_ms", "expires": "k.expires_ms", "last_used": "k.last_used_ms"}
    times = {name: time.format(ms=ms) for name, ms in names.items()}
    await tx.execute(sa.text(_TOKENS.format(hash=hashed, **times)))
    used = time.format(ms="u.at_ms")
    await tx.execute(sa.text(_USAGE_LOGS.format(hash=hashed, used=used)))
