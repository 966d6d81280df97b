"""Versions of prices, aliases and rates, on both stores."""

from typing import Any

import pytest
import sqlalchemy as sa

from tallygate.core.money import MICROS
from tallygate.core.price_terms import Terms, Version
from tallygate.core.pricing import Currency, Prices, Rate
from tallygate.store import money_schema, prices
from tallygate.store.database import Database, Tx

pytestmark = pytest.mark.anyio

NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000


def terms(input_picos: int, **changes: Any) -> Terms:
    fields = {
        "currency": Currency.POINTS,
        "per_tokens": 1000,
        "input_picos": input_picos,
        "output_picos": 2,
        "cache_read_picos": None,
        "cache_write_picos": 0,
        "request_picos": 3,
        "is_active": True,
    }
    return Terms(**{**fields, **changes})


async def add(
    tx: Tx, model: str, input_picos: int = 1, effective_ms: int | None = None, now_ms: int = NOW_MS
) -> Version:
    return await prices.insert_version(
        tx,
        model,
        terms(input_picos),
        effective_ms=effective_ms,
        now_ms=now_ms,
        actor="ann",
        reason="why",
        source="operator",
    )


async def found(store: Database, model: str, now_ms: int = NOW_MS) -> int | None:
    """The version that a clerk or a gateway finds, by the book that it read at the time."""
    async with store.reading() as tx:
        price = Prices(await prices.read_book(tx, now_ms)).find(model, now_ms)
    return None if price is None else price.id


async def test_a_version_says_all_that_was_said(store: Database) -> None:
    async with store.writing() as tx:
        made = await add(tx, "org/modèle 一")
    async with store.reading() as tx:
        assert await prices.history(tx, "org/modèle 一") == [made]
        assert await prices.pinned(tx, [made.id, 77]) == {made.id: made.price}
    assert made.terms == terms(1) and made.price.cache_write_picos == 0
    assert (made.actor, made.reason, made.source) == ("ann", "why", "operator")


async def test_the_version_that_was_made_last_counts_at_once(store: Database) -> None:
    async with store.writing() as tx:
        await add(tx, "m")
        second = await add(tx, "m")
    assert await found(store, "m") == second.id
    async with store.reading() as tx:
        assert [one.id for one in await prices.history(tx, "m")] == [second.id, second.id - 1]


async def test_a_version_made_on_a_node_whose_clock_lags_counts_all_the_same(
    store: Database,
) -> None:
    """Two operators on two nodes: the later acknowledgement is the price, whatever clocks say."""
    async with store.writing() as tx:
        await add(tx, "m")
        second = await add(tx, "m", now_ms=NOW_MS - 40)
    for now_ms in (NOW_MS - 80, NOW_MS, NOW_MS + 80):
        assert await found(store, "m", now_ms) == second.id


async def test_a_version_to_come_waits_and_survives_changes_made_meanwhile(
    store: Database,
) -> None:
    """A price rise announced for January must not vanish because of a correction in December."""
    async with store.writing() as tx:
        await add(tx, "m")
        rise = await add(tx, "m", effective_ms=NOW_MS + HOUR_MS)
        corrected = await add(tx, "m", now_ms=NOW_MS + 5)
    async with store.reading() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
    for now_ms, expected in (
        (NOW_MS, corrected.id),
        (NOW_MS + HOUR_MS - 1, corrected.id),
        (NOW_MS + HOUR_MS, rise.id),
    ):
        price = book.find("m", now_ms)
        assert price is not None and price.id == expected
        assert await found(store, "m", now_ms) == expected


async def test_the_last_of_several_versions_for_one_time_counts(store: Database) -> None:
    """That is how a version that waits is called off."""
    async with store.writing() as tx:
        await add(tx, "m")
        await add(tx, "m", effective_ms=NOW_MS + HOUR_MS)
        last = await add(tx, "m", effective_ms=NOW_MS + HOUR_MS)
        await add(tx, "m", effective_ms=NOW_MS + HOUR_MS // 2)
    assert await found(store, "m", NOW_MS + HOUR_MS) == last.id


async def test_a_time_in_the_past_means_at_once(store: Database) -> None:
    """What was billed before stays as it was: no version reaches back."""
    async with store.writing() as tx:
        made = await add(tx, "m", effective_ms=NOW_MS - HOUR_MS)
    assert made.effective_ms == made.created_ms == NOW_MS


async def test_a_model_with_nothing_but_a_version_to_come_is_listed(store: Database) -> None:
    async with store.writing() as tx:
        for after_ms in (2 * HOUR_MS, HOUR_MS):
            await add(tx, "b", effective_ms=NOW_MS + after_ms)
        await add(tx, "A")
        await add(tx, "c")
    async with store.reading() as tx:
        listed = await prices.list_current(tx, NOW_MS)
        upcoming = await prices.list_upcoming(tx, NOW_MS)
    assert [one.model for one in listed] == ["A", "b", "c"]
    assert [one.effective_ms - NOW_MS for one in (listed[1], *upcoming)] == [
        HOUR_MS,
        HOUR_MS,
        2 * HOUR_MS,
    ]


async def test_every_change_gives_the_book_another_version(store: Database) -> None:
    """Who has a book asks by this number whether it is still the right one."""
    seen = set()
    for change in (
        lambda tx: add(tx, "m"),
        lambda tx: prices.insert_rate(tx, MICROS, now_ms=NOW_MS, actor="a", reason=""),
        lambda tx: prices.set_aliases(tx, {"n": "m"}),
        lambda tx: prices.delete_aliases(tx, ["N"]),
    ):
        async with store.writing() as tx:
            seen.add(await prices.take_book(tx))
            await change(tx)
        async with store.reading() as tx:
            assert (await prices.read_book(tx, NOW_MS)).version in seen
    assert len(seen) == 4


async def test_many_versions_are_made_at_once(store: Database) -> None:
    many = {f"m-{number}": terms(number) for number in range(500)}
    async with store.writing() as tx:
        await add(tx, "m-7", now_ms=NOW_MS + 50)
        await prices.insert_many(tx, many, NOW_MS, actor="a", reason="r", source="file")
        await prices.insert_many(tx, {}, NOW_MS, actor="a", reason="r", source="file")
    async with store.reading() as tx:
        book = await prices.read_book(tx, NOW_MS)
        listed = await prices.list_current(tx, NOW_MS)
    assert {one.model: one.input_picos for one in book.prices} == {
        name: one.input_picos for name, one in many.items()
    }
    assert {one.model: one.terms for one in listed} == many
    assert {one.source for one in listed} == {"file"}


async def test_an_alias_is_one_whatever_its_case(store: Database) -> None:
    async with store.writing() as tx:
        await prices.set_aliases(tx, {"Four": "a", "five": "b"})
        await prices.set_aliases(tx, {"FOUR": "b"})
        assert await prices.read_aliases(tx) == {"FOUR": "b", "five": "b"}
        assert await prices.delete_aliases(tx, ["four", "six"]) == 1
        assert await prices.read_aliases(tx) == {"five": "b"}
        await prices.set_aliases(tx, {})


async def test_rates_are_kept_with_what_they_were_before(store: Database) -> None:
    async with store.reading() as tx:
        assert await prices.current_rate(tx) is None
        assert (await prices.read_book(tx, NOW_MS)).rate is None
    async with store.writing() as tx:
        for number, micros in enumerate((5, 7, 5)):
            await prices.insert_rate(
                tx, micros, now_ms=NOW_MS + number, actor="ann", reason=f"r{number}"
            )
    async with store.reading() as tx:
        shown = await prices.rate_history(tx)
        current = await prices.current_rate(tx)
        assert await prices.pinned_rates(tx, [one.id for one in shown]) == {
            one.id: Rate(one.id, one.micros_per_usd) for one in shown
        }
    changes = [(one.old_micros_per_usd, one.micros_per_usd, one.reason) for one in shown]
    assert changes == [(7, 5, "r2"), (5, 7, "r1"), (None, 5, "r0")]
    assert current == Rate(shown[0].id, 5)


async def test_a_book_without_its_row_is_a_bug_that_shows(store: Database) -> None:
    """The lock on that row is what keeps changes of two nodes apart."""
    async with store.writing() as tx:
        await tx.execute(sa.delete(money_schema.price_book))
        with pytest.raises(AssertionError):
            await prices.take_book(tx)
