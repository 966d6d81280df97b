"""Amounts in bodies: numbers or texts come in, exactly; decimals and JSON numbers go out.

A JSON number is never read as a float: its digits are taken as they were written.
"""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, UnsetType

from tallygate.core.errors import Code, Refusal
from tallygate.core.money import BadAmount, format_points, parse_points

_LENGTH_MAX: Final = 64

# What comes in: 0.03, "0.03" or "3e-2"; `read_decimal` and `read_optional` make text of it.
Decimals = Annotated[
    msgspec.Raw,
    msgspec.Meta(
        extra_json_schema={
            "anyOf": [{"type": "number"}, {"type": "string"}],
            "description": "a decimal, as a number or a text",
        }
    ),
]
_POINTS: Final = {
    "description": "points, as a number or a text; at most six decimals",
    "type": "string",
    "format": "decimal",
}
# Points that come in: a number or a text that holds one; `read_points` makes micro-points of it.
PointsIn = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_POINTS)]
OptionalPointsIn = Annotated[
    msgspec.Raw, msgspec.Meta(extra_json_schema={"anyOf": [_POINTS, {"type": "null"}]})
]
# What goes out: a JSON number, exact to six decimals.
Points = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "number"})]


def read_decimal(raw: msgspec.Raw, field: str) -> str:
    """A number or a text, as the text that it was written as."""
    written = bytes(raw).decode()
    if written.startswith('"'):
        written = msgspec.json.decode(raw, type=str)
    elif not written or written[0] not in "-0123456789":
        raise Refusal(
            Code.BAD_REQUEST, f'`{field}`: send a decimal such as 0.03 or "0.03"', param=field
        )
    if len(written) > _LENGTH_MAX:
        raise Refusal(Code.BAD_REQUEST, f"`{field}`: too many digits", param=field)
    return written


def read_optional(raw: msgspec.Raw, field: str) -> str | None:
    return None if bytes(raw) == b"null" else read_decimal(raw, field)


def points(micros: int) -> msgspec.Raw:
    """Micro-points as a JSON number of points."""
    return msgspec.Raw(format_points(micros).encode())


def read_points(raw: msgspec.Raw, field: str = "points") -> int:
    """Micro-points of what a body says."""
    try:
        return parse_points(read_decimal(raw, field))
    except BadAmount as error:
        raise Refusal(Code.BAD_REQUEST, f"`{field}`: {error}", param=field) from None


def read_optional_points(raw: msgspec.Raw | UnsetType, field: str = "points") -> int | None:
    """None where nothing is said, or null."""
    return None if raw is UNSET or bytes(raw) == b"null" else read_points(raw, field)
