"""One message of a Dify server is one charge, whoever tells of it, in whatever order.

A call through our proxy, the server's own tracing and its webhook describe the same tokens, not
always with the same numbers. The best of those that came decides, and the wallet says so.
"""

import itertools
from typing import Any

import pytest
import sqlalchemy as sa

from tallygate.core.charging import Event, Policy, Source
from tallygate.core.dify_commands import ABSURD, DifyAppView, Observation, TraceTold
from tallygate.core.entry import DifyUse, Entry
from tallygate.core.pricing import Prices
from tallygate.store import dify_charges, dify_traces, prices, settle, wallets
from tallygate.store.charging import charge_batch
from tallygate.store.database import Database
from tallygate.store.dify_traces import Trace
from tallygate.store.money_schema import budget, charge, dead_letter, event_alias, ledger_entry
from tallygate.store.schema import usage
from tests.store.books import entry
from tests.store.money import insert_price
from tests.store.purse import NOW_MS, POINT, differences, insert_account

pytestmark = pytest.mark.anyio

POLICY = Policy(charge_micros_max=1_000_000 * POINT, may_overdraw=False)
BALANCE = 1_000 * POINT
MESSAGE, RUN = "m-1", "r-1"


async def prepare(db: Database, micros: int = BALANCE) -> None:
    """A point per 1,000 tokens of `small`, ten of `big`, either way."""
    async with db.writing() as tx:
        await insert_account(tx, "ann", micros)
        for model, points in (("small", 1), ("big", 10)):
            picos = points * 10**12 // 1000
            await insert_price(tx, model, 0, input_picos=picos, output_picos=picos)


def used(model: str = "small", tokens: int = 1000, **changes: Any) -> DifyUse:
    values: dict[str, Any] = {
        "instance": "dify",
        "aliases": (("message", MESSAGE), ("run", RUN)),
        "conversation_id": "c-1",
        "message_id": MESSAGE,
        "model": model,
        "parts": ((model, {"input_tokens": tokens, "output_tokens": 0}),),
        "is_charged": True,
    }
    return DifyUse(**(values | changes))


def proxied(tokens: int = 1000, *, user: str = "ann", **changes: Any) -> Entry:
    made = entry(number=tokens)
    made.user_id = user
    made.counts = {"input_tokens": tokens, "output_tokens": 0}
    made.event = used(tokens=tokens, **changes)
    return made


def webhook(tokens: int = 1000) -> Event:
    return Event(
        source=Source.WEBHOOK,
        instance="dify",
        aliases=(("message", MESSAGE),),
        account_id="ann",
        model="small",
        counts={"input_tokens": tokens, "output_tokens": 0},
        event_ms=NOW_MS,
        message_id=MESSAGE,
    )


def observed(tokens: int, model: str = "small", **changes: Any) -> Observation:
    values = {"id": f"o-{tokens}-{model}", "model": model, "input_tokens": tokens}
    return Observation(**({"output_tokens": 0, "is_of_node": False, **values} | changes))


def told(*observations: Observation, **changes: Any) -> TraceTold:
    values = {"trace_id": MESSAGE, "account_id": "ann", "message_id": MESSAGE, "run_id": RUN}
    return TraceTold(**({"event_ms": NOW_MS, **values} | changes), observations=list(observations))


def app(**changes: Any) -> DifyAppView:
    values: dict[str, Any] = {
        "id": 1,
        "name": "a",
        "instance": "dify",
        "api_url": "",
        "has_secret": True,
        "billed_by": "dify",
        "model": "",
        "hold_micros": 0,
        "trace_public": None,
        "is_active": True,
        "is_from_settings": False,
        "created_ms": 0,
    }
    return DifyAppView(**(values | changes))


def traced(tokens: int = 1000) -> Event:
    trace = Trace(id=1, app_id=1, told=told(observed(tokens)), due_ms=0)
    return dify_charges.event_of_trace(trace, app())


async def tell(db: Database, source: str, tokens: int) -> None:
    async with db.writing() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
        if source in ("proxy", "estimate"):
            call = proxied(tokens)
            call.source = "estimated" if source == "estimate" else "reported"
            await dify_charges.charge_entries(tx, [call], book, POLICY, NOW_MS)
            return
        event = webhook(tokens) if source == "webhook" else traced(tokens)
        outcomes = await charge_batch(tx, [event], book, POLICY, NOW_MS)
        await dify_charges.note(tx, [(event, outcomes[0], "a")], NOW_MS)


async def charges(db: Database) -> list[Any]:
    async with db.reading() as tx:
        return list((await tx.execute(sa.select(charge).order_by(charge.c.id))).all())


async def balance(db: Database) -> int:
    async with db.writing() as tx:
        return (await wallets.lock_of(tx, ["ann"], NOW_MS))["ann"].balance_micros


async def letters(db: Database) -> list[Any]:
    async with db.reading() as tx:
        return list((await tx.execute(sa.select(dead_letter))).all())


SOURCES = ("proxy", "tracing", "webhook")


@pytest.mark.parametrize("order", list(itertools.permutations(SOURCES)))
@pytest.mark.parametrize("do_agree", [True, False])
async def test_a_message_is_charged_once_in_any_order(
    store: Database, order: tuple[str, ...], do_agree: bool
) -> None:
    """Where they differ, what passed through us is believed, then the tracing."""
    await prepare(store)
    tokens = dict(zip(SOURCES, (2000, 3000, 5000), strict=True))
    for number, source in enumerate(order):
        for _ in range(2):  # each of them tells it twice
            await tell(store, source, 2000 if do_agree else tokens[source])
        best = next(one for one in SOURCES if one in order[: number + 1])
        points = 2 if do_agree else tokens[best] // 1000
        assert await balance(store) == BALANCE - points * POINT
    [row] = await charges(store)
    assert (row.state, row.micros, row.input_tokens) == ("charged", 2 * POINT, 2000)
    assert await letters(store) == []
    assert await differences(store) == []
    async with store.reading() as tx:
        names = {(one.kind, one.event_id) for one in await tx.execute(sa.select(event_alias))}
    assert names == {("message", MESSAGE), ("run", RUN)}


@pytest.mark.parametrize("order", list(itertools.permutations(("estimate", "tracing", "webhook"))))
async def test_what_was_reported_is_believed_before_what_we_estimated(
    store: Database, order: tuple[str, ...]
) -> None:
    """Whoever reports it; a message that nobody reports is charged by the estimate."""
    await prepare(store)
    tokens = {"estimate": 2000, "tracing": 3000, "webhook": 5000}
    for number, source in enumerate(order):
        for _ in range(2):
            await tell(store, source, tokens[source])
        ranked = ("tracing", "webhook", "estimate")
        best = next(one for one in ranked if one in order[: number + 1])
        assert await balance(store) == BALANCE - tokens[best] // 1000 * POINT
    [row] = await charges(store)
    assert (row.source, row.input_tokens) == ("tracing", 3000)
    assert "proxy:estimated" in row.reports
    assert await letters(store) == []
    assert await differences(store) == []


async def test_the_row_of_a_proxied_call_says_what_it_cost(store: Database) -> None:
    """What is seen of a call and what was taken for it are the same number."""
    await prepare(store)
    async with store.writing() as tx:
        made = [settle._usage_row(entry(number=number)) for number in (3000, 3001)]
        await tx.insert_many(usage, made, settle.USAGE_COLUMNS)
    await tell(store, "proxy", 3000)
    async with store.reading() as tx:
        columns = (usage.c.request_id, usage.c.charge_micros)
        found = {row.request_id: row.charge_micros for row in await tx.execute(sa.select(*columns))}
    assert found == {"r3000": 3 * POINT, "r3001": 0}


async def test_a_run_and_its_message_are_one_event(store: Database) -> None:
    """The webhook may only know the run, the proxy knows both."""
    await prepare(store)
    await tell(store, "proxy", 2000)
    event = Event(
        source=Source.WEBHOOK,
        instance="dify",
        aliases=(("run", RUN),),
        account_id="ann",
        model="small",
        counts={"input_tokens": 2000, "output_tokens": 0},
        event_ms=NOW_MS,
        is_run=True,
    )
    async with store.writing() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
        await charge_batch(tx, [event], book, POLICY, NOW_MS)
    assert len(await charges(store)) == 1


async def test_what_a_call_used_is_owed_whatever_the_balance(store: Database) -> None:
    """Else whoever has a little money could use any amount for ever: nothing would be taken."""
    await prepare(store, 1 * POINT)
    await tell(store, "proxy", 5000)
    [row] = await charges(store)
    assert (row.state, row.micros) == ("charged", 5 * POINT)
    assert await balance(store) == -4 * POINT
    async with store.reading() as tx:
        kinds = (await tx.execute(sa.select(ledger_entry.c.kind).order_by(ledger_entry.c.id))).all()
    assert [kind for (kind,) in kinds] == ["top_up", "charge", "overage"]
    assert await differences(store) == []


async def test_a_trace_that_cannot_be_paid_is_unpaid(store: Database) -> None:
    """Nobody let that call through: the operator's rule for deliveries holds."""
    await prepare(store, 1 * POINT)
    await tell(store, "tracing", 5000)
    [row] = await charges(store)
    assert (row.state, await balance(store)) == ("unpaid", 1 * POINT)


@pytest.mark.parametrize("uses", [(10, ABSURD), (ABSURD, ABSURD), (6_000_000, 6_000_000)])
async def test_a_trace_with_counts_that_can_not_be_is_a_dead_letter(
    store: Database, uses: tuple[int, int]
) -> None:
    """As in a delivery: what is negative, no number or far too much is charged to nobody."""
    await prepare(store)
    trace = told(*(observed(count, id=f"o-{at}") for at, count in enumerate(uses)))
    event = dify_charges.event_of_trace(Trace(id=1, app_id=1, told=trace, due_ms=0), app())
    async with store.writing() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
        [outcome] = await charge_batch(tx, [event], book, POLICY, NOW_MS)
        await dify_charges.note(tx, [(event, outcome, "a")], NOW_MS)
    [letter] = await letters(store)
    assert (letter.code, await balance(store)) == ("tokens_out_of_range", BALANCE)
    again = dify_charges.event_of_letter(letter.payload)  # sent in again, it is refused again
    assert again.counts == event.counts and await charges(store) == []


async def test_several_models_are_summed_exactly(store: Database) -> None:
    await prepare(store)
    parts = (
        ("small", {"input_tokens": 500, "output_tokens": 0}),
        ("big", {"input_tokens": 250, "output_tokens": 250}),
    )
    made = proxied(1000, model="big", parts=parts)
    made.counts = {"input_tokens": 750, "output_tokens": 250}
    async with store.writing() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
        await dify_charges.charge_entries(tx, [made], book, POLICY, NOW_MS)
    [row] = await charges(store)
    assert (row.model, row.micros) == ("big", 5_500_000)
    assert await differences(store) == []


async def test_what_is_charged_elsewhere_is_only_noted(store: Database) -> None:
    """The model's own call came through our /v1: to charge the message too would be twice."""
    await prepare(store)
    async with store.writing() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
        made = proxied(is_charged=False)
        await dify_charges.charge_entries(tx, [made], book, POLICY, NOW_MS)
    [row] = await charges(store)
    assert (row.state, await balance(store)) == ("noted", BALANCE)


async def test_a_key_without_an_account_is_charged_to_nobody(store: Database) -> None:
    await prepare(store)
    async with store.writing() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
        await dify_charges.charge_entries(tx, [proxied(user="")], book, POLICY, NOW_MS)
    assert (await charges(store), await letters(store)) == ([], [])


async def test_what_has_no_price_is_a_dead_letter_and_settles_all_the_same(
    store: Database,
) -> None:
    """One call of an unknown model must not hold up the journal behind it."""
    await prepare(store)
    unknown = proxied(2000, model="", parts=(("", {"input_tokens": 2000, "output_tokens": 0}),))
    other = proxied(3000, aliases=(("message", "m-2"),), message_id="m-2")
    async with store.writing() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
        await dify_charges.charge_entries(tx, [unknown, other], book, POLICY, NOW_MS)
    [row] = await charges(store)
    assert row.message_id == "m-2"
    [letter] = await letters(store)
    assert (letter.source, letter.code, letter.state) == ("proxy", "unknown_model", "open")
    assert MESSAGE in letter.payload
    await tell(store, "tracing", 2000)  # which knows the model
    assert [row.message_id for row in await charges(store)] == ["m-2", MESSAGE]


async def test_a_use_that_nobody_told_of_waits_for_an_operator_and_is_never_free(
    store: Database,
) -> None:
    """It names nothing by which tracing's word of it could be known: an estimate charged at once
    might be charged twice."""
    await prepare(store)
    counts = {"input_tokens": 700, "output_tokens": 0}
    left = proxied(1, aliases=(), message_id="", parts=(("small", counts),), is_unknown=True)
    left.counts = {}
    other = proxied(3000, aliases=(("message", "m-2"),), message_id="m-2")
    async with store.writing() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
        await dify_charges.charge_entries(tx, [left, other], book, POLICY, NOW_MS)
    assert [row.message_id for row in await charges(store)] == ["m-2"]
    [letter] = await letters(store)
    assert (letter.source, letter.code, letter.state) == ("proxy", "usage_missing", "open")
    kept = dify_charges.event_of_letter(letter.payload)
    assert (kept.account_id, kept.model, kept.counts) == ("ann", "small", counts)
    assert kept.is_estimated and not kept.aliases


async def test_budgets_hear_of_it(store: Database) -> None:
    await prepare(store)
    async with store.writing() as tx:
        values = {"subject_kind": "user", "subject_id": "ann", "span": "total", "zone": "UTC"}
        numbers = {"amount_micros": 10 * POINT, "window_s": 0, "spent_micros": 0}
        await tx.execute(
            sa.insert(budget), {**values, **numbers, "told_percent": 0, "created_ms": 0}
        )
    for source in SOURCES:
        await tell(store, source, 2000)
    async with store.reading() as tx:
        assert await tx.scalar(sa.select(budget.c.spent_micros)) == 2 * POINT


# --- what a trace means ---


def event_of(*observations: Observation, model: str = "", **changes: Any) -> Event:
    trace = Trace(id=1, app_id=1, told=told(*observations, **changes), due_ms=0)
    return dify_charges.event_of_trace(trace, app(model=model))


def test_nodes_are_counted_and_not_their_sum_besides() -> None:
    """Dify tells of a chatflow's tokens once by node and once in all."""
    event = event_of(
        observed(400, "small", is_of_node=True),
        observed(600, "big", is_of_node=True),
        observed(1000, "", id="sum"),
    )
    assert (event.counts["input_tokens"], event.model) == (1000, "big")
    assert dict(event.parts).keys() == {"small", "big"}


def test_what_names_no_model_is_the_apps() -> None:
    event = event_of(observed(1000, ""), model="small")
    assert (event.model, event.parts) == ("small", ())
    assert event.aliases == (("message", MESSAGE), ("run", RUN))


def test_a_trace_without_ids_is_a_message_of_its_own_name() -> None:
    assert event_of(observed(1), message_id="", run_id="").aliases == (("message", MESSAGE),)


async def test_pieces_of_a_trace_are_told_together_and_once(store: Database) -> None:
    """Dify delivers each use by itself, and again when it has heard no answer."""
    pieces = [told(), told(observed(1)), told(observed(2)), told(observed(1), account_id="")]
    for at, piece in enumerate(pieces):
        async with store.writing() as tx:
            await dify_traces.take(tx, 1, [piece], NOW_MS + at, 10)
    async with store.writing() as tx:
        assert await dify_traces.due(tx, NOW_MS + 11, 9) == []  # the last news came at 2
        assert not await dify_traces.is_any_due(tx, NOW_MS + 11)
        [found] = await dify_traces.due(tx, NOW_MS + 12, 9)
        await dify_traces.settled(tx, [found])
    assert found.told.account_id == "ann"
    assert [one.id for one in found.told.observations] == ["o-1-small", "o-2-small"]
    async with store.writing() as tx:
        await dify_traces.take(tx, 1, [told(observed(1))], NOW_MS, 0)
        assert await dify_traces.due(tx, 1 << 60, 9) == []
        await dify_traces.take(tx, 2, [told(observed(1))], NOW_MS, 0)
        assert [one.app_id for one in await dify_traces.due(tx, 1 << 60, 9)] == [2]
        assert await dify_traces.prune(tx, NOW_MS + dify_traces.KEEP_MS) == 0
        assert await dify_traces.prune(tx, NOW_MS + dify_traces.KEEP_MS + 9) == 1
