"""A batch of events in the store: one charge each, whoever reports it, however often, and when.

After each test the ledger's own check must find nothing: no sum may differ from its parts.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from tallygate.core.charging import Event, Policy, Source, State, Trust, Verdict
from tallygate.core.errors import Code
from tallygate.core.pricing import Prices
from tallygate.core.wallet import EntryKind
from tallygate.store import prices, wallets
from tallygate.store.charge_rows import Raced
from tallygate.store.charging import Outcome, charge_batch
from tallygate.store.database import Database
from tallygate.store.money_schema import charge, event_alias, ledger_entry, rate, wallet
from tests.sim.crashes import Crash, Failing
from tests.store.money import insert_price
from tests.store.purse import NOW_MS, POINT, differences, insert_account

pytestmark = pytest.mark.anyio

POLICY = Policy(charge_micros_max=1_000 * POINT, may_overdraw=False)
OVERDRAW = Policy(charge_micros_max=1_000 * POINT, may_overdraw=True)
PICOS = 10**12  # a point a token


@pytest.fixture
async def books(store: Database) -> AsyncIterator[Database]:
    """Ann has 100 points, Bob none; a token of `m` is a point."""
    async with store.writing() as tx:
        await insert_account(tx, "ann", 100 * POINT)
        await insert_account(tx, "bob")
        await insert_price(tx, "m", 0, input_picos=PICOS, output_picos=PICOS)
    yield store
    assert await differences(store) == []


def event(tokens: int = 10, number: int = 1, **changes: Any) -> Event:
    values: dict[str, Any] = {
        "source": Source.WEBHOOK,
        "instance": "dify",
        "aliases": (("message", f"m-{number}"),),
        "account_id": "ann",
        "model": "m",
        "counts": {"input_tokens": tokens, "output_tokens": 0},
        "event_ms": NOW_MS,
        "message_id": f"m-{number}",
    }
    return Event(**(values | changes))


async def take(
    db: Database, *events: Event, policy: Policy = POLICY, **options: Any
) -> list[Outcome]:
    async with db.writing() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
        return await charge_batch(tx, events, book, policy, NOW_MS, **options)


async def one(db: Database, told: Event, policy: Policy = POLICY, **options: Any) -> Outcome:
    [outcome] = await take(db, told, policy=policy, **options)
    return outcome


async def balance(db: Database, account_id: str = "ann") -> int:
    """In points."""
    async with db.reading() as tx:
        query = sa.select(wallet.c.balance_micros).where(wallet.c.account_id == account_id)
        return int(await tx.scalar(query)) // POINT


async def rows(db: Database, table: sa.Table = charge) -> list[Any]:
    async with db.reading() as tx:
        return list((await tx.execute(sa.select(table))).all())


def state_of(outcome: Outcome) -> str:
    assert outcome.row is not None
    return outcome.row.state


# --- one event ---


async def test_an_event_is_charged_with_what_it_pins(books: Database) -> None:
    """The row says everything that is needed to compute the sum again, years later."""
    outcome = await one(books, event(30, conversation_id="c", request_id="r"))
    [row] = await rows(books)
    assert (row.state, row.micros, row.balance_micros) == ("charged", 30 * POINT, 70 * POINT)
    assert (row.price_id, row.rate_id, row.input_tokens) == (row.price_id, None, 30)
    assert (row.conversation_id, row.request_id, row.message_id) == ("c", "r", "m-1")
    assert outcome.deducted_micros == 30 * POINT
    assert await balance(books) == 70


async def test_the_same_event_again_is_one_charge(books: Database) -> None:
    """Whatever time and request id it bears the second time."""
    first = await one(books, event(30))
    again = await one(books, event(30, event_ms=NOW_MS - 5, request_id="another"))
    assert again.verdict is Verdict.REPEAT
    assert again.row == first.row
    assert again.deducted_micros == 30 * POINT
    assert await balance(books) == 70


async def test_copies_within_one_batch_are_one_charge(books: Database) -> None:
    """A sender that lost our answers sends everything it has at once."""
    outcomes = await take(books, *[event(10)] * 50, *[event(20, 2)] * 50)
    assert {outcome.row.id for outcome in outcomes if outcome.row} == {1, 2}
    assert [one.verdict for one in outcomes].count(Verdict.CHARGE) == 2
    assert await balance(books) == 70


async def test_the_same_event_with_other_numbers_is_refused(books: Database) -> None:
    await one(books, event(30))
    for other in (event(31), event(30, model="M"), event(30, account_id="bob")):
        outcome = await one(books, other)
        assert outcome.refusal is not None
        assert outcome.refusal.code is Code.EVENT_CONFLICT
    assert await balance(books) == 70


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"account_id": "nobody"}, Code.UNKNOWN_USER),
        ({"account_id": ""}, Code.UNKNOWN_USER),
        ({"model": "unheard-of"}, Code.UNKNOWN_MODEL),
        ({"model": ""}, Code.UNKNOWN_MODEL),
        ({"model": "usd"}, Code.NO_EXCHANGE_RATE),
        ({"parts": (("m", {"input_tokens": 1}), ("unheard-of", {}))}, Code.UNKNOWN_MODEL),
    ],
)
async def test_what_cannot_be_priced_claims_nothing(
    books: Database, changes: dict[str, Any], code: Code
) -> None:
    """Once its cause is mended, the same event can be charged."""
    async with books.writing() as tx:
        await tx.execute(sa.delete(rate))
        await insert_price(tx, "usd", 0, currency="usd")
    outcome = await one(books, event(**changes))
    assert outcome.refusal is not None
    assert outcome.refusal.code is code
    assert await rows(books) == []
    assert await rows(books, event_alias) == []
    assert (await one(books, event())).verdict is Verdict.CHARGE


async def test_an_event_of_several_models_is_summed_and_rounded_once(books: Database) -> None:
    async with books.writing() as tx:
        await insert_price(tx, "third", 0, input_picos=333_333, output_picos=0)
    parts = (("third", {"input_tokens": 1}), ("third", {"input_tokens": 1}), ("", {}))
    outcome = await one(books, event(2, parts=parts))
    assert outcome.row is not None
    assert outcome.row.micros == 1, "two thirds of a micro-point are one, not two"


# --- money that is short ---


async def test_what_there_is_no_money_for_is_unpaid_until_it_comes_again(books: Database) -> None:
    """Nothing is taken; the sender, who delivers again, finds the money that came meanwhile."""
    outcome = await one(books, event(40, account_id="bob"))
    assert state_of(outcome) == "unpaid"
    assert outcome.deducted_micros == 0
    assert await balance(books, "bob") == 0
    assert state_of(await one(books, event(40, account_id="bob"))) == "unpaid"
    await top_up(books, "bob", 50)
    async with books.writing() as tx:  # what it costs was settled when it happened
        await insert_price(tx, "m", NOW_MS, input_picos=2 * PICOS, output_picos=PICOS)
    paid = await one(books, event(40, account_id="bob"))
    assert (paid.verdict, state_of(paid)) == (Verdict.CHARGE, "charged")
    assert await balance(books, "bob") == 10
    assert (await one(books, event(40, account_id="bob"))).verdict is Verdict.REPEAT


async def top_up(db: Database, account_id: str, points: int) -> None:
    async with db.writing() as tx:
        found = (await wallets.lock_of(tx, [account_id], NOW_MS))[account_id]
        found.credit(EntryKind.TOP_UP, points * POINT, NOW_MS)
        await wallets.write(tx, [found])


async def test_several_events_on_one_wallet_are_charged_in_turn(books: Database) -> None:
    """One that is too large does not keep a smaller one from being paid."""
    outcomes = await take(books, event(60, 1), event(60, 2), event(40, 3), event(1, 4))
    assert [state_of(outcome) for outcome in outcomes] == ["charged", "unpaid", "charged", "unpaid"]
    assert await balance(books) == 0


async def test_overdrawing_ends_at_the_floor(books: Database) -> None:
    """And what is taken beyond the balance is an entry of its own: no debt without one."""
    async with books.writing() as tx:
        found = (await wallets.lock_of(tx, ["bob"], NOW_MS))["bob"]
        await wallets.configure(tx, found.id, {"floor_micros": -50 * POINT})
    told = [event(40, number, account_id="bob") for number in (1, 2)]
    outcomes = await take(books, *told, policy=OVERDRAW)
    assert [state_of(outcome) for outcome in outcomes] == ["charged", "unpaid"]
    assert await balance(books, "bob") == -40
    overages = [row for row in await rows(books, ledger_entry) if row.kind == "overage"]
    assert [row.amount_micros for row in overages] == [-40 * POINT]


async def test_a_charge_above_the_largest_waits_for_a_look(books: Database) -> None:
    """Even where there is no money for it: size is looked at first."""
    for account_id, number in (("ann", 1), ("bob", 2)):
        outcome = await one(books, event(1_001, number, account_id=account_id))
        assert state_of(outcome) == "review"
        again = await one(books, event(1_001, number, account_id=account_id))
        assert (again.verdict, state_of(again)) == (Verdict.REPEAT, "review")
    assert await balance(books) == 100


async def test_money_that_gateways_lease_is_asked_for_before_anything_is_unpaid(
    books: Database,
) -> None:
    """Undecided events leave no trace: they are charged again once the lease came back."""
    await lease(books, "ann", 80)
    told = [event(30, 1), event(30, 1), event(10, 2), event(200, 3)]
    outcomes = await take(books, *told, may_recall=True)
    assert [outcome.wallet_id > 0 for outcome in outcomes] == [True, True, False, False]
    assert [state_of(outcome) for outcome in outcomes[2:]] == ["charged", "unpaid"]
    assert len(await rows(books)) == 2
    assert state_of(await one(books, event(30, 1))) == "unpaid", "nobody gave anything back"
    await lease(books, "ann", 0)
    assert state_of(await one(books, event(30, 1), may_recall=True)) == "charged"


async def lease(db: Database, account_id: str, points: int) -> None:
    async with db.writing() as tx:
        here = wallet.c.account_id == account_id
        await tx.execute(sa.update(wallet).where(here).values(leased_micros=points * POINT))


async def test_callers_race_for_money_that_covers_three(books: Database) -> None:
    """Ten transactions at once, on as many connections as the store has: exactly three win."""
    outcomes = await asyncio.gather(*(one(books, event(30, number)) for number in range(10)))
    states = sorted(state_of(outcome) for outcome in outcomes)
    assert states == ["charged"] * 3 + ["unpaid"] * 7
    assert await balance(books) == 10


# --- several sources ---


async def test_a_better_source_corrects_the_charge_by_an_entry(books: Database) -> None:
    """Up or down; the charge says what is true now, and the ledger how it came to that."""
    await one(books, event(30))
    up = await one(books, event(35, source=Source.TRACING))
    assert (up.verdict, await balance(books)) == (Verdict.ADJUST, 65)
    down = await one(books, event(20, source=Source.PROXY))
    assert (down.verdict, await balance(books)) == (Verdict.ADJUST, 80)
    [row] = await rows(books)
    assert (row.source, row.micros, row.input_tokens) == ("proxy", 20 * POINT, 20)
    for told in (event(30), event(35, source=Source.TRACING), event(20, source=Source.PROXY)):
        assert (await one(books, told)).verdict is Verdict.REPEAT
    assert (await one(books, event(31))).verdict is Verdict.CONFLICT
    amounts = [entry.amount_micros // POINT for entry in await rows(books, ledger_entry)]
    assert amounts == [100, -30, -5, 15]


async def test_a_correction_stays_under_the_versions_of_the_charge(books: Database) -> None:
    """A price that was changed between the two reports changes nothing of what happened before."""
    await one(books, event(30))
    async with books.writing() as tx:
        await insert_price(tx, "m", NOW_MS, input_picos=5 * PICOS, output_picos=PICOS)
    await one(books, event(40, source=Source.PROXY))
    assert await balance(books) == 60


async def test_a_worse_source_changes_nothing_and_is_remembered(books: Database) -> None:
    await one(books, event(30, source=Source.PROXY))
    noted = await one(books, event(50))
    assert (noted.verdict, await balance(books)) == (Verdict.NOTE, 70)
    assert noted.deducted_micros == 30 * POINT, "it is answered with what was charged"
    [row] = await rows(books)
    assert '"webhook"' in row.reports


async def test_a_correction_after_a_refund_gives_nothing_back_twice(books: Database) -> None:
    """Ten of thirty were refunded; the use turns out to have been five."""
    await one(books, event(30))
    async with books.writing() as tx:
        found = (await wallets.lock_of(tx, ["ann"], NOW_MS))["ann"]
        found.credit(EntryKind.REFUND, 10 * POINT, NOW_MS, charge_id=1)
        await wallets.write(tx, [found])
        await tx.execute(sa.update(charge).values(refunded_micros=10 * POINT))
    await one(books, event(5, source=Source.PROXY))
    [row] = await rows(books)
    assert row.micros == 5 * POINT
    assert row.refunded_micros == 5 * POINT
    assert await balance(books) == 100


async def test_what_was_unpaid_and_is_corrected_is_judged_anew(books: Database) -> None:
    await one(books, event(150))
    outcome = await one(books, event(90, source=Source.PROXY))
    assert state_of(outcome) == "charged"
    assert await balance(books) == 10


async def test_a_run_and_its_message_are_one_charge_in_either_order(books: Database) -> None:
    """`workflow_finished` knows a total, `message_end` what it was made of."""
    both = (("message", "m-1"), ("run", "r-1"))
    run = event(30, aliases=both, is_run=True)
    message = event(20, counts={"input_tokens": 20, "output_tokens": 10})
    await take(books, run, message, run, message)
    [row] = await rows(books)
    assert (row.input_tokens, row.output_tokens, await balance(books)) == (20, 10, 70)
    other = (("message", "m-2"), ("run", "r-2"))
    await take(books, event(5, 2), event(9, 2, aliases=other, is_run=True))
    assert await balance(books) == 65
    alone = event(9, 2, aliases=(("run", "r-2"),), is_run=True, message_id="")
    assert (await one(books, alone)).verdict is Verdict.REPEAT, "by the name it learned"


async def test_a_browsers_word_claims_no_event(books: Database) -> None:
    """Anybody can forge it: it is shown, and whoever saw the event is believed as if first."""
    hint = event(1, source=Source.BROWSER)
    assert state_of(await one(books, hint)) == "noted"
    assert (await one(books, hint)).verdict is not Verdict.CHARGE
    assert (await one(books, event(2, source=Source.BROWSER))).verdict is Verdict.CONFLICT
    assert len(await rows(books)) == 1
    assert await balance(books) == 100
    charged = await one(books, event(30))
    assert (charged.verdict, await balance(books)) == (Verdict.CHARGE, 70)


@pytest.mark.parametrize(("trust", "left"), [(Trust.OFF, 100), (Trust.CHARGE, 90)])
async def test_the_operator_says_what_a_browsers_word_is_worth(
    books: Database, trust: Trust, left: int
) -> None:
    rule = Policy(1_000 * POINT, may_overdraw=False, browser_trust=trust)
    outcome = await one(books, event(10, source=Source.BROWSER), policy=rule)
    assert (outcome.refusal is not None) == (trust is Trust.OFF)
    assert await balance(books) == left


@pytest.mark.parametrize("is_one_batch", [True, False])
@pytest.mark.parametrize("funds", [0, 50])
async def test_nobody_makes_an_event_free_by_naming_it_first_in_a_browser(
    books: Database, funds: int, is_one_batch: bool
) -> None:
    """With a second account, and a browser that is trusted, a message could be claimed for a token
    before the server hears of it; an account without money would even claim it for nothing."""
    rule = Policy(1_000 * POINT, may_overdraw=False, browser_trust=Trust.CHARGE)
    async with books.writing() as tx:
        await insert_account(tx, "eve", funds * POINT)
    claim = event(1, source=Source.BROWSER, account_id="eve")
    told = event(30, aliases=(("message", "m-1"), ("run", "r-1")))
    if is_one_batch:
        claimed, charged = await take(books, claim, told, policy=rule)
    else:
        claimed, charged = await one(books, claim, rule), await one(books, told, rule)
    assert state_of(claimed) == ("charged" if funds else "unpaid")
    assert (charged.verdict, await balance(books)) == (Verdict.CHARGE, 70)
    assert (await one(books, told, rule)).verdict is Verdict.REPEAT
    assert (await one(books, claim, rule)).verdict is Verdict.CONFLICT
    corrected = event(35, source=Source.PROXY, aliases=(("run", "r-1"),))
    assert (await one(books, corrected, rule)).verdict is Verdict.ADJUST
    assert (await balance(books), await balance(books, "eve")) == (65, max(0, funds - 1))
    assert len(await rows(books)) == 2


async def test_who_can_not_be_charged_takes_no_names_over(books: Database) -> None:
    """What an event is known by stays with the charge that there is."""
    rule = Policy(1_000 * POINT, may_overdraw=False, browser_trust=Trust.CHARGE)
    claim = event(1, source=Source.BROWSER)
    await one(books, claim, rule)
    stranger = await one(books, event(30, account_id="nobody"), rule)
    unpriced = await one(books, event(30, account_id="bob", model="unknown"), rule)
    assert {stranger.refusal is None, unpriced.refusal is None} == {False}
    assert (await one(books, claim, rule)).verdict is Verdict.REPEAT
    assert await balance(books) == 99


async def test_what_is_billed_elsewhere_is_only_noted(books: Database) -> None:
    """Dify calls its models through our gateway, which charges those calls."""
    told = event(10, is_billed_elsewhere=True)
    assert state_of(await one(books, told)) == "noted"
    assert (await one(books, told)).verdict is Verdict.REPEAT
    better = event(20, source=Source.PROXY, is_billed_elsewhere=True)
    assert state_of(await one(books, better)) == "noted"
    assert await balance(books) == 100


async def test_the_same_id_at_another_instance_is_another_event(books: Database) -> None:
    await take(books, event(10), event(10, instance="other"))
    assert await balance(books) == 80


# --- several nodes, and crashes ---


async def test_nodes_that_record_one_event_at_once_charge_it_once(books: Database) -> None:
    """For one account they wait for its wallet; for two, one of them has to start again."""
    same = await asyncio.gather(*(one(books, event(10)) for _ in range(8)))
    assert len({outcome.row.id for outcome in same if outcome.row}) == 1
    assert await balance(books) == 90
    await top_up(books, "bob", 100)
    told = [event(10, 2, account_id=who) for who in ("ann", "bob") * 6]
    outcomes = await asyncio.gather(*(retried(books, one_told) for one_told in told))
    verdicts = [outcome.verdict for outcome in outcomes]
    assert verdicts.count(Verdict.CHARGE) == 1
    assert verdicts.count(Verdict.CONFLICT) == 6
    assert len(await rows(books)) == 2


async def retried(db: Database, told: Event) -> Outcome:
    """As the clerk does it."""
    while True:
        try:
            return await one(db, told)
        except Raced:
            continue


@pytest.mark.parametrize("number", range(12))
async def test_a_crash_between_any_two_statements_leaves_nothing(
    books: Database, number: int
) -> None:
    """What was not committed never was: the same batch charges afterwards as if first."""
    await one(books, event(30, 9))
    async with books.reading() as tx:
        book = Prices(await prices.read_book(tx, NOW_MS))
    told = [event(5, 1), event(20, 9, source=Source.PROXY), event(500, 3), event(5, 1), event(7, 4)]
    before = [await rows(books, table) for table in (charge, event_alias, ledger_entry, wallet)]
    has_ended = False
    try:
        async with books.writing() as tx:
            await charge_batch(Failing(tx, number), told, book, POLICY, NOW_MS)  # type: ignore[arg-type]  # stands for one
            has_ended = True
            raise Crash
    except Crash:
        pass
    assert before == [
        await rows(books, table) for table in (charge, event_alias, ledger_entry, wallet)
    ]
    assert has_ended or number < 11, "the numbers reach beyond the last statement"
    await take(books, *told)
    assert await balance(books) == 100 - 20 - 5 - 7


@pytest.mark.parametrize("seed", range(4))
async def test_the_order_in_which_sources_tell_does_not_matter(books: Database, seed: int) -> None:
    """All orders of all reports of some messages come to the same balance."""
    rng = random.Random(seed)
    tellers = ((Source.BROWSER, 3), (Source.WEBHOOK, 5), (Source.TRACING, 6), (Source.PROXY, 7))
    told = [
        event(tokens, number, source=source) for number in range(6) for source, tokens in tellers
    ] * 2
    rng.shuffle(told)
    while told:
        size = rng.randint(1, 9)
        await take(books, *told[:size])
        told = told[size:]
    assert await balance(books) == 100 - 6 * 7
    charged = [row for row in await rows(books) if row.state == State.CHARGED.value]
    assert len(charged) == 6
