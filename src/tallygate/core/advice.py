"""What a key's uses would have cost with other models. By prices only: how good they are is not
known here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tallygate.core.pricing import Currency, Price, Prices, cost
from tallygate.core.usage import CACHE_READ_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS

BEST = 3  # models that are named for each one in use
SAVING_PERCENT_MIN = 5  # less is not worth a change


@dataclass(frozen=True, slots=True)
class Mix:
    """What was used of one model."""

    uses: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Cheaper:
    """Another model, and what the same uses would have cost there."""

    model: str
    micros: int


@dataclass(frozen=True, slots=True)
class Advice:
    """`micros` by the prices of now, also where nobody was charged."""

    model: str
    mix: Mix
    micros: int
    cheaper: tuple[Cheaper, ...]


def cost_of(mix: Mix, prices: Prices, model: str, now_ms: int) -> int | None:
    """What a mix costs with a model; None: it has no price of its own."""
    price = prices.find(model, now_ms) if prices.is_known(model) else None
    if price is None or (price.currency is Currency.USD and prices.book.rate is None):
        return None
    counts = {
        INPUT_TOKENS: mix.input_tokens,
        OUTPUT_TOKENS: mix.output_tokens,
        CACHE_READ_TOKENS: mix.cached_tokens,
    }
    once = cost(counts, price, prices.book.rate).micros
    return once + (mix.uses - 1) * _per_request(price, prices)


def _per_request(price: Price, prices: Prices) -> int:
    """What each further request costs by itself."""
    return cost({}, price, prices.book.rate).micros if price.request_picos else 0


def advise(
    mixes: Mapping[str, Mix], candidates: Iterable[str], prices: Prices, now_ms: int
) -> list[Advice]:
    """For each model in use what would have been cheaper; the greatest saving first."""
    names = sorted(set(candidates) | set(mixes))
    found = []
    for model, mix in mixes.items():
        micros = cost_of(mix, prices, model, now_ms)
        if not micros or not mix.uses:
            continue
        others = ((name, cost_of(mix, prices, name, now_ms)) for name in names if name != model)
        most = micros * (100 - SAVING_PERCENT_MIN) // 100
        cheaper = [
            Cheaper(name, other) for name, other in others if other is not None and other <= most
        ]
        if cheaper:
            cheaper.sort(key=lambda one: (one.micros, one.model))
            found.append(Advice(model, mix, micros, tuple(cheaper[:BEST])))
    return sorted(found, key=lambda one: (one.cheaper[0].micros - one.micros, one.model))
