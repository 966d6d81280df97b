"""tallygate users and teams: people from the command line, with no password on it."""

import io
import sqlite3
import sys
from pathlib import Path

import pytest

from tests.cli.test_commands import Shell, shell  # noqa: F401 - a fixture


def stored(shell: Shell, query: str) -> list[tuple]:  # noqa: F811 - the fixture's value
    with sqlite3.connect(shell.data / "tallygate.db") as db:
        return db.execute(query).fetchall()


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_an_account_lives_from_creation_to_deactivation(
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first command on a fresh machine makes the store, too."""
    type_in(monkeypatch, "correct horse battery\n")
    words = ("users", "create", "--id", "ann", "--email", "Ann@x.example", "--password")
    status, out, err = shell.run(*words)
    assert (status, out) == (0, "ann\n") and "0 points" in err
    ((password,),) = stored(shell, "SELECT password FROM account")
    assert password.startswith("$argon2id$") and "horse" not in out + err
    assert stored(shell, "SELECT account_id, balance_micros FROM wallet") == [("ann", 0)]
    changed = shell.json("users", "patch", "ann", "--role", "operator", "--name", "Ann")
    assert (changed["role"], changed["name"], changed["email"]) == (
        *("operator", "Ann", "ann@x.example"),
    )
    assert shell.json("users", "patch", "ann", "--email", "")["email"] is None
    assert shell.json("users", "deactivate", "ann")["is_active"] is False
    assert shell.json("users", "activate", "ann")["is_active"] is True
    assert shell.json("users", "sign-out", "ann") == {"closed": 0}
    assert [one["id"] for one in shell.json("users", "list", "--search", "AN")] == ["ann"]
    assert shell.json("users", "list", "--role", "viewer") == []
    status, out, _ = shell.run("users", "list")
    assert status == 0 and "ann" in out and "argon2" not in out
    ((actors,),) = stored(
        shell, "SELECT group_concat(DISTINCT actor) FROM audit WHERE subject LIKE 'user:%'"
    )
    assert actors == "cli"


def test_a_password_is_set_from_standard_input_and_taken_away(
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell.run("users", "create", "--id", "ann")
    for text, status in (("short\n", 1), ("", 1), ("a long enough one\n", 0)):
        type_in(monkeypatch, text)
        assert shell.run("users", "password", "ann")[0] == status
    assert shell.json("users", "password", "ann", "--remove")["has_password"] is False


def test_teams_are_kept_from_the_command_line(shell: Shell) -> None:  # noqa: F811
    shell.run("users", "create", "--id", "ann", "--name", "Ann")
    team = shell.json("teams", "create", "Blue")["id"]
    assert shell.json("teams", "add", team, "ann")["members"] == 1
    assert shell.json("teams", "members", team) == [
        {"user_id": "ann", "name": "Ann", "email": None}
    ]
    assert shell.json("teams", "rename", team, "Green")["name"] == "Green"
    assert [one["name"] for one in shell.json("teams", "list")] == ["Green"]
    assert shell.json("teams", "remove", team, "ann")["members"] == 0
    assert shell.run("teams", "delete", team)[0] == 0
    assert shell.run("teams", "list")[1].startswith("no teams yet")


@pytest.mark.parametrize("group", ["users", "teams"])
def test_limits_are_shown_and_changed_one_by_one(shell: Shell, group: str) -> None:  # noqa: F811
    """What is not named stays: an operator changes one number, not the whole list."""
    shell.run("users", "create", "--id", "ann")
    shell.run("teams", "create", "Blue", "--id", "blue")
    words = (group, "limits", "ann" if group == "users" else "blue")
    assert shell.json(*words) == {"limits": []}
    assert "has no limits" in shell.run(*words)[1]
    first = shell.json(*words, "--set", "requests/minute=60", "--set", "points/month=12.5")
    assert [(one["dimension"], one["span"], one["amount"]) for one in first["limits"]] == [
        ("requests", "minute", 60),
        ("points", "month", 12.5),
    ]
    assert first["limits"][1]["amount_micros"] == 12_500_000
    again = shell.json(*words, "--set", "requests/minute=90", "--zone", "Asia/Shanghai")
    assert {one["dimension"]: (one["amount"], one["zone"]) for one in again["limits"]} == {
        "requests": (90, "Asia/Shanghai"),
        "points": (12.5, "UTC"),
    }
    assert shell.json(*words) == again
    words_of_change = ("--set", "tokens/day=unlimited", "--set", "requests/minute=91")
    last = shell.json(*words, "--remove", "points/month", *words_of_change)
    assert {one["dimension"]: (one["amount"], one["zone"]) for one in last["limits"]} == {
        "requests": (91, "Asia/Shanghai"),
        "tokens": (None, "UTC"),
    }
    status, out, _ = shell.run(*words)
    assert status == 0 and "unlimited" in out and "91" in out
    assert len(stored(shell, "SELECT 1 FROM audit WHERE action LIKE '%.limits'")) == 3


@pytest.mark.parametrize(
    "change",
    [
        *("requests/minute", "requests/week=1", "words/day=1", "requests/day=-1"),
        *("requests/day=1.5", "points/day=much", "tokens/day=" + "9" * 30),
    ],
)
def test_a_limit_that_is_not_understood_changes_nothing(
    shell: Shell,  # noqa: F811
    change: str,
) -> None:
    shell.run("users", "create", "--id", "ann")
    status, out, err = shell.run("users", "limits", "ann", "--set", change)
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert stored(shell, "SELECT 1 FROM audit WHERE action LIKE '%.limits'") == []


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("users", "limits", "nobody"), 1),
        (("users", "limits", "ann", "--remove", "tokens/day"), 1),
        (("users", "limits", "ann", "--set", "tokens/day=1", "--zone", "Mars/Base"), 2),
        (("teams", "limits", "ann"), 1),
        (("users", "create", "--id", "ann"), 1),
        (("users", "create", "--id", "a/b"), 1),
        (("users", "create", "--role", "owner"), 2),
        (("users", "patch", "nobody", "--name", "x"), 1),
        (("users", "deactivate", "nobody"), 1),
        (("teams", "members", "nothing"), 1),
        (("teams", "delete", "nothing"), 1),
    ],
)
def test_a_slip_is_one_line_and_a_status(
    shell: Shell,  # noqa: F811
    words: tuple[str, ...],
    status: int,
) -> None:
    shell.run("users", "create", "--id", "ann")
    ended, out, err = shell.run(*words)
    assert (ended, out) == (status, "") and err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("users", "list"),
        ("users", "patch", "ann", "--name", "x"),
        ("users", "deactivate", "ann"),
        ("users", "sign-out", "ann"),
        ("teams", "list"),
        ("teams", "members", "t"),
        ("teams", "delete", "t"),
    ],
    ids=" ".join,
)
def test_a_folder_without_a_store_stays_empty(
    shell: Shell,  # noqa: F811
    words: tuple[str, ...],
) -> None:
    assert shell.run(*words)[0] == 3
    assert not Path(shell.data).exists()
