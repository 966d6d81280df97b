"""Costs: exact, rounded once, never negative; and which price is whose at a time."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.money import MICROS, PICOS
from tallygate.core.pricing import (
    DEFAULT,
    RESOLVED_MAX,
    Book,
    Currency,
    Price,
    Prices,
    Rate,
    cost,
    cost_of_parts,
    reserve_micros,
)

KINDS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")

picos = st.integers(0, 10**15)
optional_picos = st.none() | picos
currencies = st.sampled_from(Currency)
counts_of_any_kind = st.dictionaries(st.sampled_from(KINDS), st.integers(0, 10**7))
rates = st.builds(Rate, st.just(1), st.integers(1, 10**15))


def price(model: str = "m", **changes: Any) -> Price:
    fields = {
        "id": 1,
        "model": model,
        "currency": Currency.POINTS,
        "per_tokens": 1000,
        "input_picos": 0,
        "output_picos": 0,
        "cache_read_picos": None,
        "cache_write_picos": None,
        "request_picos": 0,
        "is_active": True,
        "effective_ms": 0,
    }
    return Price(**{**fields, **changes})


prices = st.builds(
    price,
    currency=currencies,
    input_picos=picos,
    output_picos=picos,
    cache_read_picos=optional_picos,
    cache_write_picos=optional_picos,
    request_picos=picos,
)


@st.composite
def true_counts(draw: st.DrawFn) -> dict[str, int]:
    """Counts that do not contradict themselves: what was cached is a part of the input."""
    whole = draw(st.integers(0, 10**7))
    read = draw(st.integers(0, whole))
    written = draw(st.integers(0, whole - read))
    return dict(zip(KINDS, (whole, draw(st.integers(0, 10**7)), read, written), strict=True))


def exact_micros(counts: dict[str, int], one: Price, rate: Rate) -> Fraction:
    """The cost as fractions have it, from the words of docs/reference/pricing.md."""
    read, written = counts["cache_read_tokens"], counts["cache_write_tokens"]
    fresh = counts["input_tokens"] - read - written
    read_picos = one.input_picos if one.cache_read_picos is None else one.cache_read_picos
    write_picos = one.input_picos if one.cache_write_picos is None else one.cache_write_picos
    total = fresh * one.input_picos + read * read_picos + written * write_picos
    total += counts["output_tokens"] * one.output_picos + one.request_picos
    per_unit = MICROS if one.currency is Currency.POINTS else rate.micros_per_usd
    return Fraction(total, PICOS) * per_unit


@given(true_counts(), prices, rates)
def test_a_cost_is_the_exact_one_rounded_up_once(
    counts: dict[str, int], one: Price, rate: Rate
) -> None:
    """Computed again by fractions, in another way: less than a micro-point is between them."""
    exact = exact_micros(counts, one, rate)
    charged = cost(counts, one, rate).micros
    assert exact <= charged < exact + 1


@given(counts_of_any_kind, prices, rates)
def test_no_counts_whatever_make_a_cost_negative(
    counts: dict[str, int], one: Price, rate: Rate
) -> None:
    """A source that says more was cached than went in must not be paid for it."""
    charged = cost(counts, one, rate)
    assert charged.micros >= 0
    assert 0 <= charged.output_micros <= charged.micros


@given(true_counts(), st.sampled_from(["input_tokens", "output_tokens"]), prices, rates)
def test_one_more_token_never_costs_less(
    counts: dict[str, int], kind: str, one: Price, rate: Rate
) -> None:
    more = {**counts, kind: counts[kind] + 1}
    assert cost(more, one, rate).micros >= cost(counts, one, rate).micros


@given(st.lists(st.tuples(true_counts(), prices), max_size=5), rates)
def test_several_models_are_added_up_before_they_are_rounded(
    parts: list[tuple[dict[str, int], Price]], rate: Rate
) -> None:
    """Rounded one by one, a message of five models could cost five micro-points more."""
    exact = sum((exact_micros(counts, one, rate) for counts, one in parts), Fraction(0))
    assert exact <= cost_of_parts(parts, rate).micros < exact + 1


@given(true_counts(), prices, rates, st.integers(0, 1000), st.integers(0, 1000))
def test_what_was_reserved_covers_what_is_charged(
    counts: dict[str, int], one: Price, rate: Rate, more_input: int, more_output: int
) -> None:
    """As far as the reserved counts were enough, whatever of it came from a cache."""
    reserved = reserve_micros(
        counts["input_tokens"] + more_input, counts["output_tokens"] + more_output, one, rate
    )
    assert reserved >= cost(counts, one, rate).micros


@given(counts_of_any_kind, prices)
def test_a_price_in_points_needs_no_rate(counts: dict[str, int], one: Price) -> None:
    if one.currency is Currency.POINTS:
        assert cost(counts, one, None) == cost(counts, one, Rate(1, 5))
    else:
        with pytest.raises(AssertionError):
            cost(counts, one, None)


def find(book: Book, name: str, now_ms: int = 0) -> int | None:
    found = Prices(book).find(name, now_ms)
    return None if found is None else found.id


def test_a_name_matches_exactly_then_ignoring_case_then_by_alias() -> None:
    """The order is the contract: an alias never takes a name away from a model."""
    book = Book(
        1,
        (price("GPT-4", id=1), price("gpt-4", id=2), price("Straße", id=3)),
        {"gpt-4": "Straße", "Four": "GPT-4", "gone": "nothing", "street": "STRASSE"},
    )
    for name, expected in (
        *(("GPT-4", 1), ("gpt-4", 2), ("Gpt-4", 1), ("FOUR", 1), ("STRASSE", 3), ("street", 3)),
        *(("gone", None), ("", None), ("gpt-4 ", None)),
    ):
        assert find(book, name) == expected, name


def test_an_unknown_model_is_refused_unless_there_is_a_default() -> None:
    """Never silently free, and never at a price that nobody set."""
    known = (price("a", id=1), price("off", id=2, is_active=False))
    assert find(Book(1, known), "b") is None
    with_default = Book(1, (*known, price(DEFAULT, id=3)))
    assert find(with_default, "b") == 3
    assert find(with_default, "off") is None, "what is switched off is not unknown"
    later = Book(1, (*known, price("c", id=4, effective_ms=10), price(DEFAULT, id=3)))
    assert find(later, "c") is None, "what has a price to come is not unknown either"
    assert find(Book(1, (price(DEFAULT, id=3, is_active=False),)), "b") is None


def test_a_version_counts_from_its_time_on() -> None:
    """To the millisecond, also for a book that was asked before."""
    book = Prices(
        Book(
            1,
            (
                price(id=5, input_picos=1),
                price(id=2, effective_ms=100),
                price(id=3, effective_ms=200),
                price(id=4, effective_ms=200, is_active=False),
            ),
        )
    )
    found = [book.find("m", now_ms) for now_ms in (0, 99, 100, 199, 200)]
    assert [one and one.id for one in found] == [5, 5, 2, 2, None]


def test_names_that_are_asked_for_do_not_fill_the_memory() -> None:
    """Anyone with a key may ask for any name, as often as they like."""
    book = Prices(Book(1, (price(),)))
    for number in range(RESOLVED_MAX + 10):
        book.find(f"unknown-{number}", 0)
    assert len(book._resolved) == RESOLVED_MAX
    assert book.find("m", 0) is not None
