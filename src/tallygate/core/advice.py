"""What a key's uses would have cost with other models. By prices only: how good they are is not
known here.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tallygate.core.pricing import Currency, Price, Prices, cost
from tallygate.core.usage import CACHE_READ_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS

Key = TypeVar("Key", int, str)  # whatever names one

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

    @property
    def saving(self) -> int:
        return self.micros - self.cheaper[0].micros


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
    model: str, mix: Mix, candidates: Iterable[str], prices: Prices, now_ms: int
) -> Advice | None:
    """What would have been cheaper than a model in use, the cheapest first; None: nothing."""
    micros = cost_of(mix, prices, model, now_ms)
    if not micros or not mix.uses:
        return None
    others = ((name, cost_of(mix, prices, name, now_ms)) for name in candidates if name != model)
    most = micros * (100 - SAVING_PERCENT_MIN) // 100
    cheaper = [Cheaper(name, other) for name, other in others if other is not None]
    cheaper = [one for one in cheaper if one.micros <= most]
    if not cheaper:
        return None
    cheaper.sort(key=lambda one: (one.micros, one.model))
    return Advice(model, mix, micros, tuple(cheaper[:BEST]))


def advise_most(
    mixes: Mapping[tuple[Key, str], Mix],
    candidates_of: Callable[[Key], Iterable[str]],
    prices: Prices,
    now_ms: int,
    limit: int,
) -> list[tuple[Key, Advice]]:
    """Of what keys used of models, where most would have been saved, the greatest saving first.

    Nothing saves more than it cost. So what cost most is looked at first, and no more once there
    are enough that saved more than the rest cost.
    """
    costs = {at: cost_of(mix, prices, at[1], now_ms) or 0 for at, mix in mixes.items()}
    found: list[tuple[Key, Advice]] = []
    savings: list[int] = []  # the greatest of them, the least first
    for (key, model), micros in sorted(costs.items(), key=lambda one: -one[1]):
        if len(savings) == limit and micros < savings[0]:
            break
        one = advise(model, mixes[key, model], candidates_of(key), prices, now_ms)
        if one is None:
            continue
        found.append((key, one))
        heapq.heappush(savings, one.saving)
        if len(savings) > limit:
            heapq.heappop(savings)
    return sorted(found, key=lambda one: (-one[1].saving, one[0], one[1].model))[:limit]
