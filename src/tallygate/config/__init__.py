"""Settings: environment, then `tallygate.toml`, then defaults; frozen once read.

Every limit of the product has its line here and in docs/reference/settings.md. The seeds' own names
(PORT, ADMIN_TOKEN, DEEPSEEK_API_KEY …) stay valid as aliases of the TALLYGATE_ ones.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import (
    AliasChoices,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from tallygate.config.accounts import AccountSettings
from tallygate.config.anomalies import AnomalySettings
from tallygate.config.billing import BillingSettings
from tallygate.config.dify import DifySettings
from tallygate.config.edge import EdgeSettings
from tallygate.config.notices import NoticeSettings
from tallygate.config.traces import TraceSettings
from tallygate.config.usage import UsageSettings
from tallygate.core.addresses import parse_networks
from tallygate.core.limits import AMOUNT_MAX
from tallygate.core.windows import zone_of

PREFIX = "TALLYGATE_"


class BadSettings(Exception):
    """One line that names the setting and says what it should be."""


def _named(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class Settings(
    AccountSettings,
    AnomalySettings,
    BillingSettings,
    DifySettings,
    EdgeSettings,
    NoticeSettings,
    TraceSettings,
    UsageSettings,
):
    """Everything an operator can set."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    data: Path = Field(Path("data"), validation_alias=_named("TALLYGATE_DATA"))
    host: str = Field("127.0.0.1", validation_alias=_named("TALLYGATE_HOST"))
    port: int = Field(8787, ge=0, le=65535, validation_alias=_named("TALLYGATE_PORT", "PORT"))
    workers: int = Field(0, ge=0, le=256, validation_alias=_named("TALLYGATE_WORKERS"))  # 0: cores
    time_zone: str = Field("UTC", validation_alias=_named("TALLYGATE_TIME_ZONE"))

    admin_token: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_ADMIN_TOKEN", "ADMIN_TOKEN")
    )
    master_key: SecretStr | None = Field(None, validation_alias=_named("TALLYGATE_MASTER_KEY"))
    master_key_old: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_MASTER_KEY_OLD")
    )
    database_url: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_DATABASE_URL", "DATABASE_URL")
    )
    sqlite_db_path: Path | None = Field(
        None, validation_alias=_named("TALLYGATE_SQLITE_DB_PATH", "SQLITE_DB_PATH")
    )
    deepseek_api_key: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_DEEPSEEK_API_KEY", "DEEPSEEK_API_KEY")
    )
    deepseek_base_url: str = Field(
        "https://api.deepseek.com/v1",
        validation_alias=_named("TALLYGATE_DEEPSEEK_BASE_URL", "DEEPSEEK_BASE_URL"),
    )
    daily_req_limit: int = Field(
        200,
        ge=0,
        le=AMOUNT_MAX,
        validation_alias=_named("TALLYGATE_DAILY_REQ_LIMIT", "DAILY_REQ_LIMIT"),
    )
    public_models: bool = Field(False, validation_alias=_named("TALLYGATE_PUBLIC_MODELS"))
    keep_sealed_keys: bool = Field(True, validation_alias=_named("TALLYGATE_KEEP_SEALED_KEYS"))
    trusted_proxies: str = Field("", validation_alias=_named("TALLYGATE_TRUSTED_PROXIES"))
    console_host: str = Field("", validation_alias=_named("TALLYGATE_CONSOLE_HOST"))

    log_level: str = Field("info", validation_alias=_named("TALLYGATE_LOG_LEVEL"))
    log_format: str = Field("auto", validation_alias=_named("TALLYGATE_LOG_FORMAT"))
    metrics_port: int = Field(0, ge=0, le=65535, validation_alias=_named("TALLYGATE_METRICS_PORT"))

    # What a gateway worker holds at most.
    connections_max: int = Field(10_000, ge=1, validation_alias=_named("TALLYGATE_CONNECTIONS_MAX"))
    head_bytes_max: int = Field(
        65_536, ge=1024, validation_alias=_named("TALLYGATE_HEAD_BYTES_MAX")
    )
    metered_body_bytes_max: int = Field(
        32 << 20, ge=1024, validation_alias=_named("TALLYGATE_METERED_BODY_BYTES_MAX")
    )
    buffered_bytes_max: int = Field(
        128 << 20, ge=1 << 20, validation_alias=_named("TALLYGATE_BUFFERED_BYTES_MAX")
    )
    head_timeout_s: int = Field(20, ge=1, validation_alias=_named("TALLYGATE_HEAD_TIMEOUT_S"))
    body_timeout_s: int = Field(60, ge=1, validation_alias=_named("TALLYGATE_BODY_TIMEOUT_S"))
    idle_timeout_s: int = Field(75, ge=1, validation_alias=_named("TALLYGATE_IDLE_TIMEOUT_S"))
    write_timeout_s: int = Field(60, ge=1, validation_alias=_named("TALLYGATE_WRITE_TIMEOUT_S"))
    drain_timeout_s: int = Field(10, ge=0, validation_alias=_named("TALLYGATE_DRAIN_TIMEOUT_S"))
    client_gone_drain_s: int = Field(
        30, ge=0, validation_alias=_named("TALLYGATE_CLIENT_GONE_DRAIN_S")
    )
    client_gone_drain_bytes_max: int = Field(
        4 << 20, ge=0, validation_alias=_named("TALLYGATE_CLIENT_GONE_DRAIN_BYTES_MAX")
    )
    upstream_connections_max: int = Field(
        1024, ge=1, validation_alias=_named("TALLYGATE_UPSTREAM_CONNECTIONS_MAX")
    )
    upstream_idle_s: int = Field(50, ge=1, validation_alias=_named("TALLYGATE_UPSTREAM_IDLE_S"))
    dns_cache_s: int = Field(30, ge=0, validation_alias=_named("TALLYGATE_DNS_CACHE_S"))
    attempts_max: int = Field(3, ge=1, le=10, validation_alias=_named("TALLYGATE_ATTEMPTS_MAX"))
    renewal_wait_s: float = Field(
        5, ge=0, le=60, validation_alias=_named("TALLYGATE_RENEWAL_WAIT_S")
    )  # 0: nobody waits
    default_output_tokens: int = Field(
        4096, ge=1, validation_alias=_named("TALLYGATE_DEFAULT_OUTPUT_TOKENS")
    )
    key_cache_max: int = Field(50_000, ge=16, validation_alias=_named("TALLYGATE_KEY_CACHE_MAX"))
    key_stale_s: int = Field(60, ge=1, validation_alias=_named("TALLYGATE_KEY_STALE_S"))
    unknown_key_cache_s: int = Field(
        5, ge=0, validation_alias=_named("TALLYGATE_UNKNOWN_KEY_CACHE_S")
    )
    revocation: str = Field("normal", validation_alias=_named("TALLYGATE_REVOCATION"))

    # Journal and store.
    durability: str = Field("process", validation_alias=_named("TALLYGATE_DURABILITY"))
    journal_segment_bytes: int = Field(
        8 << 20, ge=1 << 16, validation_alias=_named("TALLYGATE_JOURNAL_SEGMENT_BYTES")
    )
    journal_bytes_max: int = Field(
        4 << 30, ge=1 << 20, validation_alias=_named("TALLYGATE_JOURNAL_BYTES_MAX")
    )
    journal_keep_h: int = Field(24, ge=0, validation_alias=_named("TALLYGATE_JOURNAL_KEEP_H"))
    feed_keep_h: int = Field(24, ge=1, validation_alias=_named("TALLYGATE_FEED_KEEP_H"))
    idempotency_keep_h: int = Field(
        24, ge=1, validation_alias=_named("TALLYGATE_IDEMPOTENCY_KEEP_H")
    )

    # The credential keeper.
    keeper_delete_grace_days: int = Field(
        7, ge=0, le=3650, validation_alias=_named("TALLYGATE_KEEPER_DELETE_GRACE_DAYS")
    )
    keeper_interval_h: float = Field(
        6, ge=0, le=8760, validation_alias=_named("TALLYGATE_KEEPER_INTERVAL_H")
    )  # 0: the server does not run it
    keeper_concurrency: int = Field(
        128, ge=1, le=10_000, validation_alias=_named("TALLYGATE_KEEPER_CONCURRENCY")
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        zone_of(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _known_networks_of_proxies(cls, value: str) -> str:
        try:
            parse_networks(value)
        except ValueError as error:
            raise ValueError(f"use CIDRs separated by commas: {error}") from None
        return value

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        return _one_of(value.lower(), "debug", "info", "warning", "error")

    @field_validator("log_format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        return _one_of(value.lower(), "auto", "console", "json")

    @field_validator("durability")
    @classmethod
    def _known_durability(cls, value: str) -> str:
        return _one_of(value.lower(), "process", "power")

    @field_validator("revocation")
    @classmethod
    def _known_revocation(cls, value: str) -> str:
        return _one_of(value.lower(), "normal", "strict")

    @field_validator("deepseek_base_url")
    @classmethod
    def _http_url(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("use a URL that starts with http:// or https://")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _postgresql_url(cls, value: SecretStr | None) -> SecretStr | None:
        url = value.get_secret_value() if value else ""
        if url and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("use a URL that starts with postgresql:// or postgres://")
        return value

    @property
    def run_folder(self) -> Path:
        return self.data / "run"

    @property
    def journal_folder(self) -> Path:
        return self.data / "journal"

    def socket_path(self, role: str) -> Path:
        """Where a role's socket is bound: in the run folder, or where a link there points to.

        Such a link stands for a path that is longer than a socket's address may be.
        """
        path = self.run_folder / f"{role}.sock"
        return path.readlink() if path.is_symlink() else path


def _one_of(value: str, *choices: str) -> str:
    if value not in choices:
        raise ValueError(f"use one of {', '.join(choices)}")
    return value


def names_of(field: str) -> tuple[str, ...]:
    """Every environment variable that sets a field, the TALLYGATE_ one first."""
    alias = Settings.model_fields[field].validation_alias
    assert isinstance(alias, AliasChoices)
    return tuple(str(choice) for choice in alias.choices)


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> tuple[Settings, list[str]]:
    """The settings and the warnings about them; BadSettings is one line for the operator.

    `overrides` are command-line options by field name; None means not given.
    """
    environ = os.environ if environ is None else environ
    file_values = _read_file(Path(environ.get("TALLYGATE_CONFIG", "tallygate.toml")))
    values: dict[str, Any] = {}
    for field in Settings.model_fields:
        names = names_of(field)
        for name in reversed(names):
            if environ.get(name, "") != "":
                values[field] = environ[name]
        if field not in values and field in file_values:
            values[field] = file_values[field]
    values.update({field: value for field, value in overrides.items() if value is not None})
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise BadSettings(_one_line(error)) from None
    return settings, _warnings(environ, file_values)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadSettings(f"{path} cannot be read: {error}") from error


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    location = str(first["loc"][0]) if first["loc"] else "settings"
    name = names_of(location)[0] if location in Settings.model_fields else location
    return f"{name}: {first['msg'].removeprefix('Value error, ')}"


def _warnings(environ: Mapping[str, str], file_values: Mapping[str, Any]) -> list[str]:
    known = {name for field in Settings.model_fields for name in names_of(field)}
    known.add("TALLYGATE_CONFIG")
    unknown = [f"{name} is not a setting" for name in environ if name.startswith(PREFIX)]
    unknown = [line for line in unknown if line.split(" ", 1)[0] not in known]
    unknown += [
        f"tallygate.toml: {name} is not a setting"
        for name in file_values
        if name not in Settings.model_fields
    ]
    return sorted(unknown)
