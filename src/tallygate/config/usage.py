"""Settings of usage: how long its rows and their sums are kept."""

from pydantic import AliasChoices, BaseModel, Field

_DAYS_MAX = 36_500


class UsageSettings(BaseModel):
    """Days; 0 keeps for ever."""

    usage_keep_days: int = Field(
        400, ge=0, le=_DAYS_MAX, validation_alias=AliasChoices("TALLYGATE_USAGE_KEEP_DAYS")
    )
    rollup_hours_keep_days: int = Field(
        400, ge=0, le=_DAYS_MAX, validation_alias=AliasChoices("TALLYGATE_ROLLUP_HOURS_KEEP_DAYS")
    )
    rollup_days_keep_days: int = Field(
        0, ge=0, le=_DAYS_MAX, validation_alias=AliasChoices("TALLYGATE_ROLLUP_DAYS_KEEP_DAYS")
    )
