"""Keepers as processes: killed, racing, told to stop, on a machine without Unix's modules."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.credential_upstream import CredentialUpstream, running

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, "-c", "from tallygate.cli import main; main()")
# What Windows lacks, as far as an import or a look at `os` shows it.
AS_WINDOWS = """
import sys, os
for name in ("fcntl", "pwd", "grp", "termios", "resource", "uvloop"):
    sys.modules[name] = None
for name in ("O_CLOEXEC", "geteuid", "getuid", "fchmod", "fork", "sched_getaffinity"):
    if hasattr(os, name):
        delattr(os, name)
from tallygate.cli import main
main()
"""
PATIENCE_S = 60.0


class Machine:
    def __init__(self, folder: Path, url: str, database_url: str = "") -> None:
        self.folder = folder
        self.url = url
        self.environ = {
            **{name: value for name, value in os.environ.items() if "TALLYGATE" not in name},
            "TALLYGATE_DATA": str(folder / "data"),
            "TALLYGATE_DATABASE_URL": database_url,
            "LANG": "C.UTF-8",
        }

    def start(self, *words: str, command: tuple[str, ...] = COMMAND) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*command, "keeper", *words],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *words: str, secret: str = "", command: tuple[str, ...] = COMMAND
    ) -> tuple[int, str]:
        process = self.start(*words, command=command)
        out, err = process.communicate(secret, timeout=PATIENCE_S)
        assert "Traceback" not in err, err
        return process.returncode, out + err

    def take_in(self, *tokens: str, kind: str = "baoming", variable: str = "base_url") -> None:
        rows = [json.dumps({"token": token, "name": token}) for token in tokens]
        (self.folder / "rows.jsonl").write_text("\n".join(rows), "utf-8")
        pair = f"{variable}={self.url}{'/token' if kind == 'oauth2' else ''}"
        status, said = self.run("import", "rows.jsonl", "--kind", kind, "--var", pair)
        assert status == 0, said

    def states(self) -> dict[str, str]:
        status, out = self.run("list", "--json")
        assert status == 0
        return {row["name"]: row["state"] for row in json.loads(out)}


@pytest.fixture
def upstream() -> Iterator[CredentialUpstream]:
    with running() as found:
        yield found


@pytest.fixture
def machine(tmp_path: Path, upstream: CredentialUpstream) -> Machine:
    return Machine(tmp_path, upstream.base_url())


def wait_until(holds: Callable[[], bool]) -> None:
    """For what another process does; only a broken one uses up the patience."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def test_a_killed_run_loses_nothing_and_asks_nobody_twice(
    tmp_path: Path, store_url: str, upstream: CredentialUpstream
) -> None:
    """kill -9 in the middle, on each store; whoever starts it again goes on with what is left."""
    database_url = "" if store_url.startswith("sqlite") else store_url
    machine = Machine(tmp_path, upstream.base_url(), database_url)
    tokens = [f"slow-{number}" for number in range(7)]
    machine.take_in(*tokens)
    killed = machine.start("refresh")
    wait_until(lambda: len(upstream.seen) >= 3)
    killed.kill()
    killed.communicate()
    status, said = machine.run("refresh")
    assert status == 0, said
    assert set(machine.states()) == set(tokens)
    hits = upstream.hits()
    assert set(hits) == set(tokens) and set(hits.values()) == {1}
    states = machine.states()
    left = [token for token in tokens if states[token] != "valid"]
    assert len(left) <= 1, "at most the one that was being asked about"
    machine.run("refresh")
    assert set(machine.states().values()) == {"valid"}


def test_two_keepers_spend_a_single_use_token_once(
    machine: Machine, upstream: CredentialUpstream
) -> None:
    """The loser of the race takes the winner's result for its own."""
    tokens = ["refresh-a", "refresh-b", "refresh-c"]
    upstream.refresh_tokens.update(tokens)
    machine.take_in(*tokens, kind="oauth2", variable="token_url")
    both = [machine.start("refresh"), machine.start("refresh")]
    for one in both:
        _, err = one.communicate(timeout=PATIENCE_S)
        assert one.returncode == 0, err
    assert [upstream.spent[token] for token in tokens] == [1, 1, 1]
    assert set(machine.states().values()) == {"valid"}


def test_the_old_crontab_runs_as_it_was(machine: Machine, upstream: CredentialUpstream) -> None:
    """The three lines of the old tool, but for the program's name."""
    machine.take_in("valid-1")
    lines = [
        "cd {folder} && {program} --max-age-days 7",
        "cd {folder} && {program}",
        "cd {folder} && {program} --cleanup-days 30",
        "cd {folder} && {program} >> refresh.log 2>&1",
    ]
    program = f"{sys.executable} -c 'from tallygate.cli import main; main()' keeper refresh"
    for line in lines:
        shell = line.format(folder=machine.folder, program=program)
        assert subprocess.run(["sh", "-c", shell], env=machine.environ).returncode == 0
    assert upstream.hits() == {"valid-1": 3}
    assert "Refreshed: 1" in (machine.folder / "refresh.log").read_text("utf-8")


def test_the_scheduler_begins_at_once_if_told_and_ends_when_told(
    machine: Machine, upstream: CredentialUpstream
) -> None:
    machine.take_in("valid-1")
    words = ("--scheduler", "--interval", "4", "--run-immediately", "--lang", "zh")
    running_one = machine.start("refresh", *words, "--log-file", "own.log")
    log = machine.folder / "own.log"
    wait_until(lambda: log.exists() and "下次刷新" in log.read_text("utf-8"))
    running_one.send_signal(signal.SIGTERM)
    out, err = running_one.communicate(timeout=PATIENCE_S)
    assert running_one.returncode == 0, err
    assert "每 4 小时刷新一次" in out and "✅ 成功: 1 个" in out and "定时器已停止" in out
    assert upstream.hits() == {"valid-1": 1}


def test_its_commands_need_nothing_that_windows_lacks(
    machine: Machine, upstream: CredentialUpstream
) -> None:
    """The keeper runs there; a module of Unix on its way would keep it from starting."""
    windows = (sys.executable, "-c", AS_WINDOWS)
    words = ("add", "--kind", "baoming", "--name", "n", "--var", f"base_url={machine.url}")
    status, said = machine.run(*words, secret="valid-1", command=windows)
    assert status == 0, said
    for command in (("refresh", "--log-file", "a.log"), ("list", "--json"), ("test",), ("kinds",)):
        status, said = machine.run(*command, command=windows)
        assert status == 0, said
    assert upstream.hits() == {"valid-1": 2}
