"""Balances, recent uses and histories, as people ask for them, on both stores."""

from typing import Any

import pytest
import sqlalchemy as sa

from tallygate.store import accounts, points, prices
from tallygate.store.database import Database, Tx
from tallygate.store.money_schema import charge, credit_grant, past_usage, wallet
from tallygate.store.points import Filter, Funds

pytestmark = pytest.mark.anyio

NOW_MS = 1_770_800_000_000


def charge_row(id_: int, **changes: Any) -> dict[str, Any]:
    row = {
        "id": id_,
        "account_id": "ann",
        "state": "charged",
        "source": "webhook",
        "instance": "d",
        "model": "gpt-4",
        "input_tokens": 10 * id_,
        "output_tokens": id_,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "micros": 1000 * id_,
        "output_micros": 400 * id_,
        "refunded_micros": 0,
        "balance_micros": 9_000_000 - id_,
        "key_id": 0,
        "request_id": "",
        "conversation_id": f"c{id_}",
        "message_id": f"m{id_}",
        "event_ms": 0,
        "at_ms": NOW_MS + id_,
    }
    return row | changes


def past_row(id_: int, **changes: Any) -> dict[str, Any]:
    row = {
        "id": id_,
        "account_id": "ann",
        "model": "gpt-4",
        "input_tokens": 7,
        "output_tokens": 3,
        "input_micros": 60,
        "output_micros": 40,
        "micros": 100,
        "conversation_id": "",
        "message_id": f"p{id_}",
        "at_ms": NOW_MS - id_,
    }
    return row | changes


async def add(tx: Tx, table: sa.Table, *rows: dict[str, Any]) -> None:
    for row in rows:
        await tx.execute(sa.insert(table), row)


async def set_wallet(tx: Tx, **values: int) -> int:
    await tx.execute(sa.update(wallet).values(**values))
    return int(await tx.scalar(sa.select(wallet.c.id)))


async def test_a_balance_includes_what_gateways_lease_and_names_what_is_held(
    store: Database,
) -> None:
    """A lease is a loan to a gateway: the money is still the user's."""
    async with store.writing() as tx:
        assert await points.find_funds(tx, "ann", NOW_MS) is None
        await accounts.insert(tx, "ann", NOW_MS)
        assert await points.find_funds(tx, "ann", NOW_MS) == Funds(0, 0, 0)
        await set_wallet(tx, balance_micros=100, held_micros=30, leased_micros=50)
        found = await points.find_funds(tx, "ann", NOW_MS)
        assert found == Funds(100, 30, 50) and found.available_micros == 70


@pytest.mark.parametrize(
    ("balance", "held", "expected"),
    [(100, 0, 60), (100, 80, 80), (30, 0, 0), (-5, 0, -5), (100, 60, 60)],
)
async def test_a_grant_that_has_ended_is_not_shown_even_before_it_is_taken_back(
    store: Database, balance: int, held: int, expected: int
) -> None:
    """The entry is written with the next change of the wallet; nobody can spend it meanwhile."""
    async with store.writing() as tx:
        await accounts.insert(tx, "ann", NOW_MS)
        wallet_id = await set_wallet(
            tx, balance_micros=balance, held_micros=held, granted_micros=70
        )
        grant = {"wallet_id": wallet_id, "category": "paid", "priority": 1, "created_ms": 1}
        for left, expires_ms in ((40, NOW_MS), (20, NOW_MS + 1), (10, None)):
            row = {"amount_micros": 50, "left_micros": left, "expires_ms": expires_ms}
            await add(tx, credit_grant, grant | row)
        found = await points.find_funds(tx, "ann", NOW_MS)
        assert found is not None and found.balance_micros == expected


async def test_what_was_used_lately_is_what_was_paid_lately(store: Database) -> None:
    async with store.writing() as tx:
        await add(tx, charge, *(charge_row(n) for n in range(1, points.RECENT_MAX + 5)))
        await add(tx, charge, charge_row(9001, state="unpaid"), charge_row(9002, state="review"))
        await add(
            tx, charge, charge_row(9003, account_id="bob"), charge_row(9004, state="refunded")
        )
        found, book = await points.recent_and_book(tx, "ann")
        assert book == await prices.book_version(tx)
        assert len(found) == points.RECENT_MAX - 2
        assert [one.micros for one in found[:2]] == [9_004_000, 1000 * (points.RECENT_MAX + 4)]
        assert (await points.recent_and_book(tx, "nobody"))[0] == []


async def test_a_history_is_read_through_to_its_end_each_line_once(store: Database) -> None:
    """Charges and what was imported in one order, also where two happened in one millisecond."""
    async with store.writing() as tx:
        await add(tx, charge, *(charge_row(n, at_ms=NOW_MS + n // 3) for n in range(1, 20)))
        await add(tx, charge, charge_row(90, account_id="bob"), charge_row(91, state="unpaid"))
        await add(tx, past_usage, *(past_row(n, at_ms=NOW_MS + n) for n in range(1, 9)))
        await add(tx, past_usage, past_row(99, account_id="bob"))
        whole, total = await points.page(tx, "ann", Filter(), limit=100, offset=0)
        assert total == len(whole) == 27
        assert [one.at_ms for one in whole] == sorted((one.at_ms for one in whole), reverse=True)
        pages = []
        for offset in range(0, 30, 4):
            found, again = await points.page(tx, "ann", Filter(), limit=4, offset=offset)
            pages += found
            assert again == 27
        assert pages == whole


async def test_lines_say_what_was_charged_and_what_was_only_recorded(store: Database) -> None:
    async with store.writing() as tx:
        await add(tx, charge, charge_row(5, refunded_micros=9, state="refunded"))
        await add(tx, past_usage, past_row(6))
        charged, imported = (await points.page(tx, "ann", Filter(), limit=9, offset=0))[0]
    assert (charged.is_past, charged.id, charged.micros, charged.output_micros) == (
        *(False, 5, 5000, 2000),
    )
    assert (charged.refunded_micros, charged.balance_micros, charged.source) == (
        *(9, 8_999_995, "webhook"),
    )
    assert (imported.is_past, imported.id, imported.balance_micros) == (True, 6, None)
    assert (imported.source, imported.refunded_micros, imported.message_id) == ("import", 0, "p6")


async def test_a_history_is_narrowed_by_model_and_time(store: Database) -> None:
    async with store.writing() as tx:
        await add(tx, charge, charge_row(1), charge_row(2, model="Claude"), charge_row(3))
        await add(tx, past_usage, past_row(1, model="claude"), past_row(2))
        for wanted, expected in (
            (Filter(model="CLAUDE"), ["m2", "p1"]),
            (Filter(model="none"), []),
            (Filter(from_ms=NOW_MS + 2), ["m3", "m2"]),
            (Filter(before_ms=NOW_MS + 2), ["m1", "p1", "p2"]),
            (Filter(from_ms=NOW_MS - 1, before_ms=NOW_MS + 2), ["m1", "p1"]),
        ):
            found, total = await points.page(tx, "ann", wanted, limit=9, offset=0)
            assert [one.message_id for one in found] == expected
            assert total == len(expected)


async def test_estimates_and_balances_are_read_by_an_index(store: Database) -> None:
    """A million charges must not be looked through for a question that is asked each second."""
    async with store.writing() as tx:
        await accounts.insert(tx, "ann", NOW_MS)
        asked = [one.sqlite if tx.dialect == "sqlite" else one.postgresql for one in _READS]
        ended = points._ENDED.params(wallet=1, now_ms=1)
        compiled = ended.compile(dialect=_dialect(tx), compile_kwargs={"literal_binds": True})
        for statement in (*asked, str(compiled)):
            query = statement.replace("?", "'x'").replace("$1", "'x'")
            if tx.dialect == "sqlite":
                rows = (await tx.execute(sa.text(f"EXPLAIN QUERY PLAN {query}"))).all()
                plan = " ".join(str(row[-1]) for row in rows)
                assert "SCAN" not in plan and "TEMP B-TREE" not in plan, plan
            else:
                await tx.execute(sa.text("SET LOCAL enable_seqscan = off"))
                rows = (await tx.execute(sa.text(f"EXPLAIN {query}"))).all()
                plan = " ".join(str(row[0]) for row in rows)
                assert "Seq Scan" not in plan and "Index" in plan, plan


_READS = (points._RECENT, points._FUNDS_OF)


def _dialect(tx: Tx) -> sa.Dialect:
    from sqlalchemy.dialects import postgresql, sqlite

    return sqlite.dialect() if tx.dialect == "sqlite" else postgresql.dialect()
