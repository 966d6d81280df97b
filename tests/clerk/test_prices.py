"""Commands that change prices: versions, audit, the feed, and when they are acknowledged."""

import asyncio
from typing import Any

import pytest

from tallygate.core.errors import Refusal
from tallygate.core.ports import PriceBook, Priced
from tallygate.core.price_commands import (
    ImportedPrice,
    ImportPrices,
    ImportReport,
    RateView,
    Saved,
    SavePrice,
    SetAlias,
    SetRate,
)
from tallygate.core.price_terms import Written, write_terms
from tallygate.core.pricing import Prices
from tallygate.store import audit, feed, prices
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node, Worker

pytestmark = pytest.mark.anyio


def points(given: str = "1", taken: str = "2", **more: Any) -> Written:
    return Written(input_token_price=given, output_token_price=taken, currency="points", **more)


async def save(node: Node, model: str = "m", price: Written | None = None, **more: Any) -> Saved:
    change = SavePrice(model=model, price=price or points(), **more)
    return await node.command(change, into=Saved)


async def patch(node: Node, model: str, **more: Any) -> Saved:
    price = Written(**{name: more.pop(name) for name in list(more) if name not in OF_SAVE})
    return await save(node, model, price, is_patch=True, **more)


OF_SAVE = {"effective_ms", "reason"}


async def actions(node: Node) -> list[tuple[str, str]]:
    async with node.db.reading() as tx:
        return [(row.action, row.subject) for row in await audit.page(tx, limit=100)][::-1]


async def events(node: Node) -> int:
    async with node.db.reading() as tx:
        found, _ = await feed.read_since(tx, 0)
    return sum(event.kind == "prices" for event in found)


async def refused(node: Node, change: Any) -> str:
    """The message of the refusal; nothing is written with it."""
    async with node.db.reading() as tx:
        before = await prices.book_version(tx)
    with pytest.raises(Refusal) as caught:
        await node.command(change)
    async with node.db.reading() as tx:
        assert await prices.book_version(tx) == before
    return f"{caught.value.code} {caught.value.message}"


async def test_a_price_is_made_then_versioned(any_node: Node) -> None:
    """What was there before is in the audit log and in the history, with who and why."""
    made = await save(any_node, reason="first")
    again = await save(any_node, price=points("5"), reason="dearer")
    assert (made.is_new, again.is_new) == (True, False)
    assert again.version.id > made.version.id
    assert (again.version.actor, again.version.reason) == ("test", "dearer")
    async with any_node.db.reading() as tx:
        assert await prices.history(tx, "m") == [again.version, made.version]
        (last, _) = await audit.page(tx, limit=2)
    assert last.before["reason"] == "first" and last.after["reason"] == "dearer"
    assert await actions(any_node) == [("price.save", "model:m")] * 2
    assert await events(any_node) == 2


async def test_a_name_in_another_case_is_the_same_model(any_node: Node) -> None:
    """Two prices for «GPT-4» and «gpt-4» would be a trap: which of them a request gets depends
    on how its maker spelled it."""
    await save(any_node, "GPT-4")
    again = await save(any_node, "gpt-4", points("9"))
    assert (again.is_new, again.version.model) == (False, "GPT-4")


async def test_a_patch_keeps_what_it_does_not_name(node: Node) -> None:
    """The notation, too: a price for 1,000 tokens stays the same when it is shown for a million."""
    full = points("0.25", cache_read_token_price="0.05", request_price="0.1")
    await save(node, price=full)
    cheaper = (await patch(node, "M", output_token_price="1.5", reason="x")).version
    shown = write_terms(cheaper.terms)
    assert shown == {
        "input_token_price": "0.25",
        "output_token_price": "1.5",
        "cache_read_token_price": "0.05",
        "cache_write_token_price": None,
        "request_price": "0.1",
        "currency": "points",
        "per_tokens": 1000,
        "is_active": True,
    }
    by_million = (await patch(node, "m", per_tokens=1_000_000)).version
    assert write_terms(by_million.terms)["input_token_price"] == "250"
    assert by_million.terms.input_picos == cheaper.terms.input_picos
    mixed = (await patch(node, "m", per_tokens=1000, input_token_price="3")).version
    assert write_terms(mixed.terms)["output_token_price"] == "1.5"
    assert write_terms(mixed.terms)["input_token_price"] == "3"
    as_input = (await patch(node, "m", cache_read_token_price=None)).version
    assert as_input.terms.cache_read_picos is None
    off = (await patch(node, "m", is_active=False)).version
    assert (off.terms.is_active, off.terms.input_picos) == (False, mixed.terms.input_picos)


async def test_a_patch_that_says_nothing_changes_nothing(node: Node) -> None:
    made = await save(node)
    same = await patch(node, "m", reason="no reason")
    assert (same.version, same.is_changed) == (made.version, False)
    assert await events(node) == 1


async def test_another_currency_wants_every_price_again(node: Node) -> None:
    """30 points that become 30 dollars are a bill 10,000 times too high."""
    await node.command(SetRate(rate="10000"))
    await save(node, price=points(request_price="1", cache_write_token_price="3"))
    change = SavePrice(model="m", is_patch=True, price=Written(currency="usd"))
    for field in ("input_token_price", "output_token_price", "cache_write_token_price"):
        assert field in await refused(node, change)
        setattr(change.price, field, "0.01")
    assert "request_price" in await refused(node, change)
    change.price.request_price = "0"
    await node.command(change)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"input_token_price": "-1"}, "`input_token_price`: it is negative"),
        ({"input_token_price": "1000001"}, "`input_token_price`: use at most 1000000"),
        ({"output_token_price": "0.0000000001"}, "`output_token_price`: it has more than 9"),
        ({"input_token_price": "x"}, "`input_token_price`: 'x' is not a number"),
        ({"input_token_price": "1e400"}, "`input_token_price`: use at most"),
        ({"input_token_price": "NaN"}, "`input_token_price`"),
        ({"cache_read_token_price": ""}, "`cache_read_token_price`"),
        ({"cache_write_token_price": "1e999"}, "`cache_write_token_price`"),
        ({"request_price": "1000001"}, "`request_price`: use at most 1000000"),
        ({"request_price": "0.0000000000001"}, "`request_price`: it has more than 12"),
        ({"currency": "eur"}, "`currency`: use one of usd, points"),
        ({"per_tokens": 100}, "`per_tokens`: use 1000 or 1000000"),
        ({"per_tokens": -1000}, "`per_tokens`"),
        ({"per_tokens": 1_000_000, "input_token_price": "0.0000001"}, "more than 6 decimal"),
        ({"per_tokens": 1_000_000, "input_token_price": "1000000001"}, "use at most 1000000000"),
    ],
)
async def test_a_price_that_makes_no_sense_is_refused(
    node: Node, fields: dict[str, Any], named: str
) -> None:
    """Refused by the clerk, whoever asks; the message says which field and what to send."""
    price = points()
    for name, value in fields.items():
        setattr(price, name, value)
    assert named in await refused(node, SavePrice(model="m", price=price))


async def test_a_new_price_needs_input_and_output(node: Node) -> None:
    change = SavePrice(model="m", price=Written(input_token_price="1"))
    assert "`output_token_price`: is required" in await refused(node, change)


@pytest.mark.parametrize("name", ["", " m", "m\n", "m\x00", "x" * 257, "a\u2028b"])
async def test_a_name_that_cannot_be_typed_is_refused(node: Node, name: str) -> None:
    assert "`model_name`" in await refused(node, SavePrice(model=name, price=points()))
    await save(node)
    assert "`alias`" in await refused(node, SetAlias(name=name, model="m"))


async def test_only_sensible_times_and_reasons_are_taken(node: Node) -> None:
    far_ms = node.clerk.clock.now_ms() + 3700 * 86_400_000
    change = SavePrice(model="m", price=points(), effective_ms=far_ms)
    assert "ten years" in await refused(node, change)
    change = SavePrice(model="m", price=points(), reason="x" * 1001)
    assert "`reason`" in await refused(node, change)
    past = await save(node, effective_ms=1)
    assert past.version.effective_ms == past.version.created_ms


async def test_a_price_in_dollars_needs_a_rate(node: Node) -> None:
    """Without one its uses could not be charged, and would be let through or lost."""
    dollars = Written(input_token_price="1", output_token_price="1")
    change = SavePrice(model="m", price=dollars)
    assert "no_exchange_rate" in await refused(node, change)
    await node.command(SetRate(rate="10000"))
    assert (await node.command(change, into=Saved)).is_new


async def test_an_alias_leads_to_one_model(any_node: Node) -> None:
    await save(any_node, "gpt-4")
    await save(any_node, "other")
    await any_node.command(SetAlias(name="Four", model="GPT-4"))
    async with any_node.db.reading() as tx:
        book = Prices(await prices.read_book(tx, any_node.clerk.clock.now_ms()))
    found = book.find("four", any_node.clerk.clock.now_ms())
    assert found is not None and found.model == "gpt-4"
    assert (await patch(any_node, "FOUR", is_active=False)).version.model == "gpt-4"
    moved = await any_node.command(SetAlias(name="four", model="other"))
    assert moved == {"name": "four", "model": "other"}
    assert (await save(any_node, "other")).aliases == ["four"]
    await any_node.command(SetAlias(name="FOUR", model=None))
    assert "not_found" in await refused(any_node, SetAlias(name="four", model=None))
    last = ("price.alias", "alias:FOUR")
    assert last in await actions(any_node)


async def test_a_name_never_means_two_models(node: Node) -> None:
    await save(node, "a")
    await save(node, "b")
    await node.command(SetAlias(name="c", model="a"))
    assert "conflict" in await refused(node, SetAlias(name="B", model="a"))
    assert "conflict" in await refused(node, SavePrice(model="C", price=points()))
    assert "not_found" in await refused(node, SetAlias(name="d", model="nothing"))
    assert "not_found" in await refused(
        node, SavePrice(model="nothing", price=points(), is_patch=True)
    )
    await save(node, "*")
    assert "impossible" in await refused(node, SetAlias(name="d", model="*"))
    assert "`alias`" in await refused(node, SetAlias(name="*", model="a"))
    assert "not_found" in await refused(node, SavePrice(model="zz", price=points(), is_patch=True))


async def test_rates_are_versions_too(any_node: Node) -> None:
    first = await any_node.command(SetRate(rate="10000", reason="start"), into=RateView)
    equal = await any_node.command(SetRate(rate="1e4", reason="again"), into=RateView)
    other = await any_node.command(SetRate(rate="7.000001"), into=RateView)
    assert equal == first, "an equal rate is answered as it is"
    assert (other.old_micros_per_usd, other.micros_per_usd) == (10_000_000_000, 7_000_001)
    assert await actions(any_node) == [("rate.set", "rate")] * 2
    assert await events(any_node) == 2


@pytest.mark.parametrize("rate", ["0", "-1", "", "x", "0.0000001", "1000000001", "NaN", "1e999"])
async def test_a_rate_that_makes_no_sense_is_refused(node: Node, rate: str) -> None:
    """At 0 everything would be free."""
    assert "`rate`" in await refused(node, SetRate(rate=rate))


def listed(*models: ImportedPrice, **more: Any) -> ImportPrices:
    return ImportPrices(models=list(models), **{"source": "catalogue", **more})


def model(name: str, given: str = "1", *aliases: str) -> ImportedPrice:
    return ImportedPrice(model_name=name, price=points(given), aliases=list(aliases))


async def run(node: Node, change: ImportPrices) -> tuple[list[tuple[str, str]], int]:
    report = await node.command(change, into=ImportReport)
    return [(one.model, one.kind) for one in report.changes], report.same


async def test_an_import_adds_what_is_new_and_keeps_what_an_operator_set(any_node: Node) -> None:
    """A catalogue must never undo a price that somebody thought about."""
    await run(any_node, listed(model("a"), model("b", "1", "B2"), model("c")))
    await patch(any_node, "a", input_token_price="7")
    change = listed(
        model("A", "2"), model("b", "1"), model("c", "3"), model("d", "4", "D2"), model("b2")
    )
    change.is_dry_run = True
    version = (await any_node.command(change, into=ImportReport)).book_version
    expected = [("a", "kept"), ("c", "changed"), ("d", "new"), ("b", "kept")], 1
    assert await run(any_node, change) == expected
    assert await run(any_node, change) == expected, "a dry run changes nothing"
    change.is_dry_run, change.book_version = False, version
    assert await run(any_node, change) == expected
    async with any_node.db.reading() as tx:
        known = await prices.known(tx, any_node.clerk.clock.now_ms())
    given = {one.model: one.terms.input_picos // 10**9 for one in known.versions.values()}
    assert given == {"a": 7, "b": 1, "c": 3, "d": 4}
    assert known.aliases_of("d") == ["D2"]
    change = listed(model("a", "2"), may_replace=True)
    assert await run(any_node, change) == ([("a", "changed")], 0)
    assert (await actions(any_node))[-1] == ("price.import", "prices:catalogue")


async def test_a_file_replaces_what_it_names(node: Node) -> None:
    """Its writer is the operator, and it may have been exported from here."""
    await save(node, "a")
    await save(node, "b")
    await node.command(SetAlias(name="x", model="a"))
    change = listed(model("a", "5"), model("b", "1", "x"), source="file")
    assert await run(node, change) == ([("a", "changed"), ("b", "changed")], 0)
    assert await run(node, change) == ([], 2)
    async with node.db.reading() as tx:
        assert await prices.read_aliases(tx) == {"x": "b"}
        assert len(await prices.history(tx, "b")) == 1, "a new name makes no version"


async def test_what_was_shown_is_what_is_applied(node: Node) -> None:
    """Between looking at a difference and saying yes, another operator may have been at work."""
    change = listed(model("a"), is_dry_run=True)
    change.book_version = (await node.command(change, into=ImportReport)).book_version
    change.is_dry_run = False
    await save(node, "a", points("9"))
    assert "conflict" in await refused(node, change)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (listed(model("a"), model("A")), "listed twice"),
        (listed(model("a", "-1")), "`a`: `input_token_price`: it is negative"),
        (listed(model(" a")), "`model_name`"),
        (listed(model("a", "1", "b\n")), "`aliases`"),
        (listed(model("a", "1", *map(str, range(101)))), "at most 100 aliases"),
        (listed(model("a"), source="rumour"), "source"),
        (listed(ImportedPrice(model_name="a", price=Written())), "is required"),
        (
            listed(
                ImportedPrice(
                    model_name="a", price=Written(input_token_price="1", output_token_price="1")
                )
            ),
            "exchange rate",
        ),
    ],
)
async def test_a_bad_list_is_refused_as_a_whole(
    node: Node, change: ImportPrices, named: str
) -> None:
    assert named in await refused(node, change)
    async with node.db.reading() as tx:
        assert await prices.list_current(tx, 0) == []


class SlowWorker(Worker):
    """Takes in a book of prices only when the test says so."""

    def __init__(self, node: Node) -> None:
        super().__init__(node, 0, 1)
        self.may_take = asyncio.Event()
        self.was_told = asyncio.Event()
        self.untaken: list[int] = []

    def _message(self, message: Any) -> None:
        if isinstance(message, PriceBook) and not self.may_take.is_set():
            self.untaken.append(message.number)
            self.was_told.set()
        else:
            super()._message(message)

    def take(self) -> None:
        self.may_take.set()
        self.channel.send(Priced(self.untaken[-1]))


async def slow_worker(node: Node) -> SlowWorker:
    worker = SlowWorker(node)
    node.workers.append(worker)
    await worker.connect()
    async with asyncio.timeout(20):
        await worker.was_told.wait()  # of the book that there is: it is told when it comes
    worker.was_told.clear()
    return worker


CHANGES = [
    SetRate(rate="7"),
    SavePrice(model="m", price=points()),
    SetAlias(name="alias", model="known"),
    ImportPrices(models=[model("n")], source="file"),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.NAME)
async def test_a_change_is_acknowledged_once_every_worker_of_every_node_has_it(
    postgresql_url: str, make_node: MakeNode, change: Any
) -> None:
    """Otherwise a call that comes right after the answer could still cost the old price."""
    one = await make_node("one", postgresql_url)
    two = await make_node("two", postgresql_url)
    await save(one, "known")
    await one.clerk.barrier.beat()
    worker = await slow_worker(two)
    changing = asyncio.ensure_future(one.command(change))
    async with asyncio.timeout(20):
        await worker.was_told.wait()
    assert not changing.done()
    worker.take()
    await changing


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.NAME)
async def test_the_own_workers_have_a_change_before_it_is_acknowledged(
    node: Node, change: Any
) -> None:
    await save(node, "known")
    worker = await slow_worker(node)
    changing = asyncio.ensure_future(node.command(change))
    async with asyncio.timeout(20):
        await worker.was_told.wait()
    assert not changing.done()
    worker.take()
    await changing


async def test_a_worker_that_hangs_does_not_keep_a_price_from_being_corrected(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallygate.clerk.book.HEARD_S", 0.1)
    await slow_worker(node)
    assert (await save(node)).is_new


async def test_a_repeated_change_is_answered_alike(any_node: Node) -> None:
    """A client that lost the answer must not make another version."""
    change = SavePrice(model="m", price=points())
    first = await any_node.command(change, "key-1", into=Saved)
    assert await any_node.command(change, "key-1", into=Saved) == first
    assert await events(any_node) == 1
    with pytest.raises(Refusal, match="Idempotency-Key"):
        await any_node.command(SavePrice(model="n", price=points()), "key-1")


async def test_racing_changes_of_one_price_are_all_kept(any_node: Node) -> None:
    """Each gets a version, and the one that was acknowledged last is in effect."""
    saved = await asyncio.gather(*(save(any_node, price=points(str(n))) for n in range(20)))
    ids = sorted(one.version.id for one in saved)
    assert len(set(ids)) == 20 and sum(one.is_new for one in saved) == 1
    async with any_node.db.reading() as tx:
        (current,) = await prices.list_current(tx, any_node.clerk.clock.now_ms())
        assert await prices.book_version(tx) == 20
    assert current.id == ids[-1]
