"""docs/reference/settings.md: every setting, its names, its default and what it does."""

from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from tallygate.config import Settings, names_of

MEANINGS = {
    "data": "The data folder: store, journals, secrets. Also `--data` of every command.",
    "host": "The address to listen on.",
    "port": "The public port.",
    "workers": "Gateway processes; 0 means one per core.",
    "time_zone": "The zone that days and months are counted in, unless a limit names its own.",
    "admin_token": "The operator's token. Without it one is made and kept in `data/admin-token`.",
    "master_key": "Seals secrets: 32 bytes as base64, or any text. Without it one is made and kept "
    "in `data/master.key`. It is in no backup.",
    "master_key_old": "The key before: it still opens what `tallygate secrets rotate` has not "
    "sealed anew yet.",
    "database_url": "`postgresql://…` or `postgres://…`: the store is a PostgreSQL, in a schema of "
    "its own named `tallygate`. Without it the store is SQLite.",
    "sqlite_db_path": "The SQLite store's file; `tallygate.db` in the data folder if not set. If "
    "it is an old quota proxy's file, it is only read and taken over, once, into "
    "`<name>.tallygate.db` beside it.",
    "deepseek_api_key": "Makes a provider named `deepseek`.",
    "deepseek_base_url": "Where that provider is.",
    "dify_api_url": "A Dify server's API, such as `https://api.dify.ai/v1`; with the key below it "
    "makes the Dify app `default`, served at `/dify/v1/…`.",
    "dify_api_key": "That app's API key (`app-…`).",
    "dify_model": "The model whose price counts where that app's answers name none.",
    "dify_hold_points": "The points that a call of that app sets aside until its cost is known.",
    "dify_in_pages": "Whether pages that embed Dify count points: `true` switches on the browser "
    "packages and `/dify-test`, which otherwise say that they are off. What a page reports is held "
    "to `TALLYGATE_DIFY_BROWSER_TRUST` either way.",
    "dify_trace_quiet_s": "Seconds without news after which a trace that Dify exports is complete.",
    "daily_req_limit": "The daily limit of keys that are made without one.",
    "public_models": "Whether `GET /v1/models` answers without a key.",
    "keep_sealed_keys": "Whether a sealed copy of each key is kept, so that `GET /admin/keys` "
    "shows whole keys; otherwise it shows masked keys and ids.",
    "notify_urls": "Where notices go, as apprise writes it; several separated by spaces.",
    "mail_url": "Who mails users their warnings: apprise's `mailto(s)://`, without `to`.",
    "notice_language": "The language of notices, and of users who have not chosen one: `en`, "
    "`zh-CN` or `zh-TW`.",
    "notify_webhook_url": "Where notices are posted, signed as Standard Webhooks has it.",
    "notify_webhook_secret": "Signs those: `whsec_…` is base64, anything else raw bytes.",
    "trusted_proxies": "CIDRs, separated by commas, whose `X-Forwarded-For` is believed.",
    "console_host": "The only host name under which console and API answer; empty for any.",
    "dify_webhook_key": "Whoever sends this key, as `Authorization: Bearer` or `X-API-Key`, may "
    "deliver events to `/api/dify/webhook`. Without it and without a secret the webhook is closed.",
    "dify_webhook_secret": "Deliveries must be signed with it: Standard Webhooks headers, or "
    "`X-Signature: sha256=<hex>` of the raw body. `whsec_…` is base64, anything else is taken as "
    "it is. With a key set too, both are needed.",
    "dify_max_age_days": "Events older than this are refused.",
    "dify_body_bytes_max": "The largest body of a delivery.",
    "dify_overdraft": "When a balance is too small for an event: `reject` it (402, recorded as "
    "unpaid), or `overdraw` down to the wallet's floor.",
    "dify_browser_trust": "What a browser's report is worth: `off`, `hint` (shown, and charged "
    "once a server-side source confirms it) or `charge`.",
    "max_charge_points": "An event that costs more waits for an operator's review.",
    "usage_secret": "Whoever sends it as `X-Usage-Secret`, or signs with it (Standard Webhooks), "
    "may report uses to `/api/usage-log`. Without it one is made and kept in `data/usage-secret`, "
    "for this node only. As a key to sign with, `whsec_…` is base64, anything else is taken as it "
    "is.",
    "usage_open": "Whether anybody may report uses, without a secret.",
    "usage_allow": "Where uses may be reported from, secret or not: CIDRs separated by commas, or "
    "`cloudflare` for the ranges that Cloudflare publishes; empty for everywhere.",
    "usage_events_max": "Events in one report.",
    "usage_body_bytes_max": "The largest body of a report.",
    "usage_event_keep_h": "Hours that an `event_id` is remembered: a copy that comes later counts "
    "again.",
    "public_url": "Under which URL people reach this server, as in `https://gate.example.com`; "
    "needed behind a proxy that changes the host, and for OpenID Connect.",
    "session_idle_min": "Minutes after which a session that is not used ends.",
    "session_max_h": "Hours after which every session ends.",
    "member_keys_max": "API keys that a member may have of their own making; 0 for none.",
    "oidc_issuer": "OpenID Connect: the provider's issuer URL; without it people sign in by "
    "password only.",
    "oidc_client_id": "The client that the provider knows this server as. Its redirect URI is "
    "`<TALLYGATE_PUBLIC_URL>/api/session/oidc/callback`.",
    "oidc_client_secret": "That client's secret; a public client has none.",
    "oidc_scopes": "The scopes that are asked for.",
    "oidc_domains": "Domains of email addresses, separated by commas, whose owners may sign in; "
    "empty for everybody whom the provider lets in.",
    "oidc_default_role": "The role of who signs in for the first time and is in none of the groups "
    "of `TALLYGATE_OIDC_ROLES`; `none` refuses them.",
    "oidc_role_claim": "The claim of the ID token that names a person's groups.",
    "oidc_roles": "What groups mean here, as in `gate-admins=admin, support=operator`; the highest "
    "role counts, and is set anew at each sign-in.",
    "log_level": "`debug`, `info`, `warning` or `error`; `debug` shows each quota decision.",
    "log_format": "`console`, `json`, or `auto`: console at a terminal, else JSON.",
    "metrics_port": (
        "A port of its own for `/metrics`, without authentication, on the address of "
        "`TALLYGATE_HOST` (by default this machine only), served by the control role; 0 for none. "
        "On the public port `/metrics` always needs the admin token."
    ),
    "otlp_endpoint": "An OpenTelemetry collector that is told of requests, by OTLP over HTTP: its "
    "base URL, such as `http://localhost:4318`; `/v1/traces` is added. Without it, or with `off`, "
    "there are no traces.",
    "otlp_headers": "Headers for it, such as `authorization=Bearer%20abc,x-scope=team`: values "
    "percent-encoded, all of them secret.",
    "otlp_service_name": "The `service.name` of what it is told.",
    "otlp_sample_ratio": "The share of requests that it is told of, 0 to 1. What a client has "
    "sampled itself, as its `traceparent` says, is told in any case.",
    "otlp_queue_max": "Requests that wait to be told; when there are more, the oldest are left "
    "out.",
    "connections_max": "Client connections of a worker at a time.",
    "head_bytes_max": "The longest head of a request.",
    "metered_body_bytes_max": "The largest body of a request that is metered.",
    "buffered_bytes_max": "What a worker buffers of all bodies together before it stops reading.",
    "head_timeout_s": "Seconds for a request's head to arrive.",
    "body_timeout_s": "Seconds between two pieces of a request's body.",
    "idle_timeout_s": "Seconds that an idle client connection stays open.",
    "write_timeout_s": "Seconds that a client may take to read before it is given up.",
    "drain_timeout_s": "Seconds that a stopping node gives what is running.",
    "client_gone_drain_s": "Seconds that an answer is still read, for its usage, when its client "
    "has gone.",
    "client_gone_drain_bytes_max": "Bytes that are read then, at most.",
    "upstream_connections_max": "Connections of a worker to upstreams.",
    "upstream_idle_s": "Seconds that an idle upstream connection is kept.",
    "dns_cache_s": "Seconds that a provider's address is remembered.",
    "attempts_max": "Tries per request, the first one included.",
    "renewal_wait_s": "Seconds that a request whose upstream answered 401 waits for its credential "
    "to be renewed, where there is no other one; 0 answers at once.",
    "default_output_tokens": "What is reserved for an answer whose request sets no maximum.",
    "key_cache_max": "Keys that a worker remembers.",
    "key_stale_s": "Seconds that a known key is still believed while the store is away.",
    "unknown_key_cache_s": "Seconds that an unknown key is remembered as unknown.",
    "revocation": "`normal`, or `strict`: refuse after one second without news from the store.",
    "durability": "`process`: what was answered survives any process's death. `power`: also a "
    "power failure, at the price of a disk flush per group of answers.",
    "journal_segment_bytes": "The size of one journal file.",
    "journal_bytes_max": "What a worker's journal may hold unsettled before admission stops.",
    "journal_keep_h": "Hours that settled journals are kept, so that a restored backup can replay.",
    "usage_keep_days": "Days that rows of usage are kept; 0 keeps them for ever.",
    "rollup_hours_keep_days": "Days that the sums by hour are kept; 0 keeps them for ever.",
    "rollup_days_keep_days": "Days that the sums by day are kept; 0 keeps them for ever.",
    "anomalies": "Whether keys are watched for what is out of the ordinary (docs/anomalies.md).",
    "anomaly_dormant_days": "Days without a use after which a key is asleep, and its next use an "
    "anomaly.",
    "anomaly_throttle": "What an anomaly does to its key until it is acknowledged: `off`, `slow` "
    "or `stop`. A key may be told otherwise by `tallygate anomalies throttle`.",
    "anomaly_throttle_per_minute": "Requests a minute that are left to a key that is slowed down.",
    "anomaly_throttle_hours": "Hours after which a throttle ends by itself; 0 waits until it is "
    "lifted.",
    "feed_keep_h": "Hours that the change feed is kept.",
    "cloudflare_account_id": "Cloudflare's account that the edge runs in.",
    "cloudflare_api_token": "Publishes there: a token that may edit Workers KV Storage.",
    "cloudflare_api_url": "Where Cloudflare's API is.",
    "edge_kv_namespace_id": "The KV namespace that tokens and routes are published to for the "
    "edge; without it nothing is. Needs the account and its token.",
    "edge_secret": "Seals the headers that routes add, for the Worker's `EDGE_SECRET`. Without it "
    "the edge does not serve routes that add headers to requests.",
    "edge_writes_per_day": "KV writes, and deletes, that a UTC day may have; a tenth of it is kept "
    "for what revokes. 1000 is free at Cloudflare; 0 for no bound.",
    "edge_reconcile_h": "Hours between two full comparisons with what lies in KV; 0 for none.",
    "keeper_delete_grace_days": "Days that a credential which its upstream proved invalid stays in "
    "quarantine before it is deleted; 0 deletes it at once.",
    "keeper_interval_h": "Hours between two runs of the credential keeper that the server starts "
    "by itself; 0 leaves it to cron or a timer. A run that somebody else made counts.",
    "keeper_concurrency": "Credentials that a run of the keeper asks about at a time.",
    "idempotency_keep_h": "Hours that an `Idempotency-Key` is remembered.",
}

_HEAD = """# Settings

Environment variables, or lines of `tallygate.toml` (the names without `TALLYGATE_`, in lower case);
the environment wins. `TALLYGATE_CONFIG` names another file. The first name is ours, further ones
are those of the systems that Tallygate replaces. A bad setting stops the start with one line that
names it; an unknown `TALLYGATE_…` variable is warned about. Written by `make docs`.

| setting | default | what it does |
|---|---|---|
"""


def page() -> str:
    return _HEAD + "".join(_row(field) for field in Settings.model_fields)


def _row(field: str) -> str:
    names = "<br>".join(f"`{name}`" for name in names_of(field))
    return f"| {names} | {_default(field)} | {MEANINGS[field]} |\n"


def _default(field: str) -> str:
    default: Any = Settings.model_fields[field].default
    assert default is not PydanticUndefined, "every setting has a default"
    if default is None or default == "":
        return "–"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default.as_posix() if isinstance(default, Path) else default}`"
