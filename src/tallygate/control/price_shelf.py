"""The book of prices in this process: read again as soon as the store has another one.

Whether it has is asked in the transaction that needs the prices, by one small statement; so a
change applies to everything that is asked after its acknowledgement, on every node.
"""

from tallygate.core.errors import Code, Refusal
from tallygate.core.pricing import Currency, Price, Prices, Rate, cost
from tallygate.core.usage import INPUT_TOKENS, OUTPUT_TOKENS
from tallygate.store import prices
from tallygate.store.database import Tx


class PriceShelf:
    def __init__(self) -> None:
        self._prices: Prices | None = None

    async def read(self, tx: Tx, now_ms: int, version: int | None = None) -> Prices:
        """`version` of the book, if it has been read in this transaction."""
        if version is None:
            version = await prices.book_version(tx)
        if self._prices is None or version != self._prices.book.version:
            self._prices = Prices(await prices.read_book(tx, now_ms))
        return self._prices


def find_price(prices: Prices, model: str, now_ms: int) -> tuple[Price, Rate | None]:
    """The price of a model, and the rate that goes with it; a Refusal when there is none."""
    price = prices.find(model, now_ms)
    if price is None:
        raise Refusal(Code.MODEL_NOT_FOUND, f"{model!r} has no price here", param="model")
    rate = prices.book.rate
    if price.currency is Currency.USD and rate is None:
        raise Refusal(Code.IMPOSSIBLE, "no exchange rate is set yet")
    return price, rate


def cost_micros(price: Price, rate: Rate | None, input_tokens: int, output_tokens: int) -> int:
    counts = {INPUT_TOKENS: input_tokens, OUTPUT_TOKENS: output_tokens}
    return cost(counts, price, rate).micros
