"""An operator's change that needs what gateways have leased: they are asked for it first."""

import asyncio

import pytest
import sqlalchemy as sa

from tallygate.core.billing_commands import ReplayLetter, SettleAccount, SettleCharge
from tallygate.core.commands import Arguments
from tallygate.core.errors import Code, Refusal
from tallygate.core.wallet_commands import (
    AdjustWallet,
    GrantPoints,
    PlaceHold,
    TopUpWallet,
    VoidGrant,
)
from tallygate.gateway.lease import wallet_limit
from tallygate.store.money_schema import charge, wallet
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node, Worker
from tests.clerk.test_deliveries import balance, message, prepare, rows, set_price
from tests.clerk.test_wallet_commands import ledger_of, wallet_of
from tests.store.purse import POINT, make_account

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000


async def a_holder(node: Node, points: int, *, grant: bool = False) -> tuple[Worker, int]:
    """A gateway that has leased most of alice's money; the wallet's id."""
    await make_account(node.db)
    give = GrantPoints if grant else TopUpWallet
    await node.command(give(account_id="alice", micros=points * POINT))
    return await lease(node, points)


async def lease(node: Node, points: int) -> tuple[Worker, int]:
    async with node.db.reading() as tx:
        wallet_id = int(await tx.scalar(sa.select(wallet.c.id)))
    holder = await node.worker(0)
    await holder.sync((-wallet_id, 0), points * POINT * 9 // 10)
    assert (await wallet_of(node)).leased_micros == points * POINT * 9 // 10
    assert wallet_limit(wallet_id).id == -wallet_id
    return holder, wallet_id


def hold(points: int) -> PlaceHold:
    return PlaceHold(account_id="alice", micros=points * POINT, owner="n8n", lasts_ms=DAY_MS)


@pytest.mark.parametrize(
    ("command", "free"),
    [
        (hold(60), 40),
        (AdjustWallet(account_id="alice", micros=-60 * POINT), 40),
        (AdjustWallet(account_id="alice", micros=-60 * POINT, is_forced=True), 40),
    ],
)
async def test_money_that_no_request_holds_comes_back_for_a_change(
    any_node: Node, command: Arguments, free: int
) -> None:
    """The gateway had leased nine tenths and needs nothing of it."""
    holder, _ = await a_holder(any_node, 100)
    await any_node.command(command, "once")
    found = await wallet_of(any_node)
    assert (found.free_micros, found.leased_micros) == (free * POINT, 0)
    assert holder.recalls >= 1
    await any_node.command(command, "once")  # it was done once, however often it was tried
    assert (await wallet_of(any_node)).free_micros == free * POINT


async def test_a_void_grant_is_taken_back_whole(any_node: Node) -> None:
    """Otherwise what gateways lease of it would go on being spent."""
    await a_holder(any_node, 100, grant=True)
    await any_node.command(VoidGrant(grant_id=1))
    found = await wallet_of(any_node)
    assert (found.balance_micros, found.leased_micros) == (0, 0)
    assert [entry.kind for entry in await ledger_of(any_node)] == ["grant", "expiry"]


async def test_money_of_other_nodes_comes_back_too(
    make_node: MakeNode, postgresql_url: str
) -> None:
    one = await make_node("one", postgresql_url)
    two = await make_node("two", postgresql_url)
    await a_holder(one, 100)
    await asyncio.gather(one.clerk.barrier.beat(), two.clerk.barrier.beat())
    await two.command(hold(60))
    assert (await wallet_of(one)).held_micros == 60 * POINT


async def test_what_running_requests_hold_is_waited_for_and_then_refused(node: Node) -> None:
    """And the refusal says that gateways have it."""
    holder, wallet_id = await a_holder(node, 100)
    held = holder.holdings[-wallet_id, 0]
    held.reserve(90 * POINT)
    with pytest.raises(Refusal, match="90 are held or leased to gateways") as refusal:
        await node.command(hold(60))
    assert refusal.value.code is Code.INSUFFICIENT_BALANCE
    assert holder.recalls >= 1
    assert (await wallet_of(node)).held_micros == 0
    held.settle(90 * POINT, 0)
    await node.command(hold(60))


async def test_gateways_are_not_asked_for_what_would_not_be_enough(node: Node) -> None:
    """It would cost them their leases, and change nothing."""
    holder, _ = await a_holder(node, 100)
    for command in (hold(101), AdjustWallet(account_id="alice", micros=-101 * POINT)):
        with pytest.raises(Refusal):
            await node.command(command)
    await node.command(hold(10))
    assert holder.recalls == 0


async def test_what_waits_for_money_is_paid_with_what_comes_back(any_node: Node) -> None:
    """One unpaid charge, all of an account, and a dead letter that is sent in again."""
    sender = await prepare(any_node)
    for number in (1, 2):
        assert (await sender.one(message(150, number)))[0] == 402
    await sender.one(message(100, 3, model_name="dear"))
    await set_price(any_node, "dear")
    commands = (
        SettleCharge(charge_id=1),
        SettleAccount(account_id="ann"),
        ReplayLetter(letter_id=1),
    )
    for slot, command in enumerate(commands, 1):
        await any_node.command(TopUpWallet(account_id="ann", micros=150 * POINT))
        holder = await any_node.worker(slot)
        wallet_id = (await wallet_of(any_node, "ann")).id
        await holder.sync((-wallet_id, 0), 90 * POINT)
        assert (await wallet_of(any_node, "ann")).leased_micros >= 90 * POINT
        await any_node.command(command)
    found = await rows(any_node, charge)
    assert [(row.state, row.micros) for row in found] == [
        ("charged", 150 * POINT),
        ("charged", 150 * POINT),
        ("charged", 100 * POINT),
    ]
    assert await balance(any_node) == 150
