"""Guesses about money: they are simple, and must never be silly."""

import random

import pytest

from tallygate.core.advice import Mix, advise, advise_most, cost_of
from tallygate.core.export import csv_head, csv_lines, jsonl_lines
from tallygate.core.forecast import days_left
from tallygate.core.pricing import Book, Currency, Price, Prices, Rate

MILLION = 1_000_000


def price(id_: int, model: str, picos: int, *, request: int = 0, is_active: bool = True) -> Price:
    amounts = (picos, 2 * picos, None, None, request)
    return Price(id_, model, Currency.POINTS, MILLION, *amounts, is_active, 0)


PRICES = Prices(
    Book(
        prices=(
            price(1, "dear", 10_000_000),
            price(2, "cheap", 1_000_000),
            price(3, "nearly", 9_900_000),
            price(4, "gone", 1, is_active=False),
            price(5, "by-request", 0, request=1_000_000_000),
            Price(6, "in-dollars", Currency.USD, MILLION, 1, 1, None, None, 0, True, 0),
        )
    )
)
MIX = Mix(uses=10, input_tokens=1000, output_tokens=500, cached_tokens=100)


@pytest.mark.parametrize(
    ("left", "spent", "over_s", "days"),
    [
        (100, 10, 86_400, 10.0),
        (100, 0, 86_400, None),
        (0, 10, 86_400, 0.0),
        (-5, 10, 86_400, 0.0),
        (100, 10, 0, None),
        (10**12, 1, 86_400, None),
        (100, -3, 86_400, None),
    ],
)
def test_a_forecast_goes_on_as_it_was(
    left: int, spent: int, over_s: int, days: float | None
) -> None:
    """Without spending there is no end, and what is overdrawn has ended."""
    assert days_left(left, spent, over_s) == days


def test_cheaper_models_are_named_with_what_they_would_have_cost() -> None:
    """Cheapest first; what saves next to nothing, has no price or none in effect is left out."""
    others = ("cheap", "nearly", "gone", "unknown", "in-dollars")
    assert advise("unknown", MIX, others, PRICES, 0) is None
    found = advise("dear", MIX, others, PRICES, 0)
    assert found is not None
    assert (found.model, found.micros) == ("dear", 20_000)
    assert [(one.model, one.micros) for one in found.cheaper] == [("cheap", 2_000)]


def test_a_price_per_request_counts_for_each_of_them() -> None:
    """Sums of many uses must not be priced as one."""
    assert cost_of(MIX, PRICES, "by-request", 0) == 10 * 1000


def test_without_a_rate_prices_in_dollars_say_nothing() -> None:
    assert cost_of(MIX, PRICES, "in-dollars", 0) is None
    with_rate = Prices(Book(prices=PRICES.book.prices, rate=Rate(1, MILLION)))
    assert cost_of(MIX, with_rate, "in-dollars", 0) == 1


def test_nothing_is_advised_for_nothing() -> None:
    assert advise("dear", Mix(0, 0, 0, 0), ["cheap"], PRICES, 0) is None


@pytest.mark.parametrize("limit", [1, 3, 10, 500])
def test_what_is_not_looked_at_could_not_have_saved_more(limit: int) -> None:
    """Thousands of keys are not worked through for the ten that matter, and those are the same."""
    chance = random.Random(limit)
    models = [f"model-{number}" for number in range(20)]
    book = Book(
        prices=tuple(
            price(n, one, chance.choice((0, 1, 5, 50)) * 10**6) for n, one in enumerate(models)
        )
    )
    prices = Prices(book)
    mixes = {
        (key, model): Mix(1, chance.randrange(0, 10 ** chance.randrange(1, 6)), 5, 0)
        for key in range(40)
        for model in chance.sample(models, 3)
    }
    looked_at = set()

    def candidates_of(key: int) -> list[str]:
        looked_at.add(key)
        return models[key % 7 :]

    every = [
        (key, one)
        for (key, model), mix in mixes.items()
        if (one := advise(model, mix, models[key % 7 :], prices, 0)) is not None
    ]
    every.sort(key=lambda one: (-one[1].saving, one[0], one[1].model))
    assert advise_most(mixes, candidates_of, prices, 0, limit) == every[:limit]
    assert limit > 3 or len(looked_at) < 40


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_text_is_never_a_formula(text: str) -> None:
    """A client names its agent; whoever opens the export must not run it."""
    line = csv_lines(("a", "b"), [{"a": text, "b": -1}])
    assert line.lstrip('"').startswith("'")
    assert line.rstrip().endswith(",-1"), "numbers stay numbers"


def test_cells_are_quoted_where_they_must_be() -> None:
    row = {"a": 'say "hi", all', "b": None}
    assert csv_head(("a", "b")) == "a,b\r\n"
    assert csv_lines(("a", "b"), [row]) == '"say ""hi"", all",\r\n'
    assert jsonl_lines(("a", "b"), [row]) == '{"a":"say \\"hi\\", all","b":null}\n'
