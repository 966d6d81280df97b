"""What a charge of an event would be: its row, computed under the versions that it pins."""

import msgspec

from tallygate.core.charging import Event
from tallygate.core.errors import Code, Refusal
from tallygate.core.pricing import Cost, Currency, Price, Prices, Rate, cost, cost_of_parts
from tallygate.core.usage import (
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
)
from tallygate.core.wallet import Wallet
from tallygate.store import prices
from tallygate.store.charge_rows import Part, Row
from tallygate.store.database import Tx


def priced(event: Event, wallet: Wallet, book: Prices, now_ms: int) -> Row:
    """A charge of this event under the versions of now."""
    rate = book.book.rate
    if not event.parts:
        price = _price(book, event.model, rate, now_ms)
        return _row(event, wallet, price, rate, cost(event.counts, price, rate), now_ms)
    named = [
        (_price(book, model or event.model, rate, now_ms), model or event.model, counts)
        for model, counts in event.parts
    ]
    wanted = cost_of_parts([(counts, price) for price, _, counts in named], rate)
    row = _row(event, wallet, named[0][0], rate, wanted, now_ms)
    parts = [Part(model, price.id, counts) for price, model, counts in named]
    row.parts = msgspec.json.encode(parts).decode()
    return row


async def repriced(
    tx: Tx, event: Event, row: Row, wallet: Wallet, book: Prices, now_ms: int
) -> Row:
    """What a charge becomes that a better source corrects: the versions stay if the model does."""
    if event.model != row.model or event.parts or row.parts or row.price_id is None:
        return priced(event, wallet, book, now_ms)
    pinned = (await prices.pinned(tx, [row.price_id]))[row.price_id]
    rate = None
    if row.rate_id is not None:
        rate = (await prices.pinned_rates(tx, [row.rate_id]))[row.rate_id]
    return _row(event, wallet, pinned, rate, cost(event.counts, pinned, rate), now_ms)


def _price(book: Prices, model: str, rate: Rate | None, now_ms: int) -> Price:
    price = book.find(model, now_ms)
    if price is None:
        named = f"no active price is known for the model {model!r}" if model else "name a model"
        raise Refusal(Code.UNKNOWN_MODEL, named, param="model_name")
    if price.currency is Currency.USD and rate is None:
        raise Refusal(Code.NO_EXCHANGE_RATE, "the price is in US dollars, and no rate is set")
    return price


def _row(
    event: Event, wallet: Wallet, price: Price, rate: Rate | None, wanted: Cost, now_ms: int
) -> Row:
    counts = event.counts
    return Row(
        id=0,
        tenant_id=wallet.tenant_id,
        account_id=wallet.account_id,
        wallet_id=wallet.id,
        state="",
        source=event.source._value_,  # without the call that `value` is
        instance=event.instance,
        model=event.model,
        price_id=price.id,
        rate_id=None if rate is None or price.currency is not Currency.USD else rate.id,
        input_tokens=counts.get(INPUT_TOKENS, 0),
        output_tokens=counts.get(OUTPUT_TOKENS, 0),
        cache_read_tokens=counts.get(CACHE_READ_TOKENS, 0),
        cache_write_tokens=counts.get(CACHE_WRITE_TOKENS, 0),
        micros=wanted.micros,
        output_micros=wanted.output_micros,
        refunded_micros=0,
        balance_micros=wallet.balance_micros,
        key_id=event.key_id,
        request_id=event.request_id,
        conversation_id=event.conversation_id,
        message_id=event.message_id,
        parts=None,
        reports=None,
        event_ms=event.event_ms,
        at_ms=now_ms,
    )
