"""Numbers of points in answers: JSON numbers that are exact to six decimals, never floats here."""

from typing import Annotated

import msgspec

from tallygate.core.money import format_points

# Raw, because a number with a fraction would otherwise have to pass through a float.
Points = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "number"})]


def points(micros: int) -> msgspec.Raw:
    return msgspec.Raw(format_points(micros).encode())
