"""Which of the priced models are listed, and in which order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from tallygate.core.errors import Code, Refusal

if TYPE_CHECKING:
    from tallygate.control.models import ListedModel

QUERY: Final = {
    "q": "a part of the name or of another name, whatever its case",
    "is_active": "true or false",
    "currency": "usd or points",
    "sort": "model_name, effective_from, input_token_price or output_token_price; - is downwards. "
    "Prices are compared for one token, those of one currency with each other.",
}
_TRUTHS: Final = {"true": True, "false": False}


def _price(name: str) -> Callable[["ListedModel"], Any]:  # whatever can be compared
    def of_one_token(model: "ListedModel") -> tuple[str, Decimal]:
        return model.currency, Decimal(getattr(model, name)) / model.per_tokens

    return of_one_token


_ORDERS: Final[Mapping[str, Callable[["ListedModel"], Any]]] = {
    "model_name": lambda model: model.model_name.casefold(),
    "effective_from": lambda model: model.effective_from,
    "input_token_price": _price("input_token_price"),
    "output_token_price": _price("output_token_price"),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    text: str
    is_active: bool | None
    currency: str | None
    sort: str


def read(given: Mapping[str, str]) -> Wanted:
    """What a list is asked for; a Refusal names the parameter at fault."""
    return Wanted(
        text=given.get("q", "").strip().casefold(),
        is_active=_TRUTHS.get(_one_of(given, "is_active", tuple(_TRUTHS)) or ""),
        currency=_one_of(given, "currency", ("usd", "points")),
        sort=_sort(given.get("sort", "")),
    )


def _one_of(given: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    text = given.get(name) or None
    if text is not None and text not in known:
        raise Refusal(Code.BAD_REQUEST, f"`{name}`: use one of {', '.join(known)}", param=name)
    return text


def _sort(text: str) -> str:
    if text and text.removeprefix("-") not in _ORDERS:
        raise Refusal(Code.BAD_REQUEST, f"`sort`: use one of {', '.join(_ORDERS)}", param="sort")
    return text


def listed(models: list["ListedModel"], wanted: Wanted) -> list["ListedModel"]:
    """By name as they came, unless another order is asked for; equals stay by name."""
    found = [model for model in models if _is_wanted(model, wanted)]
    if wanted.sort:
        key = _ORDERS[wanted.sort.removeprefix("-")]
        found.sort(key=key, reverse=wanted.sort.startswith("-"))
    return found


def _is_wanted(model: "ListedModel", wanted: Wanted) -> bool:
    names = (model.model_name, *model.aliases)
    return (
        (not wanted.text or any(wanted.text in name.casefold() for name in names))
        and wanted.is_active in (None, model.is_active)
        and wanted.currency in (None, model.currency)
    )
