# ruff: noqa: F811 - an argument bears the name of its fixture
"""`tallygate import supabase`: balances become opening entries, old uses become history."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import Shell, shell  # noqa: F401 - a fixture

EXPORTS = {
    "users_rows.csv": """id,email,full_name,points
u1,Ann@Example.com,Ann,120.5
u2,ann@example.com,Bea,0
u3,,Cid,-3
bad/id,,Dee,7
u5,,Eve,many
""",
    "model_configs.csv": """id,model_name,input_token_price,output_token_price,is_active
m1,house-gpt,0.03,0.06,true
m2,old-gpt,8E-7,0.002,false
m3,broken,free,0,true
""",
    "exchange_rates.json": '[{"id":"r2","rate":12000,"is_active":true,'
    '"created_at":"2025-03-01T00:00:00Z"}]',
    "exchange_rate_history.csv": """id,old_rate,new_rate,admin_id,reason,timestamp
h1,,10000,boss,start,2025-01-01 00:00:00+00
h2,10000,12000,boss,dearer,2025-03-01 00:00:00+00
""",
    "token_usage.jsonl": '{"id":"t1","user_id":"u1","model":"house-gpt","input_tokens":1500,'
    '"output_tokens":800,"input_cost":45,"output_cost":48.000001,"conversation_id":"c",'
    '"message_id":"m","created_at":"2025-02-01T10:00:00Z"}\n'
    '{"id":"t2","model":"house-gpt","created_at":"2025-02-01T10:00:00Z"}\n',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "exports"
    place.mkdir()
    for name, text in EXPORTS.items():
        (place / name).write_text(text, "utf-8")
    return place


def imported(shell: Shell, folder: Path, *words: str) -> dict[str, Any]:
    status, out, said = shell.run("import", "supabase", str(folder), *words, "--json")
    assert status == 0, said
    return dict(json.loads(out))


def rows(shell: Shell, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(shell.data / "tallygate.db") as connection:
        return connection.execute(sql).fetchall()


def test_balances_become_opening_entries_and_uses_become_history(
    shell: Shell, folder: Path
) -> None:
    report = imported(shell, folder)
    assert (report["users"], report["opening_micros"]) == (3, 117_500_000)
    assert (report["prices"], report["rates"], report["uses"]) == (2, 2, 1)
    assert sum(report["skipped"].values()) == 5
    balances = "SELECT account_id, balance_micros FROM wallet ORDER BY account_id"
    assert rows(shell, balances) == [("u1", 120_500_000), ("u2", 0), ("u3", -3_000_000)]
    assert rows(shell, "SELECT kind, amount_micros FROM ledger_entry ORDER BY id") == [
        ("top_up", 120_500_000),
        ("overage", -3_000_000),
    ]
    assert rows(shell, "SELECT count(*) FROM charge") == [(0,)]
    assert shell.run("ledger", "verify")[0] == 0


def test_importing_again_adds_only_what_is_new(shell: Shell, folder: Path) -> None:
    """A second run must neither pay balances out twice nor repeat the history."""
    shell.run("import", "supabase", str(folder))
    users = folder / "users_rows.csv"
    users.write_text(users.read_text("utf-8") + "u6,,Fay,5\n", "utf-8")
    report = imported(shell, folder)
    assert (report["users"], report["opening_micros"]) == (1, 5_000_000)
    assert (report["prices"], report["rates"], report["uses"]) == (0, 0, 0)
    assert rows(shell, "SELECT sum(balance_micros) FROM wallet") == [(122_500_000,)]


def test_a_dry_run_changes_nothing(shell: Shell, folder: Path) -> None:
    report = imported(shell, folder, "--dry-run")
    assert report["users"] == 3
    assert rows(shell, "SELECT count(*) FROM account") == [(0,)]
    assert rows(shell, "SELECT count(*) FROM past_usage") == [(0,)]


def test_old_sql_still_runs(shell: Shell, folder: Path) -> None:
    shell.run("import", "supabase", str(folder))
    assert rows(
        shell,
        "SELECT input_token_price, output_token_price, is_active FROM model_configs "
        "WHERE model_name = 'house-gpt'",
    ) == [(0.03, 0.06, 1)]
    assert rows(shell, "SELECT rate FROM exchange_rates WHERE is_active") == [(12000.0,)]
    history = "SELECT old_rate, new_rate, admin_id, reason FROM exchange_rate_history ORDER BY id"
    assert rows(shell, history)[-1] == (10000.0, 12000.0, "boss", "dearer")
    usage = "SELECT user_id, model, input_tokens, input_cost, output_cost FROM token_usage"
    assert rows(shell, usage) == [("u1", "house-gpt", 1500, 45.0, 48.000001)]


def test_a_folder_without_its_tables_is_refused_and_makes_nothing(
    shell: Shell, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    status, _, said = shell.run("import", "supabase", str(empty))
    assert status == 1 and "none of its tables is there" in said
    assert not (shell.data / "tallygate.db").exists()
    assert shell.run("import", "supabase", str(tmp_path / "nowhere"))[0] == 1
