"""Settings of billing: deliveries of what Dify used, and what is done where money is short.

`Settings` is made of these and of its own; each has its line in docs/reference/settings.md.
"""

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator

from tallygate.core.charging import Trust
from tallygate.core.dify import DEFAULT_HOLD_POINTS, with_version
from tallygate.core.money import MICROS, MICROS_MAX
from tallygate.core.signatures import signing_key


def _named(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class BillingSettings(BaseModel):
    """What an operator can set about charges."""

    dify_api_url: str = Field(
        "", validation_alias=_named("TALLYGATE_DIFY_API_URL", "VITE_DIFY_API_URL")
    )
    dify_api_key: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_DIFY_API_KEY", "VITE_DIFY_API_KEY")
    )
    dify_model: str = Field("", max_length=256, validation_alias=_named("TALLYGATE_DIFY_MODEL"))
    dify_hold_points: int = Field(
        DEFAULT_HOLD_POINTS, ge=0, le=10**9, validation_alias=_named("TALLYGATE_DIFY_HOLD_POINTS")
    )
    dify_trace_quiet_s: int = Field(
        10, ge=0, le=3600, validation_alias=_named("TALLYGATE_DIFY_TRACE_QUIET_S")
    )
    dify_webhook_key: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_DIFY_WEBHOOK_KEY")
    )
    dify_webhook_secret: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_DIFY_WEBHOOK_SECRET")
    )
    dify_max_age_days: int = Field(
        30, ge=1, le=36_500, validation_alias=_named("TALLYGATE_DIFY_MAX_AGE_DAYS")
    )
    dify_body_bytes_max: int = Field(
        256 << 10, ge=1024, le=16 << 20, validation_alias=_named("TALLYGATE_DIFY_BODY_BYTES_MAX")
    )
    dify_overdraft: str = Field("reject", validation_alias=_named("TALLYGATE_DIFY_OVERDRAFT"))
    dify_browser_trust: str = Field("hint", validation_alias=_named("TALLYGATE_DIFY_BROWSER_TRUST"))
    max_charge_points: int = Field(
        1_000_000,
        ge=0,
        le=MICROS_MAX // MICROS,
        validation_alias=_named("TALLYGATE_MAX_CHARGE_POINTS"),
    )

    @field_validator("dify_api_url")
    @classmethod
    def _dify_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("use a URL that starts with http:// or https://")
        return with_version(value) if value else ""

    @field_validator("dify_overdraft")
    @classmethod
    def _known_overdraft(cls, value: str) -> str:
        return _one_of(value, "reject", "overdraw")

    @field_validator("dify_browser_trust")
    @classmethod
    def _known_trust(cls, value: str) -> str:
        return _one_of(value, *(trust.value for trust in Trust))

    @field_validator("dify_webhook_secret")
    @classmethod
    def _usable_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            signing_key(value.get_secret_value())
        return value


def _one_of(value: str, *choices: str) -> str:
    if value.lower() not in choices:
        raise ValueError(f"use one of {', '.join(choices)}")
    return value.lower()
