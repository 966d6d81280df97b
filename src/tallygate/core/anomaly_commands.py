"""The commands of whoever looks after anomalies."""

import msgspec

from tallygate.core.anomalies import Evidence
from tallygate.core.commands import Arguments


class AcknowledgeAnomaly(Arguments):
    """Somebody has seen to it. → AnomalyView.

    `lift_throttle` gives the key back what this or another anomaly has taken from it. One that is
    acknowledged already may be acknowledged again only to lift its throttle.
    """

    NAME = "anomaly.acknowledge"
    anomaly_id: int
    note: str = ""
    lift_throttle: bool = True


class SetKeyThrottle(Arguments):
    """What an anomaly does to a key from now on. → KeyThrottleView.

    `off`, `slow` or `stop`; None: what the setting says.
    """

    NAME = "anomaly.set_throttle"
    key: str
    throttle: str | None


class KeyThrottleView(msgspec.Struct, kw_only=True):
    """`throttle` None: what the setting says."""

    key_id: int
    throttle: str | None


class AnomalyView(msgspec.Struct, kw_only=True):
    """An anomaly with the name of its key. `ended_ms` None: it goes on.

    `throttle` is what holds for the key because of it, until `throttled_until_ms`, or until it is
    acknowledged.
    """

    id: int
    kind: str
    key_id: int
    key_label: str
    user_id: str
    state: str
    started_ms: int
    last_ms: int
    ended_ms: int | None
    evidence: Evidence
    created_ms: int
    acknowledged_by: str
    acknowledged_ms: int | None
    note: str
    throttle: str
    throttled_until_ms: int | None
