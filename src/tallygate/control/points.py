"""Points in bodies and answers: exact either way.

A number of points is read as a decimal, from a JSON number or a text, and answered as a JSON number
with the exact integer of micro-points beside it. A float is in neither.
"""

from decimal import Decimal
from typing import Annotated

import msgspec

from tallygate.core.errors import Code, Refusal
from tallygate.core.money import BadAmount, format_points, parse_points

Points = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        description="exact to six decimals, whole ones without a fraction",
        extra_json_schema={"type": "number"},
    ),
]
PointsIn = Annotated[
    Decimal,
    msgspec.Meta(
        description="a number, or a text that holds one; at most six decimals",
        extra_json_schema={"type": "number"},
    ),
]


def shown(micros: int) -> msgspec.Raw:
    return msgspec.Raw(format_points(micros).encode())


def read(points: Decimal, field: str = "points") -> int:
    """Micro-points of what a body says."""
    try:
        return parse_points(points)
    except BadAmount as error:
        raise Refusal(Code.BAD_REQUEST, f"`{field}`: {error}", param=field) from None
