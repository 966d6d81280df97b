"""Settings of the Dify server behind `/dify/`, of its tracing, and of pages that embed Dify.

`Settings` is made of these and of its own; each has its line in docs/reference/settings.md.
"""

from pydantic import AliasChoices, BaseModel, Field, SecretStr, field_validator

from tallygate.core.dify import DEFAULT_HOLD_POINTS, with_version


def _named(*names: str) -> AliasChoices:
    return AliasChoices(*names)


class DifySettings(BaseModel):
    """What an operator can set about the default app."""

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
    dify_in_pages: bool = Field(
        False,
        validation_alias=_named(
            "TALLYGATE_ENABLE_DIFY_INTEGRATION", "VITE_ENABLE_DIFY_INTEGRATION"
        ),
    )
    dify_trace_quiet_s: int = Field(
        10, ge=0, le=3600, validation_alias=_named("TALLYGATE_DIFY_TRACE_QUIET_S")
    )

    @field_validator("dify_api_url")
    @classmethod
    def _dify_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("use a URL that starts with http:// or https://")
        return with_version(value) if value else ""
