"""Settings of traces: which OpenTelemetry collector is told of requests, and of how many.

`Settings` is made of these and of its own; each has its line in docs/reference/settings.md. The
names of OpenTelemetry's own settings are taken too, so that a container finds its collector.
"""

import urllib.parse

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator

from tallygate.core.otlp_spans import parse_headers


def _named(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class TraceSettings(BaseModel):
    """Without an endpoint there are no traces."""

    otlp_endpoint: str = Field(
        "", validation_alias=_named("TALLYGATE_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    )
    otlp_headers: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    )
    otlp_service_name: str = Field(
        "tallygate", validation_alias=_named("TALLYGATE_OTLP_SERVICE_NAME", "OTEL_SERVICE_NAME")
    )
    otlp_sample_ratio: float = Field(
        1.0, ge=0, le=1, validation_alias=_named("TALLYGATE_OTLP_SAMPLE_RATIO")
    )
    otlp_queue_max: int = Field(
        10_000, ge=1, le=1_000_000, validation_alias=_named("TALLYGATE_OTLP_QUEUE_MAX")
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _collector_url(cls, value: str) -> str:
        if value.lower() in ("off", "none"):
            return ""
        parts = urllib.parse.urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("use a URL that starts with http:// or https://")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "use a URL without user, query and fragment; secrets go into TALLYGATE_OTLP_HEADERS"
            )
        return value.rstrip("/")

    @field_validator("otlp_headers")
    @classmethod
    def _readable_headers(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_headers(value.get_secret_value())
        return value
