"""Read-only views under the names of the seed's points system, so that old SQL still runs.

They are for looking: money is never computed from them. Prices are in the currency they were
written in, for 1,000 tokens, as there; `currency` says which.
"""

import sqlalchemy as sa

from tallygate.store.database import Tx

VIEWS = ("model_configs", "exchange_rates", "exchange_rate_history", "token_usage")

_TIME = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', {ms} / 1000.0, 'unixepoch')",
    "postgresql": "to_timestamp({ms} / 1000.0)",
}
_NOW_MS = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM now()) * 1000 AS BIGINT)",
}

_MODEL_CONFIGS = """CREATE VIEW model_configs AS
    SELECT p.id AS id,
        p.model AS model_name,
        p.input_picos / 1000000000.0 AS input_token_price,
        p.output_picos / 1000000000.0 AS output_token_price,
        p.currency AS currency,
        p.is_active AS is_active,
        p.actor AS created_by,
        {created} AS created_at,
        {created} AS updated_at
    FROM price p
    WHERE p.id = (SELECT q.id FROM price q
        WHERE q.model = p.model AND q.effective_ms <= {now}
        ORDER BY q.effective_ms DESC, q.id DESC LIMIT 1)"""

_EXCHANGE_RATES = """CREATE VIEW exchange_rates AS
    SELECT r.id AS id,
        r.micros_per_usd / 1000000.0 AS rate,
        CASE WHEN r.id = (SELECT max(q.id) FROM rate q) THEN 1 ELSE 0 END = 1 AS is_active,
        r.actor AS created_by,
        {created} AS created_at,
        {created} AS updated_at
    FROM rate r"""

_HISTORY = """CREATE VIEW exchange_rate_history AS
    SELECT r.id AS id,
        (SELECT q.micros_per_usd / 1000000.0 FROM rate q
            WHERE q.id < r.id ORDER BY q.id DESC LIMIT 1) AS old_rate,
        r.micros_per_usd / 1000000.0 AS new_rate,
        r.actor AS admin_id,
        r.reason AS reason,
        {created} AS timestamp
    FROM rate r"""

_USAGE = """CREATE VIEW token_usage AS
    SELECT 'cons_' || c.id AS id,
        c.account_id AS user_id,
        c.model AS model,
        c.input_tokens AS input_tokens,
        c.output_tokens AS output_tokens,
        (c.micros - c.output_micros) / 1000000.0 AS input_cost,
        c.output_micros / 1000000.0 AS output_cost,
        c.conversation_id AS conversation_id,
        c.message_id AS message_id,
        {charged} AS created_at
    FROM charge c WHERE c.state IN ('charged', 'refunded')
    UNION ALL
    SELECT 'past_' || u.id, u.account_id, u.model, u.input_tokens, u.output_tokens,
        u.input_micros / 1000000.0, u.output_micros / 1000000.0,
        u.conversation_id, u.message_id, {past}
    FROM past_usage u"""


async def create_points_views(tx: Tx) -> None:
    """Make the views, or make them anew; part of migrating."""
    time, now = _TIME[tx.dialect], _NOW_MS[tx.dialect]
    for name in VIEWS:
        await tx.execute(sa.text(f"DROP VIEW IF EXISTS {name}"))
    created = time.format(ms="p.created_ms")
    await tx.execute(sa.text(_MODEL_CONFIGS.format(created=created, now=now)))
    for text in (_EXCHANGE_RATES, _HISTORY):
        await tx.execute(sa.text(text.format(created=time.format(ms="r.created_ms"))))
    times = {"charged": time.format(ms="c.at_ms"), "past": time.format(ms="u.at_ms")}
    await tx.execute(sa.text(_USAGE.format(**times)))
