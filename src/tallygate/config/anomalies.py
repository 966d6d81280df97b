"""Settings of anomalies: whether they are looked for, and what they do to a key."""

from pydantic import AliasChoices, BaseModel, Field, field_validator

from tallygate.core.anomalies import Throttle


def _named(name: str) -> AliasChoices:
    return AliasChoices(name)


class AnomalySettings(BaseModel):
    """What an operator can set about anomalies."""

    anomalies: bool = Field(True, validation_alias=_named("TALLYGATE_ANOMALIES"))
    anomaly_dormant_days: int = Field(
        35, ge=1, le=3_650, validation_alias=_named("TALLYGATE_ANOMALY_DORMANT_DAYS")
    )
    anomaly_throttle: str = Field("off", validation_alias=_named("TALLYGATE_ANOMALY_THROTTLE"))
    anomaly_throttle_per_minute: int = Field(
        10, ge=0, le=1_000_000, validation_alias=_named("TALLYGATE_ANOMALY_THROTTLE_PER_MINUTE")
    )
    anomaly_throttle_hours: int = Field(
        0, ge=0, le=8_760, validation_alias=_named("TALLYGATE_ANOMALY_THROTTLE_HOURS")
    )

    @field_validator("anomaly_throttle")
    @classmethod
    def _known_throttle(cls, value: str) -> str:
        if value.lower() not in set(Throttle):
            raise ValueError(f"use one of {', '.join(Throttle)}")
        return value.lower()
