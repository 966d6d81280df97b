"""The check finds every way in which books can be wrong, and nothing in books that are right."""

import pytest
import sqlalchemy as sa

from tallygate.core.wallet import Lot
from tallygate.store import holds, ledger_check, wallets
from tallygate.store.database import Database
from tallygate.store.money_schema import (
    charge,
    credit_grant,
    hold,
    ledger_entry,
    price,
    rate,
    wallet,
)
from tallygate.store.schema import boot, lease
from tests.store.purse import NOW_MS, POINT, charge_row, differences, make_account, make_charge

pytestmark = pytest.mark.anyio


@pytest.fixture
async def books(store: Database) -> Database:
    """Two wallets with some of everything: grants, holds, a lease, charges in every state."""
    await make_account(store, "alice", 5000 * POINT)
    await make_account(store, "bob", 100 * POINT)
    await make_charge(store, 10)
    await make_charge(store, 11, "bob")  # more than he has: an overage
    await make_charge(store, 12, state="unpaid")
    cached = {"cache_read_tokens": 900, "micros": 1_666_000, "output_micros": 1_400_000}
    await make_charge(store, 13, model="deepseek", price_id=2, rate_id=None, **cached)
    parts = '[["gpt-4", 1, {"input_tokens": 1}], ["deepseek", 2, {"output_tokens": 1}]]'
    both = {"parts": parts, "micros": 302_800, "output_micros": 2_800, "price_id": None}
    await make_charge(store, 14, input_tokens=1, output_tokens=1, **both)
    async with store.writing() as tx:
        (alice,) = (await wallets.lock_of(tx, ["alice"], NOW_MS)).values()
        grant_id = await holds.insert_grant(
            tx, alice, POINT, category="paid", priority=0, expires_ms=None, now_ms=NOW_MS
        )
        alice.grant(Lot(grant_id, 0, None, POINT), NOW_MS)
        await holds.place(tx, alice, POINT, by="n8n", expires_ms=NOW_MS * 2, now_ms=NOW_MS)
        await wallets.write(tx, [alice])
        life = {"node": "n", "slot": 0, "boot": 1, "started_ms": 1, "segment": 0, "offset": 0}
        await tx.execute(sa.insert(boot), life)
        totals = {"granted": 5, "returned": 1, "spent": 1, "journaled": 0, "is_closing": False}
        place = {"boot_id": 1, "limit_id": -alice.id, "window_s": 0, "generation": 1}
        await tx.execute(sa.insert(lease), {**place, **totals})
        await tx.execute(sa.update(wallet).where(wallet.c.id == alice.id).values(leased_micros=3))
    return store


async def test_books_that_are_right_have_no_difference(books: Database) -> None:
    assert [str(one) for one in await differences(books)] == []
    async with books.reading() as tx:
        checker = await ledger_check.check(tx, lambda _: None)
    assert (checker.wallets, checker.charges, checker.differences) == (2, 5, 0)


BROKEN = [
    ("balance, by its entries", sa.update(wallet).values(balance_micros=7)),
    ("held, by its entries", sa.update(wallet).values(held_micros=wallet.c.held_micros + 1)),
    ("held, by its holds", sa.update(hold).values(state="released")),
    ("granted, by its grants", sa.update(wallet).values(granted_micros=0)),
    ("granted, by its balance", sa.update(wallet).values(granted_micros=2**52)),
    ("leased, by its leases", sa.update(lease).values(returned=2)),
    ("balance after it", sa.update(ledger_entry).values(balance_micros=7)),
    ("kind", sa.update(ledger_entry).values(kind="gift")),
    (
        "sign of a top_up",
        sa.update(ledger_entry).where(ledger_entry.c.kind == "top_up").values(amount_micros=-1),
    ),
    (
        "held by a top_up",
        sa.update(ledger_entry).where(ledger_entry.c.kind == "top_up").values(held_micros=1),
    ),
    (
        "a hold",
        sa.update(ledger_entry).where(ledger_entry.c.kind == "hold").values(held_micros=-1),
    ),
    (
        "what makes a balance negative",
        sa.update(ledger_entry).where(ledger_entry.c.kind == "overage").values(kind="charge"),
    ),
    ("taken by its entries", sa.delete(ledger_entry).where(ledger_entry.c.charge_id == 10)),
    ("taken by its entries", sa.update(charge).values(refunded_micros=1)),
    ("taken by its entries", sa.update(charge).where(charge.c.id == 12).values(state="charged")),
    ("taken by its entries", sa.update(charge).where(charge.c.id == 10).values(state="noted")),
    ("refunded", sa.update(charge).where(charge.c.id == 12).values(refunded_micros=-1)),
    ("refunded in all", sa.update(charge).where(charge.c.id == 10).values(state="refunded")),
    ("wallet of its entries", sa.update(charge).where(charge.c.id == 10).values(wallet_id=2)),
    ("taken from wallet 1", sa.delete(charge).where(charge.c.id == 10)),
    ("taken from wallet 1", sa.delete(charge).where(charge.c.id == 14)),
    ("cost by its pinned versions", sa.update(charge).values(input_tokens=1001)),
    (
        "cost by its pinned versions",
        sa.update(charge).where(charge.c.id == 13).values(price_id=1, rate_id=1),
    ),
    ("cost by its pinned versions", sa.update(charge).values(output_micros=1)),
    ("cost by its pinned versions", sa.update(rate).values(micros_per_usd=1)),
    ("cost by its pinned versions", sa.update(price).values(output_picos=1)),
    ("pinned versions", sa.delete(price)),
    ("pinned versions", sa.delete(rate)),
    ("pinned versions", sa.update(charge).where(charge.c.id == 10).values(price_id=None)),
    ("pinned versions", sa.update(charge).where(charge.c.id == 14).values(parts="{")),
    ("pinned versions", sa.update(charge).where(charge.c.id == 10).values(rate_id=None)),
    ("granted, by its grants", sa.update(credit_grant).values(left_micros=1)),
]


@pytest.mark.parametrize(("rule", "break_it"), BROKEN, ids=lambda one: str(one)[:60])
async def test_every_way_to_be_wrong_is_named(
    books: Database, rule: str, break_it: sa.Executable
) -> None:
    """A proof that can not fail proves nothing."""
    async with books.writing() as tx:
        await tx.execute(break_it)
    found = await differences(books)
    assert rule in {one.rule for one in found}, found
    assert all(str(one).count(":") >= 2 for one in found)


async def test_a_wrong_running_balance_is_named_once(books: Database) -> None:
    """One wrong entry is one difference, not one for each that follows it."""
    async with books.writing() as tx:
        first = sa.update(ledger_entry).where(ledger_entry.c.id == 1)
        await tx.execute(first.values(balance_micros=1))
    rules = [one.rule for one in await differences(books)]
    assert rules == ["balance after it", "balance after it"]  # away from what is so, and back


async def test_a_store_is_checked_in_portions(
    books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The border of a portion loses no row, also where the last one is exactly full."""
    async with books.writing() as tx:
        await tx.execute(sa.insert(charge), charge_row(-5, "alice", 1))
    whole = {str(one) for one in await differences(books)}
    assert len(whole) == 1
    for rows in range(1, 8):
        monkeypatch.setattr(ledger_check, "ROWS", rows)
        assert {str(one) for one in await differences(books)} == whole
