"""The command that says what all keys of a user or of a team may use together.

An amount of points is in micro-points, as everywhere inside.
"""

import msgspec

from tallygate.core.commands import Arguments, LimitSpec
from tallygate.core.limits import Limit


class SetLimits(Arguments):
    """Replace the limits of a user or a team; one that stays keeps its counters. → LimitsView."""

    NAME = "limits.set"
    subject_kind: str  # user or team
    subject_id: str
    limits: list[LimitSpec]


class LimitsView(msgspec.Struct, kw_only=True):
    limits: list[Limit]
