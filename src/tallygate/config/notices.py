"""Settings of notices: by which ways they leave, and in which language."""

from typing import Literal

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator, model_validator

from tallygate.core.signatures import key_of


def _named(name: str) -> AliasChoices:
    return AliasChoices(name)


class NoticeSettings(BaseModel):
    """Where notices go."""

    notify_urls: SecretStr | None = Field(None, validation_alias=_named("TALLYGATE_NOTIFY_URLS"))
    notify_webhook_url: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_NOTIFY_WEBHOOK_URL")
    )
    notify_webhook_secret: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_NOTIFY_WEBHOOK_SECRET")
    )

    mail_url: SecretStr | None = Field(None, validation_alias=_named("TALLYGATE_MAIL_URL"))
    notice_language: Literal["en", "zh-CN", "zh-TW"] = Field(
        "en", validation_alias=_named("TALLYGATE_NOTICE_LANGUAGE")
    )

    @field_validator("mail_url")
    @classmethod
    def _mail_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(
            ("mailto://", "mailtos://")
        ):
            raise ValueError("use apprise's mailto:// or mailtos://")
        return value

    @field_validator("notify_webhook_url")
    @classmethod
    def _webhook_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("use a URL that starts with http:// or https://")
        return value

    @field_validator("notify_webhook_secret")
    @classmethod
    def _webhook_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            key_of(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _signed_webhook(self) -> "NoticeSettings":
        if self.notify_webhook_url is not None and self.notify_webhook_secret is None:
            raise ValueError(
                "TALLYGATE_NOTIFY_WEBHOOK_URL also needs TALLYGATE_NOTIFY_WEBHOOK_SECRET"
            )
        return self
