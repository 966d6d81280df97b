"""What has an end ends, also when nobody looks, once, and whoever else looks at the same time."""

import asyncio

import pytest
import sqlalchemy as sa

from tallygate.clerk import expiries
from tallygate.core.wallet_commands import ConfigureWallet, ReleaseHold
from tallygate.store import notices
from tallygate.store.money_schema import credit_grant, hold
from tests.clerk.conftest import MakeNode
from tests.clerk.samples import Node
from tests.clerk.test_wallet_commands import grant, ledger_of, refused, wallet_of
from tests.clerk.test_wallet_commands import hold as place
from tests.store.purse import POINT, differences, make_account

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000


async def pass_time(node: Node) -> None:
    """Everything that has an end has reached it."""
    async with node.db.writing() as tx:
        await tx.execute(sa.update(hold).values(expires_ms=1))
        await tx.execute(sa.update(credit_grant).values(expires_ms=1))


async def test_holds_and_grants_end_by_themselves_and_once(any_node: Node) -> None:
    """Money that a crashed automation set aside is not lost, and a bonus ends when it was said."""
    node = any_node
    await make_account(node.db, micros=10 * POINT)
    await grant(node, 5)
    await place(node, 12)
    await pass_time(node)
    await asyncio.gather(*(node.clerk.expiries.sweep() for _ in range(3)))
    wallet = await wallet_of(node)
    assert (wallet.balance_micros, wallet.held_micros, wallet.granted_micros) == (10 * POINT, 0, 0)
    kinds = [one.kind for one in await ledger_of(node)]
    assert kinds == ["top_up", "grant", "hold", "release", "expiry"]
    assert await differences(node.db) == []


async def test_whoever_touches_a_wallet_first_ends_what_is_over(any_node: Node) -> None:
    """A new hold may use what an expired one blocked, without waiting for the next round."""
    node = any_node
    await make_account(node.db, micros=10 * POINT)
    first = await place(node, 10)
    await pass_time(node)
    assert await refused(node, ReleaseHold(hold_id=first.id)) == "conflict"
    await place(node, 10)
    assert (await wallet_of(node)).held_micros == 10 * POINT
    assert await differences(node.db) == []


async def test_a_round_reaches_every_wallet_and_ends(
    any_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also past those whose ended grants are held, which stay as they are."""
    node = any_node
    monkeypatch.setattr(expiries, "WALLETS_MAX", 2)
    names = ["alice", *(f"user-{number}" for number in range(4))]
    for name in names:
        await make_account(node.db, name)
        await grant(node, 5, account_id=name)
    await place(node, 5, lasts_ms=HOUR_MS)
    async with node.db.writing() as tx:
        await tx.execute(sa.update(credit_grant).values(expires_ms=1))
    await node.clerk.expiries.sweep()
    balances = [(await wallet_of(node, name)).balance_micros for name in names]
    assert balances == [5 * POINT, 0, 0, 0, 0]


async def test_two_nodes_end_the_same_things_once(make_node: MakeNode, postgresql_url: str) -> None:
    nodes = [await make_node(name, url=postgresql_url) for name in ("one", "two")]
    for number in range(20):
        await make_account(nodes[0].db, f"user-{number}")
        await grant(nodes[0], 5, account_id=f"user-{number}")
    await pass_time(nodes[0])
    await asyncio.gather(*(node.clerk.expiries.sweep() for node in nodes * 2))
    assert await differences(nodes[0].db) == []
    for number in range(20):
        entries = await ledger_of(nodes[0], f"user-{number}")
        assert [one.kind for one in entries] == ["grant", "expiry"]


async def test_an_end_that_empties_a_wallet_warns_and_frees_gateways(node: Node) -> None:
    await make_account(node.db, micros=POINT)
    await grant(node, 5)
    await node.command(ConfigureWallet(account_id="alice", warn_micros=2 * POINT))
    await place(node, 1)
    worker = await node.worker(0)
    heard = len(worker.changes)
    await pass_time(node)
    await node.clerk.expiries.sweep()
    async with node.db.reading() as tx:
        (low,), _ = await notices.page(tx, limit=9)
    assert (low.kind, low.account_id) == ("wallet.low", "alice")
    node.clerk.feed.poke()
    await worker.hear_change("limit", -(await wallet_of(node)).id)
    assert len(worker.changes) > heard
