"""Settings of `POST /api/usage-log`: who may report uses, how many at once, for how long they are
known.

`Settings` is made of these and of its own; each has its line in docs/reference/settings.md.
"""

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator

from tallygate.core.cloudflare import networks_of
from tallygate.core.webhook_signature import key_of


def _named(name: str) -> AliasChoices:
    return AliasChoices(name)


class UsageSettings(BaseModel):
    """What an operator can set about reports of uses."""

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
