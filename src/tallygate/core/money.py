"""Points are counted in micro-points, as integers; decimals exist only where people read and write.

Prices are integer pico-units (of a US dollar, or of a point) per token, a rate is integer
micro-points per US dollar. Nothing here ever holds a float.
"""

import decimal
import re
from decimal import Decimal
from typing import Final

MICROS: Final = 1_000_000  # micro-points in a point
PICOS: Final = 1_000_000_000_000  # pico-units in a unit
MICROS_MAX: Final = 2**53 - 1  # the largest integer that every JSON reader keeps exactly
_LENGTH_MAX: Final = 64

# As JSON writes numbers; Decimal alone would also take «NaN», «１» and «1_000».
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_EXACT: Final = decimal.Context(prec=400, traps=[decimal.InvalidOperation, decimal.Inexact])


class BadAmount(ValueError):
    """Not an amount; the message is public and says what to send instead."""


def parse_decimal(text: str | int | Decimal) -> Decimal:
    """A decimal in any notation («0.03», «8E-7»), exactly."""
    if isinstance(text, int):
        return Decimal(text)
    written = str(text).strip()
    if len(written) > _LENGTH_MAX or not _NUMBER.fullmatch(written):
        raise BadAmount(f"{written[:40]!r} is not a number; send a decimal such as 0.03")
    return Decimal(written)


def scaled(amount: Decimal, scale: int, what: str) -> int:
    """`amount` in units of 1/`scale`, if it is a whole number of them."""
    try:
        units = _EXACT.multiply(amount, Decimal(scale))
    except decimal.DecimalException as error:
        raise BadAmount(f"{what} is out of range") from error
    if units != units.to_integral_value():
        places = len(str(scale)) - 1
        raise BadAmount(f"{what} has more than {places} decimal places")
    return int(units)


def parse_points(text: str | int | Decimal) -> int:
    """Points as people write them, in micro-points."""
    micros = scaled(parse_decimal(text), MICROS, "a number of points")
    if abs(micros) > MICROS_MAX:
        raise BadAmount(f"send at most {MICROS_MAX // MICROS} points")
    return micros


def format_points(micros: int) -> str:
    """As a JSON number: exact to six decimals, whole ones without a fraction."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    if not rest:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{rest:06d}".rstrip("0")


def format_decimal(units: int, scale: int) -> str:
    """`units` of 1/`scale` as a plain decimal, never in exponents."""
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), scale)
    if not rest:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{rest:0{len(str(scale)) - 1}d}".rstrip("0")
