"""Settings of the edge: where its KV is, and how it is published to.

`Settings` is made of these and of its own; each has its line in docs/reference/settings.md.
"""

import re

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator, model_validator

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def _named(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class EdgeSettings(BaseModel):
    """Cloudflare's account, and what is sent there."""

    cloudflare_account_id: str = Field(
        "", validation_alias=_named("TALLYGATE_CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_ACCOUNT_ID")
    )
    cloudflare_api_token: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_TOKEN")
    )
    cloudflare_api_url: str = Field(
        "https://api.cloudflare.com/client/v4",
        validation_alias=_named("TALLYGATE_CLOUDFLARE_API_URL"),
    )
    edge_kv_namespace_id: str = Field("", validation_alias=_named("TALLYGATE_EDGE_KV_NAMESPACE_ID"))
    edge_secret: SecretStr | None = Field(None, validation_alias=_named("TALLYGATE_EDGE_SECRET"))
    edge_writes_per_day: int = Field(
        1_000, ge=0, validation_alias=_named("TALLYGATE_EDGE_WRITES_PER_DAY")
    )  # 0: no bound
    edge_reconcile_h: float = Field(
        24, ge=0, le=8_760, validation_alias=_named("TALLYGATE_EDGE_RECONCILE_H")
    )  # 0: never

    @field_validator("cloudflare_account_id", "edge_kv_namespace_id")
    @classmethod
    def _an_id(cls, value: str) -> str:
        if value and not _ID.match(value):
            raise ValueError("use the id as Cloudflare shows it, 32 hexadecimal digits")
        return value

    @field_validator("cloudflare_api_url")
    @classmethod
    def _api_url(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            raise ValueError("use a URL that starts with http:// or https://")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _published_to(self) -> "EdgeSettings":
        """The other two may be set for other programs too."""
        has_account = self.cloudflare_account_id and self.cloudflare_api_token
        if self.edge_kv_namespace_id and not has_account:
            raise ValueError(
                "TALLYGATE_EDGE_KV_NAMESPACE_ID also needs CLOUDFLARE_ACCOUNT_ID and "
                "CLOUDFLARE_API_TOKEN"
            )
        return self
