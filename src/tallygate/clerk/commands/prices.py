"""Prices, their other names, and the rate: versions are added, and everyone hears of it.

Every handler takes the book first, so that changes of several nodes happen one after the other.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import UNSET

from tallygate.clerk.commands.context import DAY_MS, Context, bad
from tallygate.core.commands import Arguments
from tallygate.core.errors import Code, Refusal
from tallygate.core.price_commands import (
    CATALOGUE,
    FILE,
    OPERATOR,
    Alias,
    ImportPrices,
    ImportReport,
    ModelChange,
    RateView,
    Saved,
    SavePrice,
    SetAlias,
    SetRate,
)
from tallygate.core.price_import import Known, plan
from tallygate.core.price_terms import BadPrice, Version, check_name, read_rate, read_terms
from tallygate.core.pricing import DEFAULT, Currency
from tallygate.store import prices

REASON_LENGTH_MAX = 1000
AHEAD_MS_MAX = 3660 * DAY_MS
EVENT = "prices"


async def save(context: Context, wanted: SavePrice) -> Saved:
    _check_reason(wanted.reason)
    _check_time(context, wanted.effective_ms)
    await prices.take_book(context.tx)
    known = await prices.known(context.tx, context.now_ms)
    before = _version_before(wanted, known)
    if wanted.is_patch and before is not None and _says_nothing(wanted):
        return Saved(
            version=before, is_new=False, is_changed=False, aliases=known.aliases_of(before.model)
        )
    try:
        terms = read_terms(wanted.price, before.terms if wanted.is_patch and before else None)
    except BadPrice as error:
        raise bad(str(error), error.field) from None
    if terms.currency is Currency.USD:
        await _require_rate(context)
    made = await prices.insert_version(
        context.tx,
        before.model if before else wanted.model,
        terms,
        effective_ms=wanted.effective_ms,
        now_ms=context.now_ms,
        actor=context.actor.name,
        reason=wanted.reason,
        source=OPERATOR,
    )
    await context.audit("price.save", f"model:{made.model}", before, made)
    context.publish(EVENT)
    return Saved(
        version=made,
        is_new=before is None,
        is_changed=True,
        aliases=known.aliases_of(made.model),
    )


async def set_alias(context: Context, wanted: SetAlias) -> Alias:
    try:
        check_name(wanted.name, "alias", may_be_default=False)
    except BadPrice as error:
        raise bad(str(error), error.field) from None
    await prices.take_book(context.tx)
    known = await prices.known(context.tx, context.now_ms)
    folded = wanted.name.casefold()
    before = Alias(name=wanted.name, model=known.aliases.get(folded))
    target = None
    if wanted.model is None:
        if before.model is None:
            raise Refusal(Code.NOT_FOUND, f"no model has the other name {wanted.name!r}")
        await prices.delete_aliases(context.tx, [wanted.name])
    else:
        target = _target(wanted.model, folded, known)
        await prices.set_aliases(context.tx, {wanted.name: target})
    after = Alias(name=wanted.name, model=target)
    await context.audit("price.alias", f"alias:{wanted.name}", before, after)
    context.publish(EVENT)
    return after


async def set_rate(context: Context, wanted: SetRate) -> RateView:
    """An equal rate is answered as it is: nothing changed."""
    _check_reason(wanted.reason)
    try:
        micros = read_rate(wanted.rate)
    except BadPrice as error:
        raise bad(str(error), error.field) from None
    await prices.take_book(context.tx)
    earlier = await prices.rate_history(context.tx)
    before = earlier[0] if earlier else None
    if before is not None and before.micros_per_usd == micros:
        return before
    await prices.insert_rate(
        context.tx,
        micros,
        now_ms=context.now_ms,
        actor=context.actor.name,
        reason=wanted.reason,
    )
    after = (await prices.rate_history(context.tx))[0]
    await context.audit("rate.set", "rate", before, after)
    context.publish(EVENT)
    return after


async def import_prices(context: Context, wanted: ImportPrices) -> ImportReport:
    """Decided against what is there now; a dry run ends with the decision."""
    _check_reason(wanted.reason)
    if wanted.source not in (CATALOGUE, FILE):
        raise bad(f"source must be {CATALOGUE} or {FILE}", "source")
    if not wanted.is_dry_run:
        await prices.take_book(context.tx)
    version = await prices.book_version(context.tx)
    _check_version(wanted, version)
    known = await prices.known(context.tx, context.now_ms)
    try:
        planned = plan(wanted, known)
    except BadPrice as error:
        raise bad(str(error), error.field) from None
    changes = [change for change in planned if change.kind != "same"]
    report = ImportReport(book_version=version, same=len(planned) - len(changes), changes=changes)
    applied = [change for change in changes if change.kind != "kept"]
    if wanted.is_dry_run or not applied:
        return report
    if any(change.after.currency is Currency.USD for change in applied):
        await _require_rate(context)
    await _apply(context, wanted, applied)
    await context.audit("price.import", f"prices:{wanted.source}", None, _summary(applied))
    context.publish(EVENT)
    return report


def _summary(applied: list[ModelChange]) -> dict[str, list[str]]:
    """For the audit log; what each was before is in the history of its model."""
    return {
        "new": [change.model for change in applied if change.before is None],
        "changed": [change.model for change in applied if change.before is not None],
        "aliases": [alias for change in applied for alias in change.aliases],
    }


async def _apply(context: Context, wanted: ImportPrices, changes: list[ModelChange]) -> None:
    await prices.insert_many(
        context.tx,
        {change.model: change.after for change in changes if change.before != change.after},
        context.now_ms,
        actor=context.actor.name,
        reason=wanted.reason,
        source=wanted.source,
    )
    aliases = {alias: change.model for change in changes for alias in change.aliases}
    if aliases:
        await prices.set_aliases(context.tx, aliases)


def _version_before(wanted: SavePrice, known: Known) -> Version | None:
    """The version that a change starts from; None for a model that is new."""
    found = known.find(wanted.model)
    if wanted.is_patch:
        if found is None:
            raise Refusal(Code.NOT_FOUND, f"no model is named {wanted.model[:256]!r}")
        return known.versions[found]
    try:
        check_name(wanted.model)
    except BadPrice as error:
        raise bad(str(error), error.field) from None
    if known.is_alias(wanted.model):
        raise Refusal(
            Code.CONFLICT,
            f"{wanted.model!r} is another name of {found!r}: change that model, or take the name "
            "away first",
        )
    return known.versions[found] if found else None


def _says_nothing(wanted: SavePrice) -> bool:
    return wanted.price.is_empty and wanted.effective_ms is None


def _target(model: str, folded: str, known: Known) -> str:
    target = known.find(model)
    if target is None:
        raise Refusal(Code.NOT_FOUND, f"no model is named {model[:256]!r}")
    if target == DEFAULT:
        raise Refusal(Code.IMPOSSIBLE, "the price of unknown models needs no other name")
    if folded in known.names:
        raise Refusal(Code.CONFLICT, "a model has this name itself")
    return target


async def _require_rate(context: Context) -> None:
    if await prices.current_rate(context.tx) is None:
        raise Refusal(
            Code.NO_EXCHANGE_RATE, "a price in US dollars needs an exchange rate: set that first"
        )


def _check_version(wanted: ImportPrices, version: int) -> None:
    """Only what the operator was shown is applied. Taking the book has added one."""
    if wanted.is_dry_run or wanted.book_version is UNSET:
        return
    if version - 1 != wanted.book_version:
        raise Refusal(Code.CONFLICT, "prices were changed meanwhile: look at the difference again")


def _check_reason(reason: str) -> None:
    if len(reason) > REASON_LENGTH_MAX:
        raise bad(f"`reason`: use at most {REASON_LENGTH_MAX} characters", "reason")


def _check_time(context: Context, effective_ms: int | None) -> None:
    """A time in the past means at once: what is billed stays as it was billed."""
    if effective_ms is not None and effective_ms > context.now_ms + AHEAD_MS_MAX:
        raise bad("`effective_from`: it is more than ten years ahead", "effective_from")


# A handler takes its own command's struct.
HANDLERS: dict[type[Arguments], Callable[[Context, Any], Awaitable[Any]]] = {
    SavePrice: save,
    SetAlias: set_alias,
    SetRate: set_rate,
    ImportPrices: import_prices,
}
