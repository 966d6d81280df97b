"""Wallets leased by gateways: no money is promised twice, none is lost, each use is one charge."""

import asyncio
import json
import random

import pytest
import sqlalchemy as sa

from tallygate.core.entry import Charge, Use
from tallygate.core.wallet import EntryKind, Lot
from tallygate.store import holds, keys, leases, nodes, settle, wallets
from tallygate.store.database import Database
from tallygate.store.money_schema import charge, ledger_entry
from tallygate.store.people_schema import account
from tallygate.store.schema import usage
from tests.store.books import (
    NOW_MS,
    WINDOW_S,
    ask,
    entry,
    make_boot,
    make_key,
)
from tests.store.money import PRICE_ID, RATE_ID, Payer, make_wallet, standing
from tests.store.purse import differences

pytestmark = pytest.mark.anyio


async def lease_of(
    db: Database, boot_id: int, wallet_id: int, need: int, **known: int
) -> leases.LeaseState:
    return await ask(db, boot_id, -wallet_id, need, **known)


async def test_racing_leases_never_exceed_what_is_free(store_url: str, store: Database) -> None:
    """Ten workers of two nodes race for money that covers three: exactly three win."""
    other = Database(store_url)
    await other.open()
    wallet_id = await make_wallet(store, 100)
    boots = [await make_boot(store, slot=slot, node=f"n{slot % 2}") for slot in range(10)]
    states = await asyncio.gather(
        *(
            lease_of(db, boot, wallet_id, 30)
            for db, boot in zip([store, other] * 5, boots, strict=True)
        )
    )
    await other.close()
    assert sorted(state.granted for state in states) == [0] * 7 + [30] * 3
    assert sum(state.shortage for state in states) == 7 * 30
    found = await standing(store, wallet_id)
    assert (found.leased, found.free) == (90, 10)
    assert found.is_consistent


async def test_a_small_wallet_goes_need_by_need_and_a_large_one_in_chunks(store: Database) -> None:
    """A chunk of a small wallet would be missing elsewhere; fifty needs are enough for chunks."""
    boot = await make_boot(store)
    small = await make_wallet(store, 10 * 50 - 1, "small")
    large = await make_wallet(store, 10 * 50, "large")
    assert (await lease_of(store, boot, small, 10)).granted == 10
    assert (await lease_of(store, boot, large, 10)).granted == 10 * 50 // 4


async def test_what_serves_nobody_is_not_granted(store: Database) -> None:
    """Money with a worker that refuses would be out of reach of one that need not."""
    wallet_id = await make_wallet(store, 25)
    boot = await make_boot(store)
    async with store.writing() as tx:
        asked = leases.Ask(-wallet_id, WINDOW_S, 0, 60, 0, 0, least=30)
        state = await leases.sync(tx, boot, asked, NOW_MS)
        assert (state.granted, state.shortage) == (0, 60)
        asked = leases.Ask(-wallet_id, WINDOW_S, 0, 60, 0, 0, least=20)
        state = await leases.sync(tx, boot, asked, NOW_MS)
    assert (state.granted, state.shortage) == (25, 0)


async def test_a_shortage_of_money_is_never_final(store: Database) -> None:
    """A wallet may be topped up any moment: the next request must ask again."""
    wallet_id = await make_wallet(store, 5)
    state = await lease_of(store, await make_boot(store), wallet_id, 10)
    assert (state.shortage, state.leased_elsewhere, state.is_final) == (10, 0, False)


async def test_a_lost_answer_is_given_again_and_grants_nothing_more(store: Database) -> None:
    """Money granted in an answer that never arrived would be out of reach until the worker ends."""
    wallet_id = await make_wallet(store, 100)
    boot = await make_boot(store)
    first = await lease_of(store, boot, wallet_id, 30)
    assert await lease_of(store, boot, wallet_id, 40) == first
    assert (await standing(store, wallet_id)).leased == 30


async def test_held_and_ended_money_is_not_leased(store: Database) -> None:
    """A hold is set aside, a grant that has ended is gone, though no sweep has come by yet."""
    wallet_id = await make_wallet(store, 100)
    async with store.writing() as tx:
        before_ms = NOW_MS - 10
        found = (await wallets.lock_ids(tx, [wallet_id], before_ms))[wallet_id]
        grant_id = await holds.insert_grant(
            tx, found, 50, category="paid", priority=1, expires_ms=NOW_MS, now_ms=before_ms
        )
        found.grant(Lot(grant_id, 1, NOW_MS, 50), before_ms)
        await holds.place(tx, found, 30, by="test", expires_ms=NOW_MS + 1, now_ms=before_ms)
        await wallets.write(tx, [found])
    boot = await make_boot(store)
    assert (await lease_of(store, boot, wallet_id, 71)).granted == 0
    assert (await lease_of(store, boot, wallet_id, 70)).granted == 70
    found_now = await standing(store, wallet_id)
    assert (found_now.balance, found_now.free) == (100, 0)
    assert found_now.is_consistent


async def test_a_wallet_that_is_not_there_grants_nothing(store: Database) -> None:
    """A store restored from an older backup does not know a newer wallet: say so, do not fail."""
    state = await lease_of(store, await make_boot(store), 4711, 1)
    assert (state.lease_id, state.shortage, state.is_limit_missing) == (0, 1, True)


async def test_the_worker_can_tell_the_balance_from_the_answer(store: Database) -> None:
    """What it holds minus `used` is the balance, whatever others hold of the wallet."""
    wallet_id = await make_wallet(store, 1_000)
    first, second = await make_boot(store), await make_boot(store, slot=1)
    for boot, need in ((first, 30), (second, 50)):
        state = await lease_of(store, boot, wallet_id, need)
        assert state.granted - state.used == 1_000
    assert (await standing(store, wallet_id)).balance == 1_000  # what is leased is a part of it


async def test_a_settled_use_is_a_charge_with_its_entry_and_moves_the_lease(
    store: Database,
) -> None:
    """One transaction: money that is charged but still leased would be missing twice."""
    wallet_id = await make_wallet(store, 1_000)
    key_id, _ = await make_key(store, None)
    boot = await make_boot(store)
    state = await lease_of(store, boot, wallet_id, 100)
    made = entry(Use(state.lease_id, -wallet_id, WINDOW_S, 1, 100, 42), key_id=key_id)
    made.charge = Charge(wallet_id, PRICE_ID, RATE_ID, 42, 17)
    made.counts["cache_read_tokens"] = 2
    async with store.writing() as tx:
        await settle.settle(tx, boot, (0, 0), (1, 64), [made], NOW_MS + 5)
    found = await standing(store, wallet_id)
    assert (found.balance, found.leased) == (958, 58)
    assert found.is_consistent
    async with store.reading() as tx:
        row = (await tx.execute(sa.select(charge))).one()
        spent = (await tx.execute(sa.select(usage.c.charge_micros))).scalar_one()
        booked = (
            await tx.execute(sa.select(ledger_entry).where(ledger_entry.c.charge_id > 0))
        ).one()
    assert (row.account_id, row.wallet_id, row.state, row.source) == (
        *("ada", wallet_id, "charged", "gateway"),
    )
    assert (row.price_id, row.rate_id, row.micros, row.output_micros) == (PRICE_ID, RATE_ID, 42, 17)
    assert (row.model, row.request_id, row.key_id) == ("m", "r0", key_id)
    assert (row.input_tokens, row.output_tokens, row.cache_read_tokens) == (3, 4, 2)
    assert (row.balance_micros, row.event_ms, row.at_ms) == (958, NOW_MS, NOW_MS + 5)
    assert spent == 42
    assert (booked.kind, booked.amount_micros, booked.charge_id) == ("charge", -42, row.id)


async def test_what_the_balance_does_not_cover_is_an_overage_entry(store: Database) -> None:
    """A request may cost more than it reserved: the balance falls below zero, and says why."""
    wallet_id = await make_wallet(store, 100)
    payer = Payer(store, -wallet_id, 1, await make_boot(store))
    assert await payer.sync(100) == 0
    assert payer.admit(100)
    payer.finish(spent=130)
    await payer.settle()
    found = await standing(store, wallet_id)
    assert (found.balance, found.leased, found.charges) == (-30, 0, 130)
    async with store.reading() as tx:
        query = sa.select(ledger_entry.c.kind, ledger_entry.c.amount_micros)
        rows = (await tx.execute(query.order_by(ledger_entry.c.id))).all()
    assert [tuple(row) for row in rows] == [("top_up", 100), ("charge", -100), ("overage", -30)]
    assert (
        await payer.sync(1 - payer.holding.available) == 31
    )  # the debt is paid before anything is admitted


async def test_a_debt_is_paid_by_a_top_up_before_anything_is_admitted(store: Database) -> None:
    """And the worker that ran into debt goes on by the same lease."""
    wallet_id = await make_wallet(store, 100)
    payer = Payer(store, -wallet_id, 1, await make_boot(store))
    await payer.sync(100)
    payer.admit(100)
    payer.finish(spent=130)
    await payer.settle()
    async with store.writing() as tx:
        found = (await wallets.lock_ids(tx, [wallet_id], NOW_MS))[wallet_id]
        found.credit(EntryKind.TOP_UP, 80, NOW_MS)
        await wallets.write(tx, [found])
    assert await payer.sync(20 - payer.holding.available) == 0
    assert payer.holding.available == 20
    now = await standing(store, wallet_id)
    assert (now.balance, now.leased, now.free) == (50, 20, 30)


async def test_a_request_that_was_given_back_costs_nothing(store: Database) -> None:
    wallet_id = await make_wallet(store, 100)
    payer = Payer(store, -wallet_id, 1, await make_boot(store))
    await payer.sync(40)
    payer.admit(40)
    payer.finish(is_given_back=True)
    await payer.settle()
    found = await standing(store, wallet_id)
    assert (found.balance, found.leased, found.charges) == (100, 40, 0)


async def test_a_wallet_that_the_store_does_not_know_stops_no_settling(store: Database) -> None:
    """A restored store may not know the wallet: the usage row says the cost, nothing else fails."""
    boot = await make_boot(store)
    made = entry(Use(9, -4711, WINDOW_S, 1, 5, 5))
    made.charge = Charge(4711, PRICE_ID, RATE_ID, 5, 0)
    async with store.writing() as tx:
        await settle.settle(tx, boot, (0, 0), (1, 64), [made], NOW_MS)
    async with store.reading() as tx:
        assert await tx.scalar(sa.select(sa.func.count()).select_from(charge)) == 0
        assert (await tx.execute(sa.select(usage.c.charge_micros))).scalar_one() == 5


async def test_ids_of_charges_are_never_given_twice(store: Database) -> None:
    """Two nodes allocate at once; entries and aliases name a charge before its row is there."""

    async def some() -> list[int]:
        wallet_id = await make_wallet(store, 10**6, f"u{random.random()}")
        payer = Payer(store, -wallet_id, 1, await make_boot(store, boot=wallet_id))
        await payer.sync(10)
        for _ in range(5):
            payer.admit(1)
            payer.finish()
        await payer.settle()
        async with store.reading() as tx:
            query = sa.select(charge.c.id).where(charge.c.wallet_id == wallet_id)
            return list((await tx.execute(query)).scalars())

    found = [id_ for ids in await asyncio.gather(some(), some(), some()) for id_ in ids]
    assert len(set(found)) == 15


async def test_a_dead_worker_gives_back_all_money_and_what_it_ran_is_written_down(
    store: Database,
) -> None:
    """Nobody pays for what no record shows; the operator sees how much that may have been."""
    wallet_id = await make_wallet(store, 1_000)
    payer = Payer(store, -wallet_id, 1, await make_boot(store))
    await payer.sync(300)
    for _ in range(3):
        payer.admit(100)
    payer.finish(spent=60)
    await payer.settle()
    for _ in range(2):
        async with store.writing() as tx:
            await settle.close_boot(tx, payer.boot_id, payer.admitted, False, NOW_MS)
    found = await standing(store, wallet_id)
    assert (found.balance, found.leased, found.charges) == (940, 0, 60)
    async with store.reading() as tx:
        row = (await tx.execute(sa.select(usage).where(usage.c.outcome == "lost"))).one()
    assert (row.user_id, row.requests, row.charge_micros) == ("ada", 0, 0)
    assert json.loads(row.counts) == {"released_micros": 200}


@pytest.mark.parametrize("is_retired", [False, True])
async def test_after_a_power_loss_or_when_its_node_retires_all_money_comes_back(
    store: Database, is_retired: bool
) -> None:
    """And an entry that turns up later is charged all the same, by the lease that is gone."""
    wallet_id = await make_wallet(store, 1_000)
    payer = Payer(store, -wallet_id, 1, await make_boot(store))
    await payer.sync(300)
    payer.admit(100)
    payer.finish(spent=60)
    async with store.writing() as tx:
        if is_retired:
            await nodes.retire(tx, "n1", NOW_MS)
        else:
            await settle.close_boot(tx, payer.boot_id, {}, True, NOW_MS)
    found = await standing(store, wallet_id)
    assert (found.balance, found.leased) == (1_000, 0)
    await payer.settle()
    found = await standing(store, wallet_id)
    assert (found.balance, found.leased, found.charges) == (940, 0, 60)


async def test_a_key_knows_the_wallet_of_its_account(store: Database) -> None:
    """A `user_id` that names no account pays for nothing; one switched off may not ask."""
    wallet_id = await make_wallet(store, 0, "ada")
    async with store.writing() as tx:
        for number, user_id in enumerate(("ada", "nobody", "")):
            key_id = await keys.insert_key(tx, kind="roc", label="", now_ms=NOW_MS, user_id=user_id)
            await keys.add_secret(
                tx, key_id, key_hash=bytes([number]), masked="", sealed=None, now_ms=NOW_MS
            )
        found = [await keys.find_by_hash(tx, bytes([number]), NOW_MS) for number in range(3)]
        assert [one and (one.wallet_id, one.is_active) for one in found] == [
            *((wallet_id, True), (0, True), (0, True)),
        ]
        await tx.execute(sa.update(account).values(is_active=False))
        ada = await keys.find_by_hash(tx, bytes([0]), NOW_MS)
    assert ada is not None
    assert not ada.is_active


STEPS = 120
PEACEFUL = ["ask", "ask", "admit", "admit", "finish", "finish", "settle", "give back", "hold"]
START = 5_000


class History:
    """Some workers, one wallet, and what an exact observer would have written down."""

    def __init__(self, db: Database, rng: random.Random, wallet_id: int) -> None:
        self.db = db
        self.rng = rng
        self.wallet_id = wallet_id
        self.payers: list[Payer] = []
        self.gone: list[Payer] = []
        self.lives = 0
        self.overrun = 0  # the most that requests may have cost beyond what they reserved
        self.credited = START
        self.held: list[int] = []  # ids of holds

    async def start_worker(self) -> None:
        self.lives += 1
        boot_id = await make_boot(self.db, boot=self.lives)
        self.payers.append(Payer(self.db, -self.wallet_id, 1, boot_id))

    async def step(self, actions: list[str]) -> None:
        rng = self.rng
        payer = rng.choice(self.payers)
        match rng.choice(actions):
            case "ask":
                times = rng.choice((1, 1, 2))
                is_lost = rng.random() < 0.2
                await payer.sync(rng.randint(0, 600), times=times, is_reply_lost=is_lost)
            case "admit":
                payer.admit(rng.randint(1, 200))
            case "finish":
                self.finish(payer)
            case "settle":
                await payer.settle(rng)
            case "give back":
                await payer.give_back()
            case "hold":
                await self.change_wallet()
            case "die":
                await self.kill(payer)
                await self.start_worker()

    def finish(self, payer: Payer) -> None:
        if not payer.running:
            return
        self.rng.shuffle(payer.running)
        _, reserved = payer.running[0]
        spent = self.rng.randint(0, reserved + 20)
        self.overrun += max(0, spent - reserved)
        payer.finish(spent, is_given_back=self.rng.random() < 0.2)

    async def change_wallet(self) -> None:
        """Others top up, hold and release meanwhile."""
        async with self.db.writing() as tx:
            found = (await wallets.lock_ids(tx, [self.wallet_id], NOW_MS))[self.wallet_id]
            wish = self.rng.choice(("top up", "hold", "release"))
            if wish == "top up":
                found.credit(EntryKind.TOP_UP, 100, NOW_MS)
                self.credited += 100
            elif wish == "hold" and found.can_pay(100):
                times = {"expires_ms": NOW_MS + 1, "now_ms": NOW_MS}
                self.held.append(await holds.place(tx, found, 100, by="test", **times))
            elif wish == "release" and self.held:
                await holds.end(tx, found, self.held.pop(), holds.RELEASED, NOW_MS)
            await wallets.write(tx, [found])

    async def kill(self, payer: Payer, *, is_power_loss: bool = False) -> None:
        self.payers.remove(payer)
        self.gone.append(payer)
        await payer.settle()
        for _ in range(2):
            async with self.db.writing() as tx:
                await settle.close_boot(tx, payer.boot_id, payer.admitted, is_power_loss, NOW_MS)

    async def check(self) -> None:
        """What must hold after every step."""
        found = await standing(self.db, self.wallet_id)
        assert found.is_consistent
        assert found.free >= -self.overrun
        assert found.balance >= -self.overrun
        assert found.balance == self.credited - found.charges

    @property
    def charged(self) -> int:
        return sum(payer.charged for payer in [*self.payers, *self.gone])


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_money_is_neither_lost_nor_promised_twice(
    store: Database, seed: int
) -> None:
    """Leases alone never take more than is free; at the end all that was used is charged, once."""
    history = History(store, random.Random(seed), await make_wallet(store, START))
    for _ in range(3):
        await history.start_worker()
    for _ in range(STEPS):
        await history.step([*PEACEFUL, "die"])
        await history.check()
    for payer in list(history.payers):
        await history.kill(payer)
    found = await standing(store, history.wallet_id)
    assert found.leased == 0
    assert found.charges == history.charged
    async with store.reading() as tx:
        charges = await tx.scalar(sa.select(sa.func.count()).select_from(charge))
        paid = sa.select(sa.func.sum(usage.c.charge_micros))
        assert await tx.scalar(paid) == history.charged
    named = [one for one in await differences(store) if not one.subject.startswith("charge")]
    assert named == []  # its charges are of no price: only the money is looked at here
    entries = [one for payer in history.gone for one in payer.journal]
    assert charges == sum(one.charge is not None for one in entries)
