"""The bundled catalogue, and what a new store is given of it."""

import asyncio
import datetime
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tallygate.app import catalogue, first_prices
from tallygate.core.money import MICROS
from tallygate.core.price_commands import ImportedPrice, ImportPrices
from tallygate.core.price_import import Known, plan
from tallygate.core.price_terms import write_terms
from tallygate.core.pricing import Prices, cost
from tallygate.store import audit, prices
from tallygate.store.database import Database

pytestmark = pytest.mark.anyio

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture(scope="module")
def models() -> dict[str, ImportedPrice]:
    return {one.model_name: one for one in catalogue.read(NOW)}


def test_makers_models_have_their_makers_names_and_prices(
    models: dict[str, ImportedPrice],
) -> None:
    """Names as a request bears them: another spelling would be refused as unknown."""
    for name, price in (
        ("gpt-4o", ("2.5", "10", "1.25")),
        ("gpt-4", ("30", "60", None)),
        ("claude-3-haiku", ("0.25", "1.25", "0.03")),
    ):
        found = models[name].price
        shown = (found.input_token_price, found.output_token_price, found.cache_read_token_price)
        assert shown == price, name
        assert (found.currency, found.per_tokens) == ("usd", 1_000_000)
    assert {"deepseek-chat", "deepseek-reasoner", "gemini-2.5-pro", "grok-3"} <= models.keys()
    assert "gpt-4-0613" in models["gpt-4"].aliases
    assert "claude-3-7-sonnet-20250219" in models["claude-3-7-sonnet-latest"].aliases


def test_no_model_is_sold_at_a_price_of_another_maker(models: dict[str, ImportedPrice]) -> None:
    """Google and Mistral resell other makers' models; their own makers' prices are the ones."""
    folded = [name.casefold() for name in models]
    assert len(folded) == len(set(folded))
    assert not [name for name in models if ":" in name or "/" in name or name.endswith("-")]
    assert "claude-4-opus" not in models, "that is how Google spells it"


def test_every_imported_price_is_one_that_can_be_charged(models: dict[str, ImportedPrice]) -> None:
    """Nothing of the catalogue may be free unseen, nor refused as a whole for one bad row."""
    changes = plan(ImportPrices(models=list(models.values()), source="catalogue"), Known([], {}))
    assert {change.kind for change in changes} == {"new"} and len(changes) > 200
    for change in changes:
        terms = change.after
        assert terms.input_picos or terms.output_picos or terms.request_picos, change.model
    names = [alias.casefold() for change in changes for alias in change.aliases]
    assert len(names) == len(set(names))
    assert not set(names) & {name.casefold() for name in models}


def test_a_providers_own_list_is_read_when_it_is_asked_for() -> None:
    found = {one.model_name for one in catalogue.read(NOW, ["openrouter"])}
    assert "openai/gpt-4o" in found and "gpt-4o" not in found
    with pytest.raises(catalogue.UnknownProvider, match="openrouter"):
        catalogue.read(NOW, ["openai", "nobody"])


def conditional(*prices: tuple[Any, str]) -> list[Any]:
    from genai_prices import types

    return [
        types.ConditionalPrice(constraint=when, prices=types.ModelPrice(input_mtok=Decimal(price)))
        for when, price in prices
    ]


def times() -> Iterator[Any]:
    from genai_prices import types

    for day in (1, 9):
        yield types.StartDateConstraint(datetime.date(2026, 6, day))
    yield types.TimeOfDateConstraint(datetime.time(1), datetime.time(4))


def test_a_price_that_depends_on_time_is_that_of_its_dearest_hour() -> None:
    """An operator who resells at cost must not lose money from one to four o'clock."""
    begun, later, hours = times()
    for expected, listed in (
        ("3", ((None, "1"), (hours, "3"))),
        ("3", ((None, "3"), (hours, "1"))),
        ("2", ((None, "1"), (begun, "2"), (later, "9"))),
        ("2", ((None, "9"), (hours, "8"), (begun, "2"))),
        ("4", ((None, "9"), (begun, "2"), (hours, "4"), (later, "7"))),
        ("5", ((later, "5"),)),
    ):
        found = catalogue._standard(conditional(*listed), NOW)
        assert str(found.input_mtok) == expected, listed


async def test_a_new_store_is_given_prices_once(store: Database) -> None:
    """An operator who then sets other prices finds them after every start."""
    await asyncio.gather(first_prices.set_up(store), first_prices.set_up(store))
    now_ms = await store.clock_ms()
    async with store.reading() as tx:
        book = await prices.read_book(tx, now_ms)
        listed = await prices.list_current(tx, now_ms)
        (row,) = await audit.page(tx, limit=9)
    assert book.rate is not None and book.rate.micros_per_usd == 10_000 * MICROS
    assert len(book.prices) == len(listed) == row.after["models"]
    assert {one.source for one in listed} == {"catalogue"}
    found = Prices(book).find("gpt-4-0613", now_ms)
    assert found is not None and found.model == "gpt-4"
    assert cost({"input_tokens": 1000, "output_tokens": 1000}, found, book.rate).micros == (
        900 * MICROS
    )
    version = book.version
    await first_prices.set_up(store)
    async with store.reading() as tx:
        assert await prices.book_version(tx) == version


async def test_the_demo_model_has_a_price(store: Database) -> None:
    """So that who tries it out sees a charge."""
    await first_prices.set_up(store)
    now_ms = await store.clock_ms()
    async with store.reading() as tx:
        listed = {one.model: one for one in await prices.list_current(tx, now_ms)}
    shown = write_terms(listed["demo/echo"].terms)
    assert (shown["input_token_price"], shown["output_token_price"]) == ("1", "2")


async def test_a_store_with_a_rate_is_left_alone(store: Database) -> None:
    """Prices that an operator removed from use must not come back by a restart."""
    async with store.writing() as tx:
        await prices.insert_rate(tx, 5, now_ms=1, actor="ann", reason="")
    await first_prices.set_up(store)
    async with store.reading() as tx:
        assert await prices.list_current(tx, 1) == []
        assert await prices.book_version(tx) == 0


def test_no_process_that_lives_long_loads_the_catalogue() -> None:
    """It takes 100 MB; a clerk and a control plane that need it once would keep it for months."""
    text = (
        "import sys\n"
        "import tallygate.app.stores, tallygate.clerk.service, tallygate.control.service\n"
        "import tallygate.gateway.worker, tallygate.cli.prices\n"
        "sys.exit('genai_prices' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", text]).returncode == 0


def test_reading_the_catalogue_reaches_for_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start behind a firewall must not wait for one either."""
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("nothing of this may connect")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert catalogue.read(NOW)
