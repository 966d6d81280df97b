"""The commands that change prices. They are acknowledged when whoever computes a cost knows it."""

import msgspec
from msgspec import UNSET, UnsetType

from tallygate.core.commands import Arguments
from tallygate.core.price_terms import Terms, Version, Written

OPERATOR = "operator"
CATALOGUE = "catalogue"
FILE = "file"


class PriceChange(Arguments):
    """Base of these: what an answer to one says holds for every event that comes after it."""


class SavePrice(PriceChange):
    """A new model, or another version of a known one. → Saved.

    `is_patch`: only of a known one, and what is not said stays; otherwise it is what is usual.
    """

    NAME = "price.save"
    model: str
    price: Written
    is_patch: bool = False
    effective_ms: int | None = None  # None, or in the past: at once
    reason: str = ""


class SetAlias(PriceChange):
    """Another name for a model; `model` None takes the name away. → Alias."""

    NAME = "price.alias"
    name: str
    model: str | None


class SetRate(PriceChange):
    """Points for a US dollar, as a decimal. → RateView; an equal rate changes nothing."""

    NAME = "rate.set"
    rate: str
    reason: str = ""


class ImportedPrice(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A model of a list, with other names for it."""

    model_name: str
    price: Written
    aliases: list[str] = []


class ImportPrices(PriceChange):
    """Many prices at once. → ImportReport.

    A price that an operator set stays, unless `may_replace`. `book_version`: refuse if there was
    another change since that version was looked at.
    """

    NAME = "price.import"
    models: list[ImportedPrice]
    source: str
    reason: str = ""
    may_replace: bool = False
    is_dry_run: bool = False
    book_version: int | UnsetType = UNSET


class Saved(msgspec.Struct, kw_only=True):
    version: Version
    is_new: bool  # no version of this model was there before
    is_changed: bool
    aliases: list[str]


class Alias(msgspec.Struct, kw_only=True):
    name: str
    model: str | None


class RateView(msgspec.Struct, kw_only=True):
    """A rate, and what it was before."""

    id: int
    micros_per_usd: int
    old_micros_per_usd: int | None
    created_ms: int
    actor: str
    reason: str


class ModelChange(msgspec.Struct, kw_only=True):
    """What an import does to one model. `kind`: new, changed, kept (see `note`), same."""

    model: str
    kind: str
    before: Terms | None
    after: Terms
    aliases: list[str] = []  # to be added
    note: str = ""


class ImportReport(msgspec.Struct, kw_only=True):
    """All but what stays the same; `same` counts that."""

    book_version: int
    same: int
    changes: list[ModelChange]
