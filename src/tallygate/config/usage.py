"""Settings of usage: how long its rows and their sums are kept; who may report uses to
`POST /api/usage-log`, how many at once, and for how long they are known.

`Settings` is made of these and of its own; each has its line in docs/reference/settings.md.
"""

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator

from tallygate.core.cloudflare import networks_of
from tallygate.core.signatures import key_of

_DAYS_MAX = 36_500


def _named(name: str) -> AliasChoices:
    return AliasChoices(name)


class UsageSettings(BaseModel):
    """What an operator can set. Of days, 0 keeps for ever."""

    usage_keep_days: int = Field(
        400, ge=0, le=_DAYS_MAX, validation_alias=AliasChoices("TALLYGATE_USAGE_KEEP_DAYS")
    )
    rollup_hours_keep_days: int = Field(
        400, ge=0, le=_DAYS_MAX, validation_alias=AliasChoices("TALLYGATE_ROLLUP_HOURS_KEEP_DAYS")
    )
    rollup_days_keep_days: int = Field(
        0, ge=0, le=_DAYS_MAX, validation_alias=AliasChoices("TALLYGATE_ROLLUP_DAYS_KEEP_DAYS")
    )

    usage_secret: SecretStr | None = Field(None, validation_alias=_named("TALLYGATE_USAGE_SECRET"))
    usage_open: bool = Field(False, validation_alias=_named("TALLYGATE_USAGE_OPEN"))
    usage_allow: str = Field("", validation_alias=_named("TALLYGATE_USAGE_ALLOW"))
    usage_events_max: int = Field(
        1000, ge=1, le=10_000, validation_alias=_named("TALLYGATE_USAGE_EVENTS_MAX")
    )
    usage_body_bytes_max: int = Field(
        1 << 20, ge=1024, le=2 << 20, validation_alias=_named("TALLYGATE_USAGE_BODY_BYTES_MAX")
    )
    usage_event_keep_h: int = Field(
        72, ge=1, le=8760, validation_alias=_named("TALLYGATE_USAGE_EVENT_KEEP_H")
    )

    @field_validator("usage_secret")
    @classmethod
    def _usable_usage_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            key_of(value.get_secret_value())
        return value

    @field_validator("usage_allow")
    @classmethod
    def _known_networks(cls, value: str) -> str:
        try:
            networks_of(value)
        except ValueError as error:
            raise ValueError(f"use CIDRs separated by commas, or cloudflare: {error}") from None
        return value
