"""Money from the command line: what it says, how it ends, and that it can be proved."""

import asyncio
import sqlite3

import pytest

from tallygate.store.database import Database
from tests.cli import test_commands
from tests.cli.test_commands import Shell
from tests.store.purse import make_account, make_charge

POINT = 1_000_000
shell = test_commands.shell  # the fixture


@pytest.fixture
def bank(shell: Shell) -> Shell:
    """A store with a user named alice."""
    shell.run("keys", "create")
    in_store(shell, make_account)
    return shell


def in_store(shell: Shell, work: object) -> None:
    async def run() -> None:
        db = Database(f"sqlite:///{shell.data}/tallygate.db")
        await db.open()
        await work(db)  # type: ignore[operator]  # an async function of the database
        await db.close()

    asyncio.run(run())


NO_STORE = [
    ("wallet", "show", "alice"),
    ("wallet", "list"),
    ("wallet", "top-up", "alice", "1"),
    ("wallet", "adjust", "alice", "-1"),
    ("wallet", "configure", "alice", "--floor", "-1"),
    ("wallet", "grant", "alice", "1"),
    ("wallet", "grants", "alice"),
    ("wallet", "void-grant", "1"),
    ("wallet", "hold", "alice", "1", "--owner", "me"),
    ("wallet", "holds", "alice"),
    ("wallet", "capture", "1"),
    ("wallet", "release", "1"),
    ("wallet", "ledger", "alice"),
    ("wallet", "refund", "1"),
    ("redeem", "create", "1", "1"),
    ("redeem", "list"),
    ("redeem", "codes", "1"),
    ("redeem", "void", "1"),
    ("redeem", "redeem", "alice", "tgr_x"),
    ("budget", "create", "1", "day", "--user", "alice"),
    ("budget", "list"),
    ("budget", "change", "1", "1"),
    ("budget", "delete", "1"),
    ("ledger", "verify"),
    ("ledger", "replay", "1"),
]


@pytest.mark.parametrize("words", NO_STORE, ids=" ".join)
def test_nothing_about_money_makes_a_store(shell: Shell, words: tuple[str, ...]) -> None:
    """A mistyped folder must not look like a system without debts."""
    status, out, err = shell.run(*words)
    assert (status, out) == (3, "")
    assert str(shell.data) in err and not shell.data.exists()


@pytest.mark.parametrize(
    "words",
    [one for one in NO_STORE if one[-1] != "list" and one[1] not in ("verify", "list", "create")],
    ids=" ".join,
)
def test_what_is_not_there_is_one_line_and_a_status(
    shell: Shell,
    words: tuple[str, ...],
) -> None:
    shell.run("keys", "create")
    status, out, err = shell.run(*words)
    assert (status, out) == (1, "") and err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("wallet", "top-up", "alice", "many"),
        ("wallet", "top-up", "alice", "0.0000001"),
        ("wallet", "top-up", "alice"),
        ("wallet", "grant", "alice", "1", "--expires", "soon"),
        ("wallet", "hold", "alice", "1"),
        ("redeem", "create", "0", "1"),
        ("budget", "create", "1", "day"),
        ("budget", "create", "1", "day", "--user", "a", "--team", "b"),
    ],
    ids=" ".join,
)
def test_a_slip_is_a_usage_error(bank: Shell, words: tuple[str, ...]) -> None:
    status, out, err = bank.run(*words)
    assert (status, out) == (2, "") and err


def test_money_comes_goes_and_is_explained(bank: Shell) -> None:
    assert bank.run("wallet", "top-up", "alice", "10.5", "--reason", "paid")[1] == (
        "alice: 10.5 points\n"
    )
    assert bank.run("wallet", "adjust", "alice", "-0.5")[0] == 0
    status, _, err = bank.run("wallet", "adjust", "alice", "-11")
    assert status == 1 and "only 10 points are free" in err
    assert "alice: -1 points" in bank.run("wallet", "adjust", "alice", "-11", "--force")[1]
    (listed,) = bank.json("wallet", "list")
    assert (listed["balance"], listed["user_id"]) == (-1, "alice")
    kinds = [one["kind"] for one in bank.json("wallet", "ledger", "alice")]
    assert kinds == ["overage", "adjust", "adjust", "top_up"]
    assert "paid" in bank.run("wallet", "ledger", "alice")[1]
    configured = bank.json("wallet", "configure", "alice", "--floor", "-5", "--warn-below", "2")
    assert (configured["floor"], configured["warn_below"]) == (-5, 2)
    assert bank.json("wallet", "configure", "alice", "--warn-below", "never")["warn_below"] is None


def test_an_order_with_a_key_is_done_once(bank: Shell) -> None:
    """A script that is run again after its machine crashed pays nobody twice."""
    for _ in range(3):
        words = ("wallet", "top-up", "alice", "5", "--idempotency-key", "order-1")
        assert bank.json(*words)["balance"] == 5
    status, _, err = bank.run("wallet", "top-up", "alice", "6", "--idempotency-key", "order-1")
    assert status == 1 and "Idempotency-Key" in err


def test_grants_and_holds_live_on_the_command_line(bank: Shell) -> None:
    words = ("--expires", "2099-01-01", "--category", "paid", "--priority", "2")
    given = bank.json("wallet", "grant", "alice", "7", *words)
    assert (given["left"], given["priority"]) == (7, 2)
    held = bank.json("wallet", "hold", "alice", "3", "--owner", "n8n")
    assert bank.run("wallet", "capture", held["id"], "--owner", "other")[0] == 1
    done = bank.json("wallet", "capture", held["id"], "--points", "1")
    assert done["state"] == "captured"
    again = bank.json("wallet", "hold", "alice", "2", "--owner", "n8n")
    assert bank.json("wallet", "release", again["id"])["state"] == "released"
    assert len(bank.json("wallet", "holds", "alice")) == 2
    assert "captured" in bank.run("wallet", "holds", "alice")[1]
    assert bank.json("wallet", "refund", done["charge_id"])["state"] == "refunded"
    assert bank.json("wallet", "void-grant", given["id"])["left"] == 0
    assert "promotional" not in bank.run("wallet", "grants", "alice")[1]
    assert bank.json("wallet", "show", "alice")["balance"] == 1
    assert bank.run("ledger", "verify")[0] == 0


def test_codes_are_printed_one_a_line_and_redeemed(bank: Shell) -> None:
    status, out, err = bank.run("redeem", "create", "3", "2.5", "--label", "spring")
    codes = out.split()
    assert status == 0 and len(codes) == 3 and "batch 1" in err
    assert "2.5 points for alice" in bank.run("redeem", "redeem", "alice", codes[0])[1]
    assert bank.run("redeem", "redeem", "alice", codes[0])[0] == 1
    assert bank.json("redeem", "list")[0]["redeemed"] == 1
    assert len(bank.json("redeem", "codes", "1")) == 3
    assert "1 of its codes were redeemed" in bank.run("redeem", "void", "1")[1]
    assert bank.run("redeem", "redeem", "alice", codes[1])[0] == 1


def test_budgets_live_on_the_command_line(bank: Shell) -> None:
    made = bank.json("budget", "create", "100", "month", "--user", "alice")
    assert bank.json("budget", "change", made["id"], "50")["points"] == 50
    assert "user alice" in bank.run("budget", "list")[1]
    assert bank.run("budget", "delete", made["id"])[0] == 0
    assert bank.json("budget", "list") == []


def test_a_ledger_that_is_wrong_ends_with_one_and_names_what(bank: Shell) -> None:
    """A nightly job needs the status, whoever repairs it needs the names."""
    bank.run("wallet", "top-up", "alice", "10000")
    in_store(bank, lambda db: make_charge(db, 5))
    status, out, err = bank.run("ledger", "verify")
    assert (status, out) == (0, "") and "1 charges, 2 entries, 1 wallets: zero difference" in err
    with sqlite3.connect(bank.data / "tallygate.db") as store:
        store.execute("UPDATE wallet SET balance_micros = balance_micros + 1")
        store.execute("UPDATE charge SET input_tokens = 1")
    status, out, err = bank.run("ledger", "verify")
    assert status == 1 and "2 differences" in err
    assert "wallet 1 (alice): balance, by its entries" in out
    assert "charge 5: cost by its pinned versions" in out
    status, out, _ = bank.run("ledger", "verify", "--json")
    assert status == 1 and '"rule": "balance, by its entries"' in out


def test_a_charge_is_replayed_from_its_pinned_versions(bank: Shell) -> None:
    """What was paid is explained to the micro-point, however prices changed since."""
    bank.run("wallet", "top-up", "alice", "10000")
    in_store(bank, lambda db: make_charge(db, 5))
    with sqlite3.connect(bank.data / "tallygate.db") as store:
        (pins,) = store.execute("SELECT price_id, rate_id FROM charge").fetchall()
        store.execute("UPDATE price SET effective_ms = 9e15, is_active = 0")
    status, out, _ = bank.run("ledger", "replay", "cons_5")
    assert status == 0
    assert out.splitlines() == [
        "cons_5: gpt-4",
        f"price {pins[0]} of gpt-4, in usd per token:",
        "  input tokens: 1000 × 0.00003 = 0.03",
        "  output tokens: 500 × 0.00006 = 0.03",
        f"rate {pins[1]}: 10000 points for 1 usd",
        "rounded up once: 600 points (600000000 micro-points)",
        "as it was charged: 600 points",
    ]
    with sqlite3.connect(bank.data / "tallygate.db") as store:
        store.execute("UPDATE charge SET micros = micros - 1")
    status, out, _ = bank.run("ledger", "replay", "5")
    assert status == 1 and "NOT as it was charged" in out
    assert bank.run("ledger", "replay", "5", "--json")[0] == 1
    with sqlite3.connect(bank.data / "tallygate.db") as store:
        store.execute("PRAGMA foreign_keys = OFF")
        store.execute("DELETE FROM price")
    status, _, err = bank.run("ledger", "replay", "5")
    assert status == 1 and f"there is no price {pins[0]}" in err
