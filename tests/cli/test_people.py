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


@pytest.mark.parametrize(
    ("words", "status"),
    [
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
