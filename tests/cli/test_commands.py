"""The command line as an operator meets it: exit status, stdout, stderr."""

import asyncio
import json
import socket
import sqlite3
import threading
from pathlib import Path

import pytest

from tallygate.clerk.clock import NodeClock
from tallygate.cli import main
from tallygate.cli.imports import KEYS_PER_PORTION
from tallygate.core.commands import SaveProvider
from tallygate.core.errors import StoreUnavailable
from tallygate.store import providers, sqlite_tx
from tallygate.store.database import Database
from tallygate.store.quota_proxy import NO_LONGER_THERE
from tallygate.store.threads import ConnectionThread
from tests.store.test_quota_proxy_file import KEY, path  # noqa: F401 - a fixture


class Shell:
    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self._capsys = capsys

    def run(self, *words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--data", str(self.data)])
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return int(ended.value.code or 0), said.out, said.err

    def json(self, *words: str) -> object:
        status, out, _ = self.run(*words, "--json")
        assert status == 0
        return json.loads(out)


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    for name in ("DATABASE_URL", "SQLITE_DB_PATH", "ADMIN_TOKEN", "DEEPSEEK_API_KEY", "PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path / "data", capsys)


READING = [
    ("keys", "list"),
    ("keys", "revoke", "1"),
    ("keys", "rotate", "1"),
    ("keys", "deactivate-unused", "--days", "3"),
    ("usage", "show"),
    ("usage", "reports"),
    ("usage", "clean", "--older-than", "3"),
    ("prices", "list"),
    ("prices", "set", "m", "--input", "1", "--output", "1"),
    ("prices", "history", "m"),
    ("prices", "alias", "n", "m"),
    ("rate", "show"),
    ("rate", "set", "5"),
    ("rate", "history"),
    ("db", "check"),
    ("db", "backup", "b.db"),
    ("db", "repair"),
    ("db", "migrate"),
    ("journal", "show"),
    ("journal", "verify"),
    ("node", "list"),
    ("node", "retire", "a"),
    ("doctor",),
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_folder_without_a_store_is_named_and_left_empty(
    shell: Shell, words: tuple[str, ...]
) -> None:
    """A mistyped folder must not become a second, empty installation."""
    status, out, err = shell.run(*words)
    assert (status, out) == (3, "")
    assert str(shell.data) in err and err.count("\n") == 1
    assert not shell.data.exists()


def test_a_key_lives_from_creation_to_revocation(shell: Shell) -> None:
    """The first command on a fresh machine makes the store, too."""
    status, out, err = shell.run("keys", "create", "--label", "测试", "--daily-limit", "5")
    key = out.strip()
    assert status == 0 and key.startswith("roc_") and "5 requests a day" in err
    (listed,) = shell.json("keys", "list")
    assert (listed["label"], listed["daily_limit"]) == ("测试", 5)
    assert key not in shell.run("keys", "list")[1]
    rotated = shell.json("keys", "rotate", key, "--grace", "60")
    assert rotated["id"] == listed["id"] and rotated["secret"] != key
    assert shell.run("keys", "revoke", key)[0] == 0
    status, out, err = shell.run("keys", "revoke", key)
    assert (status, out) == (1, "") and "no such key" in err
    assert shell.json("keys", "list") == []


def test_the_store_and_its_secrets_are_private(shell: Shell) -> None:
    """Others on the machine must not read what opens every upstream."""
    shell.run("keys", "create")
    for name in ("tallygate.db", "master.key"):
        assert (shell.data / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("nonsense",), 2),
        (("keys", "create", "--daily-limit", "-1"), 2),
        (("keys", "create", "--daily-limit", "many"), 2),
        (("usage", "show", "--day", "2026-02-30"), 2),
        (("usage", "clean"), 2),
        (("import", "quota-proxy", "missing.db"), 1),
        (("verify", "--url", "nowhere"), 2),
    ],
)
def test_a_mistake_is_one_line_and_a_status(
    shell: Shell, words: tuple[str, ...], status: int
) -> None:
    """Scripts branch on the status, people read the line."""
    shell.run("keys", "create")
    ended, out, err = shell.run(*words)
    assert (ended, out) == (status, "") and err.strip()


def test_a_bad_setting_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator reads which variable it was, not where the code tripped over it."""
    monkeypatch.setenv("TALLYGATE_TIME_ZONE", "Mars/Olympus")
    status, _, err = shell.run("keys", "list")
    assert status == 3 and "TALLYGATE_TIME_ZONE" in err and err.count("\n") == 1
    monkeypatch.setenv("TALLYGATE_TIME_ZONE", "UTC")
    monkeypatch.setenv("TALLYGATE_TIMEZONE", "UTC")
    assert "TALLYGATE_TIMEZONE is not a setting" in shell.run("keys", "create")[2]


def test_an_old_quota_proxy_is_imported_once_and_tried_first(
    shell: Shell,
    path: Path,  # noqa: F811 - the fixture
) -> None:
    """A dry run changes nothing; a second run doubles nothing."""
    tried = shell.json("import", "quota-proxy", str(path), "--dry-run")
    assert (tried["keys"], tried["requests"]) == (1, 15)
    assert shell.json("keys", "list") == []
    assert shell.json("import", "quota-proxy", str(path))["keys"] == 1
    again = shell.json("import", "quota-proxy", str(path))
    assert (again["keys"], again["requests"]) == (0, 0)
    used = shell.json("usage", "show", "--day", "2026-02-11")
    assert used["total_requests"] == 15
    assert shell.run("keys", "revoke", KEY)[0] == 0


def test_many_old_keys_are_imported_in_portions_that_add_up(shell: Shell, tmp_path: Path) -> None:
    """Between portions a server grants leases; the report is of the whole file all the same."""
    file = tmp_path / "many.db"
    with sqlite3.connect(file) as old:
        old.execute("CREATE TABLE trial_keys (key TEXT PRIMARY KEY, label, created_at INTEGER)")
        old.execute("CREATE TABLE usage_stats (trial_key, day, requests INTEGER, updated_at)")
        keys = [f"roc_{number:032x}" for number in range(2 * KEYS_PER_PORTION + 1)]
        old.executemany("INSERT INTO trial_keys VALUES (?, 'x', 1739299200000)", zip(keys))
        days = [(key, "2026-02-11", 2, 1739299200000) for key in [*keys, "gone", "lost"]]
        old.executemany("INSERT INTO usage_stats VALUES (?, ?, ?, ?)", days)
    old.close()
    done = shell.json("import", "quota-proxy", str(file))
    assert (done["keys"], done["days"], done["requests"]) == (len(keys), len(keys), 2 * len(keys))
    assert done["skipped"] == {NO_LONGER_THERE: 2}
    again = shell.json("import", "quota-proxy", str(file))
    assert (again["keys"], again["known"]) == (0, 2 * len(keys))


def test_a_backup_is_restored_and_says_what_is_not_in_it(shell: Shell, tmp_path: Path) -> None:
    """Without the master key the secrets in a backup stay closed: better read that before."""
    shell.run("keys", "create", "--label", "before")
    status, _, err = shell.run("db", "backup", str(tmp_path / "b.db"))
    assert status == 0 and "master key is not in the backup" in err
    shell.run("keys", "create", "--label", "after")
    assert shell.run("db", "restore", str(tmp_path / "b.db"))[0] == 0
    assert [one["label"] for one in shell.json("keys", "list")] == ["before"]


def test_a_damaged_store_fails_the_check_and_is_repaired(shell: Shell) -> None:
    """Status 1 is what a nightly job looks at."""
    for _ in range(3):
        shell.run("keys", "create", "--label", "x" * 900)
    store = shell.data / "tallygate.db"
    assert shell.run("db", "check")[0] == 0
    with sqlite3.connect(store) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        root = "(SELECT rootpage FROM sqlite_master WHERE name = 'counter')"
        connection.execute(f"UPDATE sqlite_master SET rootpage = {root} WHERE name = 'attempt'")
    connection.close()
    status, out, _ = shell.run("db", "check")
    assert status == 1 and "db repair" in out
    assert shell.run("doctor")[0] == 1


def test_doctor_names_a_provider_whose_secret_stays_shut(shell: Shell) -> None:
    """The node serves without it; somebody has to be told why."""
    shell.run("keys", "create")

    async def seal_under_another_key() -> None:
        db = Database(f"sqlite:///{shell.data}/tallygate.db")
        await db.open()
        async with db.writing() as tx:
            new = SaveProvider(name="acme", is_new=True, base_url="https://a.example", secret="s")
            await providers.save(tx, b"x" * 32, new, None, 1)
        await db.close()

    asyncio.run(seal_under_another_key())
    status, out, _ = shell.run("doctor")
    assert status == 1 and "acme: the master key does not open its secret" in " ".join(out.split())


def test_doctor_says_that_the_demo_answers_and_that_a_token_is_short(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What works by accident today is what fails tomorrow."""
    monkeypatch.setenv("ADMIN_TOKEN", "short")
    shell.run("keys", "create")
    (shell.data / "master.key").chmod(0o644)
    status, out, _ = shell.run("doctor", "--json")
    findings = {one["subject"]: one for one in json.loads(out)["findings"]}
    assert status == 1
    assert findings["permissions"]["verdict"] == "fail"
    assert findings["admin token"]["verdict"] == "warn"
    assert "demo/echo" in findings["providers"]["text"]


def test_verify_reports_a_server_that_is_not_there(shell: Shell) -> None:
    """It must fail, not hang, and a dry run must not need a server at all."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        status, out, _ = shell.run("verify", "--url", url, "--admin-token", "x")
        assert status == 1 and "does not answer" in out
        status, out, _ = shell.run("verify", "--url", url, "--dry-run")
        assert status == 0 and "nothing was sent" in out


def test_a_clerk_that_can_not_start_says_why(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy store is named in one line, also when it fails half way through the start."""
    assert shell.run("keys", "create")[0] == 0

    async def fail(_: NodeClock) -> None:
        raise StoreUnavailable("the store did not answer in time")

    monkeypatch.setattr(NodeClock, "adjust", fail)
    status, out, err = shell.run("rate", "set", "5")
    assert (status, out) == (3, "")
    assert "did not answer in time" in err and err.count("\n") == 1


@pytest.mark.parametrize("words", [("keys", "list"), ("rate", "set", "5")], ids=" ".join)
def test_what_is_done_is_done_however_long_the_store_takes_to_close(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """The log is written home by the last one that closes, and a disk may be busy then."""
    assert shell.run("keys", "create")[0] == 0
    close, may_go_on, is_over = ConnectionThread._disconnect, threading.Event(), threading.Event()

    def close_late(thread: ConnectionThread) -> None:
        may_go_on.wait()
        close(thread)
        is_over.set()

    with monkeypatch.context() as patched:
        patched.setattr(ConnectionThread, "_disconnect", close_late)
        patched.setattr(sqlite_tx, "CLOSE_WAIT_S", 0.01)
        status, _, err = shell.run(*words)
    may_go_on.set()
    assert status == 0, err
    assert is_over.wait(60)
    assert shell.run("keys", "list")[0] == 0
