"""A price as people write it, and as it is kept: decimals for 1,000 or 1,000,000 tokens, and
integers for one.

Every message names the field at fault. Nothing here is a float, and nothing is rounded: what has
more decimals than can be kept is refused.
"""

from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from tallygate.core.money import (
    MICROS,
    PICOS,
    BadAmount,
    format_decimal,
    parse_decimal,
    scaled,
)
from tallygate.core.pricing import DEFAULT, Currency, Price

PER_TOKENS: Final = (1_000, 1_000_000)
TOKEN_PICOS_MAX: Final = 10**15  # a million for 1,000 tokens
REQUEST_PICOS_MAX: Final = 10**18  # a million
RATE_MICROS_MAX: Final = 10**9 * MICROS
NAME_LENGTH_MAX: Final = 256

# The field that people write → the one that is kept.
TOKEN_PRICES: Final = {
    "input_token_price": "input_picos",
    "output_token_price": "output_picos",
    "cache_read_token_price": "cache_read_picos",
    "cache_write_token_price": "cache_write_picos",
}
_MAY_BE_NONE: Final = frozenset({"cache_read_token_price", "cache_write_token_price"})


class BadPrice(ValueError):
    """What was written is not a price; the message is public and names the field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"`{field}`: {message}")
        self.field = field


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a version says: pico-units per token and per request, and how they were written."""

    currency: Currency
    per_tokens: int
    input_picos: int
    output_picos: int
    cache_read_picos: int | None
    cache_write_picos: int | None
    request_picos: int
    is_active: bool


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one model's price, with who made it and why."""

    id: int
    model: str
    terms: Terms
    effective_ms: int
    created_ms: int
    actor: str
    reason: str
    source: str

    @property
    def price(self) -> Price:
        kept = self.terms
        return Price(
            self.id,
            self.model,
            kept.currency,
            kept.per_tokens,
            kept.input_picos,
            kept.output_picos,
            kept.cache_read_picos,
            kept.cache_write_picos,
            kept.request_picos,
            kept.is_active,
            self.effective_ms,
        )


class Written(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A price as people write it. UNSET: as it is, or what is usual; None: as input."""

    input_token_price: str | UnsetType = UNSET
    output_token_price: str | UnsetType = UNSET
    cache_read_token_price: str | UnsetType | None = UNSET
    cache_write_token_price: str | UnsetType | None = UNSET
    request_price: str | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    per_tokens: int | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET

    @property
    def is_empty(self) -> bool:
        return all(getattr(self, name) is UNSET for name in self.__struct_fields__)


def read_terms(written: Written, before: Terms | None = None) -> Terms:
    """The terms that are meant; what is not said stays as it was `before`."""
    currency = _currency(written, before)
    per_tokens = _per_tokens(written, before)
    return Terms(
        currency=currency,
        per_tokens=per_tokens,
        request_picos=_request_picos(written, before),
        is_active=_given(written.is_active, before.is_active if before else True),
        **{
            kept: _token_picos(field, getattr(written, field), per_tokens, before, kept)
            for field, kept in TOKEN_PRICES.items()
        },
    )


def write_terms(terms: Terms) -> dict[str, Any]:
    """As `Written` has it: a decimal text for each price."""
    prices = {field: getattr(terms, kept) for field, kept in TOKEN_PRICES.items()}
    scale = PICOS // terms.per_tokens
    return {
        **{
            field: None if picos is None else format_decimal(picos, scale)
            for field, picos in prices.items()
        },
        "request_price": format_decimal(terms.request_picos, PICOS),
        "currency": terms.currency.value,
        "per_tokens": terms.per_tokens,
        "is_active": terms.is_active,
    }


def check_name(name: str, field: str = "model_name", *, may_be_default: bool = True) -> None:
    """A model's name, or another name for it."""
    if not 1 <= len(name) <= NAME_LENGTH_MAX:
        raise BadPrice(field, f"use 1 to {NAME_LENGTH_MAX} characters")
    if name != name.strip() or not name.isprintable():
        raise BadPrice(field, "leave out control characters, and spaces at its ends")
    if name == DEFAULT and not may_be_default:
        raise BadPrice(field, f"{DEFAULT!r} stands for unknown models")


def read_rate(text: str) -> int:
    """Points for a US dollar as people write them, in micro-points."""
    micros = _read(text, MICROS, "rate", RATE_MICROS_MAX)
    if not micros:
        raise BadPrice("rate", "use a number above 0")
    return micros


def _currency(written: Written, before: Terms | None) -> Currency:
    wanted = written.currency
    if wanted is UNSET:
        return before.currency if before else Currency.USD
    if wanted not in list(Currency):
        known = ", ".join(one.value for one in Currency)
        raise BadPrice("currency", f"use one of {known}, not {str(wanted)[:40]!r}")
    currency = Currency(wanted)
    if before is not None and currency is not before.currency:
        _check_all_named(written, before)
    return currency


def _check_all_named(written: Written, before: Terms) -> None:
    """In another currency a number means another price: none may be taken over unseen."""
    for field, kept in {**TOKEN_PRICES, "request_price": "request_picos"}.items():
        if getattr(before, kept) and getattr(written, field) is UNSET:
            raise BadPrice(field, "name it as well when the currency changes")


def _per_tokens(written: Written, before: Terms | None) -> int:
    per_tokens: int = _given(written.per_tokens, before.per_tokens if before else PER_TOKENS[0])
    if per_tokens not in PER_TOKENS or isinstance(per_tokens, bool):
        raise BadPrice("per_tokens", f"use 1000 or 1000000, not {str(per_tokens)[:40]}")
    return per_tokens


def _request_picos(written: Written, before: Terms | None) -> int:
    if written.request_price is UNSET:
        return before.request_picos if before else 0
    return _read(written.request_price, PICOS, "request_price", REQUEST_PICOS_MAX)


def _token_picos(
    field: str, text: str | UnsetType | None, per_tokens: int, before: Terms | None, kept: str
) -> Any:  # int, or None for what costs as much as input
    if text is UNSET and before is not None:
        return getattr(before, kept)
    if text is None or text is UNSET:
        if field in _MAY_BE_NONE:
            return None
        raise BadPrice(field, "is required")
    return _read(text, PICOS // per_tokens, field, TOKEN_PICOS_MAX)


def _read(text: str, scale: int, field: str, units_max: int) -> int:
    try:
        units = scaled(parse_decimal(text), scale, "it")
    except BadAmount as error:
        raise BadPrice(field, str(error)) from None
    if units < 0:
        raise BadPrice(field, "it is negative")
    if units > units_max:
        raise BadPrice(field, f"use at most {format_decimal(units_max, scale)}")
    return units


def _given(value: Any, otherwise: Any) -> Any:  # of the field's own type, or UNSET
    return otherwise if value is UNSET else value
