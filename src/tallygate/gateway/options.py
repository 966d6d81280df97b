"""What a worker is told at its start: plain values, so that it loads no settings library."""

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's part of config.Settings, under the same names, and who this worker is."""

    data: str
    node_uuid: str
    slot: int
    boot: int
    port: int
    clerk_socket: str
    control_socket: str

    public_models: bool = False
    trusted_proxies: str = ""
    connections_max: int = 10_000
    head_bytes_max: int = 65_536
    metered_body_bytes_max: int = 32 << 20
    buffered_bytes_max: int = 128 << 20
    head_timeout_s: int = 20
    body_timeout_s: int = 60
    idle_timeout_s: int = 75
    write_timeout_s: int = 60
    drain_timeout_s: int = 10
    client_gone_drain_s: int = 30
    client_gone_drain_bytes_max: int = 4 << 20
    upstream_connections_max: int = 1024
    upstream_idle_s: int = 50
    dns_cache_s: int = 30
    attempts_max: int = 3
    renewal_wait_s: float = 5
    default_output_tokens: int = 4096
    key_cache_max: int = 50_000
    key_stale_s: int = 60
    unknown_key_cache_s: int = 5
    revocation: str = "normal"
    durability: str = "process"
    journal_segment_bytes: int = 8 << 20
    journal_bytes_max: int = 4 << 30
    admin_token_hash: bytes = b""  # SHA-256
    dify_webhook_key: str = ""
    dify_webhook_secret: str = ""
    dify_body_bytes_max: int = 256 << 10
    usage_secret: str = ""
    usage_open: bool = False
    usage_allow: str = ""
    usage_body_bytes_max: int = 1 << 20
    usage_events_max: int = 1000
    log_level: str = "info"
    log_format: str = "auto"

    def __repr__(self) -> str:
        return f"<Options of worker {self.slot}>"  # some are secrets
