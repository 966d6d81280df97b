"""A tariff is a price and a rate worked out beforehand: it never says anything else than they."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.core.pricing import Currency, Price, Rate, cost, reserve_micros
from tallygate.core.tariff import Tariff

picos = st.one_of(st.just(0), st.integers(0, 10**9), st.integers(0, 10**15))
maybe = st.none() | picos
tokens = st.integers(0, 10**7)
PARTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
MORE = (*PARTS[2:], "reasoning_tokens")
counted = st.just({}) | st.builds(
    lambda first, second, more: {PARTS[0]: first, PARTS[1]: second, **more},
    *(tokens, tokens),
    st.dictionaries(st.sampled_from(MORE), tokens),
)
prices = st.builds(
    Price,
    id=st.integers(1, 9),
    model=st.just("m"),
    currency=st.sampled_from(Currency),
    per_tokens=st.just(1000),
    input_picos=picos,
    output_picos=picos,
    cache_read_picos=maybe,
    cache_write_picos=maybe,
    request_picos=picos,
    is_active=st.just(True),
    effective_ms=st.just(0),
)
rates = st.builds(Rate, id=st.integers(1, 9), micros_per_usd=st.integers(1, 10**12))


@given(price=prices, rate=rates, counts=counted)
def test_it_costs_what_price_and_rate_say(price: Price, rate: Rate, counts: dict[str, int]) -> None:
    """The ledger is verified by those: one micro-point off would be a difference for ever."""
    found = cost(counts, price, rate)
    tariff = Tariff(price, rate)
    assert tariff.cost(counts) == (found.micros, found.output_micros)
    assert tariff.rate_id == (rate.id if price.currency is Currency.USD else 0)


@given(price=prices, rate=rates, tokens_in=tokens, tokens_out=tokens)
def test_it_sets_aside_what_price_and_rate_say(
    price: Price, rate: Rate, tokens_in: int, tokens_out: int
) -> None:
    """And something for whatever may cost something, or an empty wallet would do."""
    tariff = Tariff(price, rate)
    most = reserve_micros(tokens_in, tokens_out, price, rate)
    assert tariff.at_most(tokens_in, tokens_out) == (0 if tariff.is_free else max(1, most))
    if tariff.is_free:
        assert tariff.cost({"input_tokens": tokens_in, "output_tokens": tokens_out}) == (0, 0)


@given(price=prices, rate=rates, counts=counted)
def test_nothing_costs_more_than_was_set_aside_for_its_counts(
    price: Price, rate: Rate, counts: dict[str, int]
) -> None:
    """So that only counts beyond the estimate make a debt."""
    tokens_in, tokens_out = counts.get("input_tokens", 0), counts.get("output_tokens", 0)
    cached = counts.get("cache_read_tokens", 0) + counts.get("cache_write_tokens", 0)
    if cached <= tokens_in:
        tariff = Tariff(price, rate)
        assert tariff.cost(counts)[0] <= tariff.at_most(tokens_in, tokens_out)


@pytest.mark.parametrize("currency", Currency)
def test_a_price_in_dollars_is_of_no_use_without_a_rate(currency: Currency) -> None:
    price = Price(1, "m", currency, 1000, 1, 1, None, None, 0, True, 0)
    assert Tariff(price, None).is_usable is (currency is Currency.POINTS)
