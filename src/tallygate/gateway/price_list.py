"""What each model costs, as this worker knows it; asked for keys with a wallet or a points limit.

A request keeps the tariff that was in force when it was let through, whatever changes meanwhile.
"""

from typing import Final

from tallygate.core.errors import Code, Refusal
from tallygate.core.pricing import Book, Prices
from tallygate.core.tariff import Tariff

NAMES_MAX: Final = 4096  # remembered: a client may ask for any name
_NEVER_MS: Final = 1 << 62


class PriceList:
    """The book, with what models' names came to."""

    def __init__(self) -> None:
        self._prices: Prices | None = None
        self._found: dict[str, Tariff] = {}
        self._turns_ms = 0  # when the next price takes effect, and what was found is out of date

    def apply(self, book: Book) -> None:
        self._prices = Prices(book)
        self._turns_ms = 0

    def providers_changed(self) -> None:
        """What a provider calls a model may be something else now."""
        self._turns_ms = 0

    def tariff(self, model: str, provider_model: str, wall_ms: int) -> Tariff:
        """By the name that was asked for, or else by the provider's name for it; or a Refusal."""
        if wall_ms < self._turns_ms and model in self._found:
            return self._found[model]
        prices = self._prices
        if prices is None:
            raise Refusal(Code.STORE_UNAVAILABLE, "The prices are not known here yet; try again.")
        if wall_ms >= self._turns_ms:
            self._found.clear()
            upcoming = [one.effective_ms for one in prices.book.prices]
            self._turns_ms = min((ms for ms in upcoming if ms > wall_ms), default=_NEVER_MS)
        tariff = self._find(prices, model, provider_model, wall_ms)
        if len(self._found) < NAMES_MAX:
            self._found[model] = tariff
        return tariff

    def request_tariff(self, route: str, wall_ms: int) -> Tariff:
        """Of a call that nobody meters: its path is its name, and each request has a price."""
        tariff = self.tariff(route, route, wall_ms)
        if not tariff.price.request_picos and not tariff.is_free:
            raise _refusal(route, "is not metered and has no price per request")
        return tariff

    @staticmethod
    def _find(prices: Prices, model: str, provider_model: str, wall_ms: int) -> Tariff:
        known = [name for name in (model, provider_model) if prices.is_known(name)]
        price = prices.find(known[0] if known else model, wall_ms)
        if price is None:
            raise _refusal(model, "has no price here")
        tariff = Tariff(price, prices.book.rate)
        if not tariff.is_usable:
            raise _refusal(model, "has a price in US dollars, and no exchange rate is set")
        return tariff


def _refusal(model: str, why: str) -> Refusal:
    message = f"{model!r} {why}, so its use cannot be charged. Ask whoever runs this gateway."
    return Refusal(Code.MODEL_NOT_PRICED, message, param="model")
