"""A code is worth its money once, and whoever guesses learns nothing."""

import asyncio

import pytest
import sqlalchemy as sa

from tallygate.core.errors import Code, Refusal
from tallygate.core.redeem import ENTROPY_BYTES, hash_code, make_code, mask_code
from tallygate.core.wallet_commands import (
    BatchView,
    CreateBatch,
    RedeemCode,
    RedeemedView,
    VoidBatch,
)
from tallygate.store import audit, redeem
from tallygate.store.money_schema import redeem_batch, redeem_code
from tests.clerk.samples import Node
from tests.clerk.test_wallet_commands import ledger_of, refused, wallet_of
from tests.store.purse import POINT, differences, make_account

pytestmark = pytest.mark.anyio


async def make_batch(node: Node, count: int = 1, **more: object) -> BatchView:
    wanted = CreateBatch(count=count, micros=5 * POINT, **more)  # type: ignore[arg-type]  # of the test's choice
    return await node.command(wanted, into=BatchView)


def only_code(batch: BatchView) -> str:
    assert batch.codes is not None
    (code,) = batch.codes
    return code


async def test_a_code_becomes_money_once_whoever_races(any_node: Node) -> None:
    """Ten people with one code: one of them has the money."""
    node = any_node
    for name in "abcde":
        await make_account(node.db, name)
    code = only_code(await make_batch(node, label="spring"))
    tries = await asyncio.gather(
        *(node.command(RedeemCode(account_id=name, code=code)) for name in "abcde" * 2),
        return_exceptions=True,
    )
    won = [one for one in tries if not isinstance(one, Exception)]
    assert len(won) == 1 and won[0]["balance_micros"] == 5 * POINT
    assert {one.code for one in tries if isinstance(one, Refusal)} == {Code.IMPOSSIBLE}
    assert sum([(await wallet_of(node, name)).balance_micros for name in "abcde"]) == 5 * POINT
    assert await differences(node.db) == []


async def test_codes_are_kept_by_their_hash_alone(node: Node) -> None:
    """Neither a copy of the store nor the audit log is a bag of money."""
    batch = await make_batch(node, 3)
    assert batch.codes is not None and len(set(batch.codes)) == 3
    async with node.db.reading() as tx:
        rows = (await tx.execute(sa.select(redeem_code))).all()
        said = await audit.page(tx, limit=9)
        shown = await redeem.list_codes(tx, batch.id)
    assert {bytes(row.hash) for row in rows} == {hash_code(code) for code in batch.codes}
    assert sorted(one.masked for one in shown) == sorted(map(mask_code, batch.codes))
    for code in batch.codes:
        assert code not in repr(rows) and code not in repr(said) and code[4:] not in repr(rows)


async def test_every_bad_code_is_refused_with_the_same_words(node: Node) -> None:
    """Used, void, expired, unknown, absurd: a guesser can not tell a hit from a miss."""
    await make_account(node.db)
    used, void, late = [await make_batch(node) for _ in range(3)]
    await node.command(RedeemCode(account_id="alice", code=only_code(used)))
    await node.command(VoidBatch(batch_id=void.id))
    async with node.db.writing() as tx:
        ended = sa.update(redeem_batch).where(redeem_batch.c.id == late.id)
        await tx.execute(ended.values(expires_ms=1000))
    unknown = make_code(bytes(ENTROPY_BYTES))
    bad = [only_code(used), only_code(void), only_code(late), unknown, "", "tgr_", "x" * 9999]
    said = set()
    for code in bad:
        with pytest.raises(Refusal) as refusal:
            await node.command(RedeemCode(account_id="alice", code=code))
        said.add((refusal.value.code, refusal.value.message))
    assert len(said) == 1
    assert (await wallet_of(node)).balance_micros == 5 * POINT


async def test_a_code_is_not_used_up_for_somebody_who_is_not_there(node: Node) -> None:
    code = only_code(await make_batch(node))
    assert await refused(node, RedeemCode(account_id="bob", code=code)) is Code.NOT_FOUND
    await make_account(node.db, "bob")
    await node.command(RedeemCode(account_id="bob", code=code))


async def test_a_code_may_give_money_with_an_end(any_node: Node) -> None:
    node = any_node
    await make_account(node.db)
    code = only_code(await make_batch(node, grant_days=30))
    done = await node.command(RedeemCode(account_id="alice", code=code), into=RedeemedView)
    assert done.balance_micros == 5 * POINT
    assert (await wallet_of(node)).granted_micros == 5 * POINT
    (entry,) = await ledger_of(node)
    assert entry.kind == "grant" and entry.reason.startswith("redeemed tgr_…")
    assert await differences(node.db) == []


async def test_a_batch_is_void_once(node: Node) -> None:
    batch = await make_batch(node)
    done = await node.command(VoidBatch(batch_id=batch.id), into=BatchView)
    assert done.voided_ms is not None and done.codes is None
    assert await refused(node, VoidBatch(batch_id=batch.id)) is Code.CONFLICT
    assert await refused(node, VoidBatch(batch_id=99)) is Code.NOT_FOUND


@pytest.mark.parametrize(
    "wanted",
    [
        CreateBatch(count=0, micros=1),
        CreateBatch(count=10_001, micros=1),
        CreateBatch(count=1, micros=0),
        CreateBatch(count=1, micros=1, grant_days=0),
        CreateBatch(count=1, micros=1, expires_ms=1),
    ],
    ids=repr,
)
async def test_a_senseless_batch_is_refused(node: Node, wanted: CreateBatch) -> None:
    assert await refused(node, wanted) is Code.BAD_REQUEST
