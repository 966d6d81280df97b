"""Settings of accounts: sessions, what members may do for themselves, signing in by OpenID Connect.

`Settings` is made of these and of its own; each has its line in docs/reference/settings.md.
"""

import re
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator, model_validator

from tallygate.core.accounts import Role, read_role_map

_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+\Z")


def _named(name: str) -> AliasChoices:
    return AliasChoices(name)


class AccountSettings(BaseModel):
    """What an operator can set about people."""

    public_url: str = Field("", validation_alias=_named("TALLYGATE_PUBLIC_URL"))
    session_idle_min: int = Field(
        720, ge=1, le=525_600, validation_alias=_named("TALLYGATE_SESSION_IDLE_MIN")
    )
    session_max_h: int = Field(
        168, ge=1, le=8_760, validation_alias=_named("TALLYGATE_SESSION_MAX_H")
    )
    member_keys_max: int = Field(
        20, ge=0, le=1_000, validation_alias=_named("TALLYGATE_MEMBER_KEYS_MAX")
    )

    oidc_issuer: str = Field("", validation_alias=_named("TALLYGATE_OIDC_ISSUER"))
    oidc_client_id: str = Field("", validation_alias=_named("TALLYGATE_OIDC_CLIENT_ID"))
    oidc_client_secret: SecretStr | None = Field(
        None, validation_alias=_named("TALLYGATE_OIDC_CLIENT_SECRET")
    )
    oidc_scopes: str = Field(
        "openid email profile", validation_alias=_named("TALLYGATE_OIDC_SCOPES")
    )
    oidc_domains: str = Field("", validation_alias=_named("TALLYGATE_OIDC_DOMAINS"))
    oidc_default_role: str = Field("member", validation_alias=_named("TALLYGATE_OIDC_DEFAULT_ROLE"))
    oidc_role_claim: str = Field("groups", validation_alias=_named("TALLYGATE_OIDC_ROLE_CLAIM"))
    oidc_roles: str = Field("", validation_alias=_named("TALLYGATE_OIDC_ROLES"))

    @field_validator("public_url", "oidc_issuer")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError("use a URL like https://gate.example.com")
        return value

    @field_validator("public_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        if urlsplit(value).path.strip("/"):
            raise ValueError("use a URL without a path, like https://gate.example.com")
        return value.rstrip("/")

    @field_validator("oidc_scopes")
    @classmethod
    def _asks_for_an_identity(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("must hold `openid`, as in `openid email profile`")
        return " ".join(value.split())

    @field_validator("oidc_domains")
    @classmethod
    def _domains(cls, value: str) -> str:
        names = [name.strip().lower().removeprefix("@") for name in value.split(",")]
        names = [name for name in names if name]
        if not all(_DOMAIN.match(name) for name in names):
            raise ValueError("use domains separated by commas, as in example.com,example.org")
        return ",".join(names)

    @field_validator("oidc_default_role")
    @classmethod
    def _role_or_none(cls, value: str) -> str:
        if value != "none":
            Role.named(value)
        return value

    @field_validator("oidc_roles")
    @classmethod
    def _readable_roles(cls, value: str) -> str:
        read_role_map(value)
        return value

    @model_validator(mode="after")
    def _whole(self) -> "AccountSettings":
        if self.oidc_issuer and not self.oidc_client_id:
            raise ValueError("TALLYGATE_OIDC_ISSUER also needs TALLYGATE_OIDC_CLIENT_ID")
        return self
