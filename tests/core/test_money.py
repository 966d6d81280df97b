"""Amounts as people write them: exact, or refused."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.money import (
    MICROS,
    MICROS_MAX,
    PICOS,
    BadAmount,
    format_decimal,
    format_points,
    parse_decimal,
    parse_points,
    scaled,
)

micros = st.integers(-MICROS_MAX, MICROS_MAX)


@given(micros)
def test_points_survive_being_written_and_read(amount: int) -> None:
    """A balance that is shown, copied and sent back is the same balance."""
    text = format_points(amount)
    assert parse_points(text) == amount
    assert Decimal(text) == Decimal(amount) / MICROS
    assert ("." in text) == bool(amount % MICROS) and "e" not in text.lower()


@given(st.integers(-(10**30), 10**30), st.sampled_from([MICROS, 10**9, PICOS, PICOS * MICROS]))
def test_decimals_survive_being_written_and_read(units: int, scale: int) -> None:
    assert scaled(parse_decimal(format_decimal(units, scale)), scale, "it") == units


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("-0", 0),
        ("8E-7", None),
        ("1e-6", 1),
        (" 12.5 ", 12_500_000),
        (".5", 500_000),
        ("5.", 5_000_000),
        ("0.1000000", 100_000),
        (7, 7_000_000),
        (Decimal("0.000001"), 1),
    ],
)
def test_points_are_read_in_every_notation(text: str, amount: int | None) -> None:
    """Dify writes «8E-7», people write «.5»; a seventh decimal is refused, not rounded away."""
    if amount is None:
        with pytest.raises(BadAmount, match="decimal places"):
            parse_points(text)
    else:
        assert parse_points(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "-", ".", "1,5", "1_000", "１", "0x10", "NaN", "Infinity", "1e", "1e1000"),
        *("9" * 65, "1 2", "--1", "1e5000", "٣", "1.2.3", "\x00", "1\n2"),
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    """Decimal itself takes most of these, and a bill must not."""
    with pytest.raises(BadAmount):
        parse_points(text)


@pytest.mark.parametrize("text", ["9007199254.740992", "1e20", "-1e999", "1e999"])
def test_what_is_too_large_to_be_kept_exactly_is_refused(text: str) -> None:
    with pytest.raises(BadAmount):
        parse_points(text)


@given(st.floats(allow_nan=False, allow_infinity=False).map(repr))
def test_whatever_looks_like_a_number_is_read_exactly_or_refused(text: str) -> None:
    exact = Fraction(text) * MICROS
    try:
        assert parse_points(text) == exact
    except BadAmount:
        assert exact.denominator != 1 or abs(exact) > MICROS_MAX
