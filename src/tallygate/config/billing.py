"""Settings of billing: deliveries of what Dify used, and what is done where money is short.

`Settings` is made of these and of its own; each has its line in docs/reference/settings.md.
"""

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator

from tallygate.core.charging import Trust
from tallygate.core.money import MICROS, MICROS_MAX
from tallygate.core.signatures import key_of


def _named(name: str) -> AliasChoices:
    return AliasChoices(name)


class BillingSettings(BaseModel):
    """What an operator can set about charges."""

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
            key_of(value.get_secret_value())
        return value


def _one_of(value: str, *choices: str) -> str:
    if value.lower() not in choices:
        raise ValueError(f"use one of {', '.join(choices)}")
    return value.lower()
