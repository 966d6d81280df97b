"""Money moves whole or not at all, never twice, and the ledger says why."""

import asyncio

import msgspec
import pytest

from tallygate.core.commands import Arguments
from tallygate.core.errors import Code, Refusal
from tallygate.core.wallet_commands import (
    AdjustWallet,
    CaptureHold,
    ConfigureWallet,
    GrantPoints,
    GrantView,
    HoldView,
    PlaceHold,
    RefundCharge,
    RefundView,
    ReleaseHold,
    TopUpWallet,
    VoidGrant,
    WalletView,
)
from tallygate.store import audit, wallet_views
from tallygate.store.wallet_views import EntryView, LedgerFilter, page_of_ledger
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node
from tests.store.purse import POINT, differences, make_account, make_charge

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000


async def refused(node: Node, arguments: Arguments) -> Code:
    with pytest.raises(Refusal) as refusal:
        await node.command(arguments)
    return refusal.value.code


async def wallet_of(node: Node, account_id: str = "alice") -> WalletView:
    async with node.db.reading() as tx:
        found = await wallet_views.find_wallet(tx, account_id)
    assert found is not None
    return found


async def ledger_of(node: Node, account_id: str = "alice") -> list[EntryView]:
    wallet = await wallet_of(node, account_id)
    async with node.db.reading() as tx:
        entries, total = await wallet_views.page_of_ledger(tx, wallet.id, limit=100, after_id=None)
    assert total == len(entries)
    return entries[::-1]


async def top_up(node: Node, points: int, account_id: str = "alice") -> WalletView:
    command = TopUpWallet(account_id=account_id, micros=points * POINT, reason="paid")
    return await node.command(command, into=WalletView)


async def grant(node: Node, points: int, **more: object) -> GrantView:
    wanted = {"account_id": "alice", "micros": points * POINT, **more}
    return await node.command(msgspec.convert(wanted, GrantPoints), into=GrantView)


async def hold(node: Node, points: int, lasts_ms: int = DAY_MS) -> HoldView:
    wanted = PlaceHold(account_id="alice", micros=points * POINT, owner="n8n", lasts_ms=lasts_ms)
    return await node.command(wanted, into=HoldView)


async def test_a_top_up_is_an_entry_and_an_audit_row(any_node: Node) -> None:
    """Who gave what, when and why is on the books in the same transaction as the money."""
    await make_account(any_node.db)
    wallet = await top_up(any_node, 12)
    assert (wallet.balance_micros, wallet.free_micros) == (12 * POINT, 12 * POINT)
    (entry,) = await ledger_of(any_node)
    assert (entry.kind, entry.amount_micros, entry.reason) == ("top_up", 12 * POINT, "paid")
    assert entry.actor == "test"
    async with any_node.db.reading() as tx:
        (row,) = await audit.page(tx, limit=9, wanted=audit.Filter(subject="wallet:alice"))
    assert (row.action, row.before["balance_micros"]) == ("wallet.top_up", 0)
    assert (row.after["balance_micros"], row.after["reason"]) == (12 * POINT, "paid")
    assert await differences(any_node.db) == []


async def test_the_same_order_sent_again_pays_once(any_node: Node) -> None:
    """A payment provider that repeats its webhook must not double a balance."""
    await make_account(any_node.db)
    wanted = TopUpWallet(account_id="alice", micros=POINT)
    answers = await asyncio.gather(*(any_node.command(wanted, "order-1") for _ in range(5)))
    assert all(answer == answers[0] for answer in answers)
    assert len(await ledger_of(any_node)) == 1
    other = TopUpWallet(account_id="alice", micros=2 * POINT)
    with pytest.raises(Refusal) as refusal:
        await any_node.command(other, "order-1")
    assert refusal.value.code is Code.IDEMPOTENCY_CONFLICT
    assert (await wallet_of(any_node)).balance_micros == POINT


async def test_ten_callers_race_for_money_that_covers_three(any_node: Node) -> None:
    """Exactly three win, whatever the store does at once."""
    await make_account(any_node.db, micros=3 * POINT)
    tries = await asyncio.gather(*(hold(any_node, 1) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(one, HoldView) for one in tries) == 3
    refusals = {one.code for one in tries if isinstance(one, Refusal)}
    assert refusals == {Code.INSUFFICIENT_BALANCE}
    assert (await wallet_of(any_node)).free_micros == 0
    assert await differences(any_node.db) == []


async def test_callers_of_two_nodes_race_for_the_same_money(
    make_node: MakeNode, postgresql_url: str
) -> None:
    """The rows decide, not the one process that happens to ask."""
    one, two = [await make_node(name, url=postgresql_url) for name in ("one", "two")]
    await make_account(one.db, micros=3 * POINT)
    tries = await asyncio.gather(
        *(hold(node, 1) for node in (one, two) * 5), return_exceptions=True
    )
    assert sum(isinstance(one, HoldView) for one in tries) == 3
    assert await differences(one.db) == []


async def test_an_adjustment_stops_at_the_floor_unless_it_is_forced(any_node: Node) -> None:
    """A slip of the keyboard must not put somebody into debt; an operator who means it can."""
    node = any_node
    await make_account(node.db, micros=10 * POINT)
    await hold(node, 4)
    taken = AdjustWallet(account_id="alice", micros=-7 * POINT, reason="wrong invoice")
    assert await refused(node, taken) is Code.INSUFFICIENT_BALANCE
    await node.command(ConfigureWallet(account_id="alice", floor_micros=-POINT))
    wallet = await node.command(taken, into=WalletView)
    assert wallet.balance_micros == 3 * POINT
    assert await refused(node, taken) is Code.INSUFFICIENT_BALANCE
    forced = msgspec.structs.replace(taken, is_forced=True)
    assert (await node.command(forced, into=WalletView)).balance_micros == -4 * POINT
    assert [one.kind for one in await ledger_of(node)][-2:] == ["adjust", "overage"]
    assert await differences(node.db) == []
    up = AdjustWallet(account_id="alice", micros=5 * POINT)
    assert (await node.command(up, into=WalletView)).balance_micros == POINT


@pytest.mark.parametrize(
    "wanted",
    [
        TopUpWallet(account_id="alice", micros=0),
        TopUpWallet(account_id="alice", micros=-1),
        TopUpWallet(account_id="alice", micros=2**53),
        TopUpWallet(account_id="alice", micros=1, reason="x" * 501),
        AdjustWallet(account_id="alice", micros=0),
        AdjustWallet(account_id="alice", micros=-(2**53), is_forced=True),
        GrantPoints(account_id="alice", micros=0),
        GrantPoints(account_id="alice", micros=1, category="gift"),
        GrantPoints(account_id="alice", micros=1, priority=1001),
        GrantPoints(account_id="alice", micros=1, expires_ms=1000),
        PlaceHold(account_id="alice", micros=0, owner="n8n", lasts_ms=1),
        PlaceHold(account_id="alice", micros=1, owner="", lasts_ms=1),
        PlaceHold(account_id="alice", micros=1, owner="n8n", lasts_ms=0),
        ConfigureWallet(account_id="alice", floor_micros=1),
        ConfigureWallet(account_id="alice", warn_micros=-1),
    ],
    ids=repr,
)
async def test_a_senseless_amount_is_refused_and_moves_nothing(
    node: Node, wanted: Arguments
) -> None:
    """Zero, the wrong sign, more than JSON can hold, a time that is over."""
    await make_account(node.db, micros=POINT)
    before = await wallet_of(node)
    assert await refused(node, wanted) is Code.BAD_REQUEST
    assert await wallet_of(node) == before and len(await ledger_of(node)) == 1


async def test_a_balance_stays_within_what_json_keeps_exactly(node: Node) -> None:
    await make_account(node.db, micros=2**53 - 1)
    assert await refused(node, TopUpWallet(account_id="alice", micros=1)) is Code.IMPOSSIBLE


@pytest.mark.parametrize(
    "wanted",
    [
        TopUpWallet(account_id="bob", micros=1),
        PlaceHold(account_id="bob", micros=1, owner="n8n", lasts_ms=1),
        CaptureHold(hold_id=7),
        ReleaseHold(hold_id=7),
        VoidGrant(grant_id=7),
        RefundCharge(charge_id=7),
        ConfigureWallet(account_id="bob", floor_micros=0),
    ],
    ids=repr,
)
async def test_what_is_not_there_is_not_found(node: Node, wanted: Arguments) -> None:
    assert await refused(node, wanted) is Code.NOT_FOUND


async def test_a_void_grant_takes_back_what_is_left_of_it(any_node: Node) -> None:
    """And of what is held of it, as soon as it is let go."""
    node = any_node
    await make_account(node.db, micros=POINT)
    given = await grant(node, 10, reason="welcome", priority=3)
    assert (given.left_micros, given.priority, given.category) == (10 * POINT, 3, "promotional")
    held = await hold(node, 4)
    void = await node.command(VoidGrant(grant_id=given.id, reason="abuse"), into=GrantView)
    assert (void.left_micros, void.voided_ms is not None) == (3 * POINT, True)
    assert (await wallet_of(node)).balance_micros == 4 * POINT
    entry = (await ledger_of(node))[-1]
    assert (entry.kind, entry.reason, entry.actor) == ("expiry", "abuse", "test")
    assert await refused(node, VoidGrant(grant_id=given.id)) is Code.CONFLICT
    await node.command(ReleaseHold(hold_id=held.id))
    await top_up(node, 1)  # whoever locks the wallet next takes back the rest
    assert (await wallet_of(node)).balance_micros == 2 * POINT
    assert await differences(node.db) == []


async def test_a_captured_hold_becomes_a_charge_and_the_rest_is_free(any_node: Node) -> None:
    node = any_node
    await make_account(node.db, micros=10 * POINT)
    held = await hold(node, 6)
    done = await node.command(CaptureHold(hold_id=held.id, micros=4 * POINT), into=HoldView)
    assert (done.state, done.charge_id is not None) == ("captured", True)
    wallet = await wallet_of(node)
    assert (wallet.balance_micros, wallet.held_micros) == (6 * POINT, 0)
    kinds = [(one.kind, one.amount_micros, one.held_micros) for one in await ledger_of(node)]
    assert kinds[1:] == [
        ("hold", 0, 6 * POINT),
        ("release", 0, -6 * POINT),
        ("charge", -4 * POINT, 0),
    ]
    for again in (CaptureHold(hold_id=held.id), ReleaseHold(hold_id=held.id)):
        assert await refused(node, again) is Code.CONFLICT
    assert await differences(node.db) == []


async def test_a_hold_is_ended_by_its_owner_only_and_never_for_more(node: Node) -> None:
    """An automation that mixes up ids must not take the money of another one."""
    await make_account(node.db, micros=10 * POINT)
    held = await hold(node, 6)
    for wanted in (
        CaptureHold(hold_id=held.id, owner="zapier"),
        ReleaseHold(hold_id=held.id, owner="zapier"),
    ):
        assert await refused(node, wanted) is Code.FORBIDDEN
    more = CaptureHold(hold_id=held.id, owner="n8n", micros=6 * POINT + 1)
    assert await refused(node, more) is Code.IMPOSSIBLE
    assert await refused(node, CaptureHold(hold_id=held.id, micros=-1)) is Code.BAD_REQUEST
    await node.command(CaptureHold(hold_id=held.id, owner="n8n"))
    assert (await wallet_of(node)).balance_micros == 4 * POINT


async def test_captures_and_releases_that_race_end_a_hold_once(any_node: Node) -> None:
    node = any_node
    await make_account(node.db, micros=10 * POINT)
    held = await hold(node, 6)
    tries = [CaptureHold(hold_id=held.id), ReleaseHold(hold_id=held.id)] * 3
    ended = await asyncio.gather(*(node.command(one) for one in tries), return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in ended) == 1
    assert (await wallet_of(node)).held_micros == 0
    assert await differences(node.db) == []


async def test_refunds_never_exceed_what_was_charged(any_node: Node) -> None:
    """In parts, in a race, or all at once."""
    node = any_node
    await make_account(node.db, micros=1000 * POINT)
    await make_charge(node.db, 5)
    part = RefundCharge(charge_id=5, micros=250 * POINT, reason="bad answer")
    tries = await asyncio.gather(*(node.command(part) for _ in range(5)), return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in tries) == 2
    assert {one.code for one in tries if isinstance(one, Refusal)} == {Code.IMPOSSIBLE}
    rest = await node.command(RefundCharge(charge_id=5), into=RefundView)
    assert (rest.now_refunded_micros, rest.refunded_micros) == (100 * POINT, 600 * POINT)
    assert (rest.state, rest.balance_micros) == ("refunded", 1000 * POINT)
    assert await refused(node, RefundCharge(charge_id=5)) is Code.IMPOSSIBLE
    assert await differences(node.db) == []


@pytest.mark.parametrize("state", ["unpaid", "review", "noted", "rejected"])
async def test_a_charge_that_took_nothing_gives_nothing_back(node: Node, state: str) -> None:
    await make_account(node.db)
    await make_charge(node.db, 5, state=state)
    assert await refused(node, RefundCharge(charge_id=5)) is Code.CONFLICT
    assert (await wallet_of(node)).balance_micros == 0
    assert await differences(node.db) == []


async def test_a_refund_of_nothing_is_refused(node: Node) -> None:
    await make_account(node.db, micros=1000 * POINT)
    await make_charge(node.db, 5)
    for micros in (0, -1):
        wanted = RefundCharge(charge_id=5, micros=micros)
        assert await refused(node, wanted) is Code.BAD_REQUEST


async def test_gateways_hear_of_more_money(node: Node) -> None:
    """One that was refused for want of money asks again, instead of refusing until it restarts."""
    await make_account(node.db)
    worker = await node.worker(0)
    wallet = await top_up(node, 1)
    await worker.hear_change("limit", -wallet.id)


async def test_the_ledger_is_narrowed_alike_in_both_stores(any_node: Node) -> None:
    await make_account(any_node.db)
    for micros in (1, 2, 3):
        await any_node.command(TopUpWallet(account_id="alice", micros=micros))
    wallet = await wallet_of(any_node)
    upwards = LedgerFilter(kind="top_up", from_ms=0, before_ms=1 << 52, is_oldest_first=True)
    async with any_node.db.reading() as tx:
        first, total = await page_of_ledger(tx, wallet.id, limit=2, after_id=None, wanted=upwards)
        rest, _ = await page_of_ledger(
            tx, wallet.id, limit=2, after_id=first[-1].id, wanted=upwards
        )
        none, of_none = await page_of_ledger(
            tx, wallet.id, limit=2, after_id=None, wanted=LedgerFilter(kind="refund")
        )
    assert [one.amount_micros for one in (*first, *rest)] == [1, 2, 3] and total == 3
    assert (none, of_none) == ([], 0)
