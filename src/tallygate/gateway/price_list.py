"""What each model costs, as this worker knows it; asked for keys only that a wallet pays for.

A request keeps the tariff that was in force when it was let through, whatever changes meanwhile.
"""

from collections.abc import Mapping
from typing import Final

from tallygate.core.entry import Charge
from tallygate.core.errors import Code, Refusal
from tallygate.core.pricing import Book, Currency, Price, Prices, Rate, cost, reserve_micros

NAMES_MAX: Final = 4096  # remembered: a client may ask for any name


class Tariff:
    """One version of a price with the rate that goes with it."""

    __slots__ = ("is_free", "price", "rate")

    def __init__(self, price: Price, rate: Rate | None) -> None:
        self.price = price
        self.rate = rate if price.currency is Currency.USD else None
        parts = (price.input_picos, price.output_picos, price.request_picos)
        cached = (price.cache_read_picos, price.cache_write_picos)
        self.is_free = not any(parts) and not any(cached)

    def __repr__(self) -> str:
        return f"<Tariff {self.price.model} price={self.price.id}>"

    def at_most(self, input_tokens: int, output_tokens: int) -> int:
        """What a request may cost; 0 only of a model that costs nothing."""
        if self.is_free:
            return 0
        return max(1, reserve_micros(input_tokens, output_tokens, self.price, self.rate))

    def charge(self, wallet_id: int, counts: Mapping[str, int]) -> Charge:
        """What a request did cost."""
        found = cost(counts, self.price, self.rate)
        rate_id = self.rate.id if self.rate is not None else 0
        return Charge(wallet_id, self.price.id, rate_id, found.micros, found.output_micros)


class PriceList:
    """The book, with what models' names came to."""

    def __init__(self) -> None:
        self._prices: Prices | None = None
        self._names: dict[str, str] = {}
        self._tariffs: dict[int, Tariff] = {}

    def apply(self, book: Book) -> None:
        self._prices = Prices(book)
        self._names.clear()
        self._tariffs.clear()

    def providers_changed(self) -> None:
        """What a provider calls a model may be something else now."""
        self._names.clear()

    def tariff(self, model: str, provider_model: str, wall_ms: int) -> Tariff:
        """By the name that was asked for, or else by the provider's name for it; or a Refusal."""
        prices = self._prices
        if prices is None:
            raise Refusal(Code.STORE_UNAVAILABLE, "The prices are not known here yet; try again.")
        name = self._names.get(model)
        if name is None:
            name = self._resolve(prices, model, provider_model)
        price = prices.find(name, wall_ms)
        if price is None:
            raise _refusal(model, "has no price here")
        tariff = self._tariffs.get(price.id)
        if tariff is None:
            tariff = self._tariffs[price.id] = Tariff(price, prices.book.rate)
        if tariff.rate is None and price.currency is Currency.USD:
            raise _refusal(model, "has a price in US dollars, and no exchange rate is set")
        return tariff

    def request_tariff(self, route: str, wall_ms: int) -> Tariff:
        """Of a call that nobody meters: its path is its name, and each request has a price."""
        tariff = self.tariff(route, route, wall_ms)
        if not tariff.price.request_picos and not tariff.is_free:
            raise _refusal(route, "is not metered and has no price per request")
        return tariff

    def _resolve(self, prices: Prices, model: str, provider_model: str) -> str:
        known = [name for name in (model, provider_model) if prices.is_known(name)]
        name = known[0] if known else model
        if len(self._names) < NAMES_MAX:
            self._names[model] = name
        return name


def _refusal(model: str, why: str) -> Refusal:
    message = f"{model!r} {why}, so its use cannot be charged. Ask whoever runs this gateway."
    return Refusal(Code.MODEL_NOT_PRICED, message, param="model")
