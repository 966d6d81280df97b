"""Who wants to be told how much is spent is told once, in the transaction that spent it."""

import datetime

import msgspec
import pytest
import sqlalchemy as sa

from tallygate.core.budget import OF_MEMBERS
from tallygate.core.wallet import EntryKind
from tallygate.store import budgets, notices, wallets
from tallygate.store.database import Database, Tx
from tallygate.store.notices import Notice
from tallygate.store.people_schema import account
from tests.store.purse import NOW_MS, POINT, make_account, make_charge, make_team

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000


async def make_budget(
    db: Database, points: int, *, kind: str = "user", of: str = "alice", span: str = "day"
) -> int:
    async with db.writing() as tx:
        return await budgets.insert(tx, kind, of, span, "UTC", points * POINT, NOW_MS)


async def spend(db: Database, now_ms: int = NOW_MS, **points: int) -> None:
    micros = {account_id: amount * POINT for account_id, amount in points.items()}
    async with db.writing() as tx:
        await budgets.note_spent(tx, micros, now_ms)


async def told(db: Database) -> list[Notice]:
    async with db.reading() as tx:
        return (await notices.page(tx, limit=100))[0][::-1]


async def percents(db: Database) -> list[int]:
    return [msgspec.json.decode(one.data)["percent"] for one in await told(db)]


async def test_each_percentage_is_told_once_in_a_window(store: Database) -> None:
    """Somebody who hears the same warning with every request stops reading warnings."""
    await make_account(store)
    budget_id = await make_budget(store, 100)
    for points in (49, 1, 1, 28, 1, 19, 0, 1, 50):
        await spend(store, alice=points)
    assert await percents(store) == [50, 80, 100]
    first = (await told(store))[0]
    assert (first.kind, first.account_id, first.next_ms) == ("budget.reached", "alice", NOW_MS)
    data = msgspec.json.decode(first.data)
    assert data["spent_micros"] == 50 * POINT and data["spent"] == 50
    await spend(store, NOW_MS + DAY_MS, alice=60)
    assert await percents(store) == [50, 80, 100, 50]
    async with store.reading() as tx:
        found = await budgets.find(tx, budget_id)
    assert found is not None and found.spent_micros == 60 * POINT


async def test_a_jump_over_several_percentages_is_one_notice(store: Database) -> None:
    await make_account(store)
    await make_budget(store, 100)
    await spend(store, alice=500)
    assert await percents(store) == [100]


async def test_a_clock_that_is_behind_does_not_reopen_a_window(store: Database) -> None:
    """Two nodes around midnight: the budget of the new day is not emptied by the old one."""
    await make_account(store)
    budget_id = await make_budget(store, 100)
    await spend(store, NOW_MS + DAY_MS, alice=40)
    await spend(store, NOW_MS, alice=5)
    async with store.reading() as tx:
        found = await budgets.find(tx, budget_id)
    assert found is not None and found.spent_micros == 45 * POINT


@pytest.mark.parametrize("span", ["day", "month", "total"])
async def test_budgets_of_all_spans_begin_anew_in_their_own_time(
    store: Database, span: str
) -> None:
    await make_account(store)
    await make_budget(store, 100, span=span)
    passing = {"day": DAY_MS, "month": 31 * DAY_MS, "total": 366 * DAY_MS}[span]
    await spend(store, alice=50)
    await spend(store, NOW_MS + passing, alice=50)
    assert await percents(store) == ([50, 100] if span == "total" else [50, 50])


async def test_a_teams_budget_sums_what_its_members_spend(store: Database) -> None:
    for name in ("alice", "bob", "eve"):
        await make_account(store, name)
    await make_team(store, "red", "alice", "bob")
    await make_budget(store, 100, kind="team", of="red")
    await make_budget(store, 10, kind="user", of="red")  # a user of that name is somebody else
    await spend(store, alice=30, bob=25, eve=1000)
    one, *of_members = await told(store)
    data = msgspec.json.decode(one.data)
    assert (data["team_id"], data["percent"], data["spent_micros"]) == ("red", 50, 55 * POINT)
    assert (one.kind, one.account_id) == ("budget.reached", None)
    assert len(of_members) == 2


async def test_each_member_hears_of_the_teams_budget_once_in_a_window(store: Database) -> None:
    """Whoever is in it then, and has an account that still works."""
    for name in ("alice", "bob", "eve"):
        await make_account(store, name)
    await make_team(store, "red", "alice", "bob", "eve")
    async with store.writing() as tx:
        await tx.execute(sa.update(account).where(account.c.id == "eve").values(is_active=False))
    await make_budget(store, 100, kind="team", of="red")
    for points in (50, 10, 20, 5):
        await spend(store, alice=points)
    of_members = [one for one in await told(store) if one.kind == "team_budget.reached"]
    heard = [(one.account_id, msgspec.json.decode(one.data)["percent"]) for one in of_members]
    assert heard == [("alice", 50), ("bob", 50), ("alice", 80), ("bob", 80)]
    async with store.reading() as tx:
        own, total = await notices.page(tx, limit=9, account_id="bob")
        rest, others = await notices.page(tx, limit=9, without=OF_MEMBERS)
    assert (len(own), total) == (2, 2)
    assert ([one.kind for one in rest], others) == (["budget.reached"] * 2, 2)


async def test_a_refund_makes_room_only_where_its_charge_was_counted(store: Database) -> None:
    """Giving back last month's charge must not let somebody overspend today."""
    await make_account(store)
    ids = [await make_budget(store, 100, span=span) for span in ("day", "total")]
    yesterday_ms = NOW_MS - DAY_MS
    await spend(store, alice=40)
    async with store.writing() as tx:
        await budgets.note_refunded(tx, "alice", 30 * POINT, yesterday_ms, NOW_MS)
        await budgets.note_refunded(tx, "alice", 30 * POINT, NOW_MS, NOW_MS)
        spent = [one.spent_micros for one in await budgets.list_budgets(tx, ("user", "alice"))]
    assert ids and spent == [10 * POINT, 0]


async def test_a_larger_budget_warns_again_and_a_deleted_one_never(store: Database) -> None:
    await make_account(store)
    budget_id = await make_budget(store, 100)
    await spend(store, alice=80)
    async with store.writing() as tx:
        found = await budgets.find(tx, budget_id, is_locked=True)
        assert found is not None
        await budgets.change_amount(tx, found, 200 * POINT)
    await spend(store, alice=80)
    assert await percents(store) == [80, 80]
    async with store.writing() as tx:
        await budgets.delete(tx, budget_id, NOW_MS)
    await spend(store, alice=500)
    assert await percents(store) == [80, 80]


async def test_a_low_balance_is_told_when_it_is_crossed(store: Database) -> None:
    """Once on the way down, and again after it was topped up."""
    await make_account(store, micros=100 * POINT)
    async with store.writing() as tx:
        (found,) = (await wallets.lock_of(tx, ["alice"], NOW_MS)).values()
        await wallets.configure(tx, found.id, {"warn_micros": 50 * POINT})

    async def charge(points: int) -> None:
        async with store.writing() as tx:
            (found,) = (await wallets.lock_of(tx, ["alice"], NOW_MS)).values()
            if points > 0:
                found.charge(points * POINT, NOW_MS, 1)
            else:
                found.credit(EntryKind.TOP_UP, -points * POINT, NOW_MS)
            await wallets.write(tx, [found])
            await budgets.note_spent(tx, {"alice": points * POINT}, NOW_MS)

    for points in (50, 1, 10, -60, 20, 40):
        await charge(points)
    lows = await told(store)
    assert [one.kind for one in lows] == ["wallet.low", "wallet.low"]
    assert msgspec.json.decode(lows[0].data) == {
        "user_id": "alice",
        "balance": 49,
        "balance_micros": 49 * POINT,
        "warn_below": 50,
        "warn_below_micros": 50 * POINT,
    }


async def test_nobody_is_told_of_what_was_rolled_back(store: Database) -> None:
    await make_account(store)
    await make_budget(store, 100)

    class Crash(Exception):
        pass

    with pytest.raises(Crash):
        async with store.writing() as tx:
            await budgets.note_spent(tx, {"alice": 90 * POINT}, NOW_MS)
            raise Crash
    assert await told(store) == []
    await spend(store, alice=1)
    assert await told(store) == []


async def test_without_budgets_and_levels_a_batch_costs_one_query(store: Database) -> None:
    """It is in the way of every batch of charges."""
    names = [f"user-{number}" for number in range(30)]
    for name in names:
        await make_account(store, name)
    asked = []

    class Counting:
        def __init__(self, tx: Tx) -> None:
            self._tx = tx

        async def execute(self, *words: object) -> sa.CursorResult[object]:
            asked.append(words)
            return await self._tx.execute(*words)  # type: ignore[arg-type]  # handed on

    async with store.writing() as tx:
        await budgets.note_spent(Counting(tx), dict.fromkeys(names, POINT), NOW_MS)  # type: ignore[arg-type]  # enough of one
    assert len(asked) == 1


async def test_days_are_those_of_the_budgets_own_zone(store: Database) -> None:
    """An operator in Taipei starts the day eight hours before UTC does."""
    await make_account(store)
    async with store.writing() as tx:
        await budgets.insert(tx, "user", "alice", "day", "Asia/Taipei", 100 * POINT, NOW_MS)
    noon_ms = int(datetime.datetime(2026, 2, 11, 12, tzinfo=datetime.UTC).timestamp() * 1000)
    await spend(store, noon_ms, alice=50)
    await spend(store, noon_ms + 5 * 3_600_000, alice=50)  # 01:00 of the next day there
    assert await percents(store) == [50, 50]


async def test_charges_move_no_budget_by_themselves(store: Database) -> None:
    """The seam: whoever charges a batch calls note_spent once, with what it took."""
    await make_account(store, micros=1000 * POINT)
    await make_budget(store, 100)
    await make_charge(store, 1)
    assert await told(store) == []
