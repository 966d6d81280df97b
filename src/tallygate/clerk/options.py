"""What a clerk is told when it is started; it reads no settings itself."""

from pathlib import Path

import msgspec

from tallygate.core.dify import App
from tallygate.core.provider import Provider


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Comes through the supervisor's pipe, never through argv: it holds secrets."""

    data: str
    database_url: str
    node_uuid: str
    node_name: str
    master_key: bytes
    time_zone: str = "UTC"
    default_daily_limit: int = 200
    keep_sealed_keys: bool = True
    member_keys_max: int = 20
    journal_keep_h: int = 24
    journal_bytes_max: int = 4 << 30
    feed_keep_h: int = 24
    idempotency_keep_h: int = 24
    usage_keep_days: int = 400  # 0: for ever
    rollup_hours_keep_days: int = 400
    rollup_days_keep_days: int = 0
    usage_event_keep_h: int = 72
    anomalies: bool = True
    anomaly_dormant_days: int = 35
    anomaly_throttle: str = "off"
    anomaly_throttle_per_minute: int = 10
    anomaly_throttle_hours: int = 0  # 0: until it is acknowledged
    drain_timeout_s: float = 10.0
    settings_provider: Provider | None = None
    settings_app: App | None = None  # of Dify
    dify_trace_quiet_s: int = 10
    control_socket: str = ""
    port: int = 0  # of this node's gateways: where no route may lead
    public_url: str = ""
    console_host: str = ""
    notify_urls: str | None = None
    notify_webhook_url: str | None = None
    notify_webhook_secret: str | None = None
    mail_url: str | None = None
    notice_language: str = "en"
    charge_micros_max: int = 1_000_000_000_000
    dify_overdraft: str = "reject"
    dify_max_age_days: int = 30
    dify_browser_trust: str = "hint"

    otlp_endpoint: str = ""  # nothing: there are no traces
    otlp_headers: str | None = None
    otlp_service_name: str = "tallygate"
    otlp_sample_ratio: float = 1.0
    otlp_queue_max: int = 10_000

    cloudflare_account_id: str = ""
    cloudflare_api_token: str | None = None
    cloudflare_api_url: str = ""
    edge_kv_namespace_id: str = ""  # nothing: there is no edge
    edge_secret: str | None = None
    edge_writes_per_day: int = 1_000
    edge_reconcile_h: float = 24

    keeper_command: tuple[str, ...] = ()  # what starts a keeper; () starts none
    keeper_interval_h: float = 0
    keeper_delete_grace_days: int = 7
    keeper_concurrency: int = 128

    def __repr__(self) -> str:
        return f"<Options {self.node_name} {self.data}>"

    @property
    def journals(self) -> Path:
        return Path(self.data) / "journal"

    @property
    def may_overdraw(self) -> bool:
        """Whether a wallet without enough money is charged down to its floor."""
        return self.dify_overdraft == "overdraw"

    @property
    def corrupt(self) -> Path:
        return self.journals / "corrupt"
