"""The first start, and every start that cannot be: one line says why, and the status is 1."""

import signal
import sqlite3
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.fakes.upstream import RunningUpstream
from tests.system.conftest import MakeNode
from tests.system.harness import Node, free_port, until

pytestmark = pytest.mark.slow


def test_a_second_node_on_the_same_folder_says_so(make_node: MakeNode, tmp_path: Path) -> None:
    first = make_node(workers=1)
    second = Node(tmp_path / "second", settings={"TALLYGATE_DATA": str(first.data)})
    status, line = second.refusal()
    assert (status, line.split(str(first.data))[0]) == (1, "another tallygate serves ")


def test_a_second_node_on_the_same_port_says_so(make_node: MakeNode, tmp_path: Path) -> None:
    first = make_node(workers=1)
    second = Node(tmp_path / "second", settings={"TALLYGATE_PORT": str(first.port)})
    status, line = second.refusal()
    assert status == 1
    assert line.startswith(f"port {first.port} on 127.0.0.1 is in use")


def test_metrics_have_a_port_of_their_own_if_wished(make_node: MakeNode, tmp_path: Path) -> None:
    """Without a token; a rolling restart hands the port on, and a second node is told."""
    port = str(free_port())
    first = make_node(workers=1, settings={"TALLYGATE_METRICS_PORT": port})

    def scraped() -> bool:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return b"tallygate_clerk_feed_seq" in answer.read()

    assert scraped()
    before = first.pids()["control"]
    first.send(signal.SIGHUP)
    until(lambda: "rolling restart done" in first.log, "all roles are replaced")
    assert first.pids()["control"] != before and scraped()
    second = Node(tmp_path / "second", settings={"TALLYGATE_METRICS_PORT": port})
    status, line = second.refusal()
    assert status == 1 and f"port {port}" in line and "TALLYGATE_METRICS_PORT" in line


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("TALLYGATE_PORT", "eighty", "TALLYGATE_PORT"),
        ("DATABASE_URL", "mysql://here", "TALLYGATE_DATABASE_URL"),
        ("DEEPSEEK_BASE_URL", "api.deepseek.com", "TALLYGATE_DEEPSEEK_BASE_URL"),
        ("TALLYGATE_TIME_ZONE", "Mars/Olympus", "Mars/Olympus"),
        ("TALLYGATE_DATA", "/proc/nowhere", "/proc/nowhere"),
        ("TALLYGATE_TRUSTED_PROXIES", "10.0.0.0/33", "TALLYGATE_TRUSTED_PROXIES"),
    ],
)
def test_a_bad_setting_is_named(tmp_path: Path, setting: str, value: str, said: str) -> None:
    """One line with the setting's name, no traceback, and nothing is left running."""
    node = Node(tmp_path / "node", settings={setting: value})
    status, line = node.refusal()
    assert status == 1
    assert said in line
    assert "Traceback" not in node.log


def test_a_journal_that_finds_no_room_stops_the_start(tmp_path: Path) -> None:
    """A full disk is one line, not a worker that tries for ever behind a port that stays shut."""
    settings = {"TALLYGATE_JOURNAL_SEGMENT_BYTES": str(1 << 62)}  # no disk has as much
    node = Node(tmp_path / "node", workers=1, settings=settings)
    status, line = node.refusal()
    assert status == 1
    assert "journal cannot be written" in line
    assert "Traceback" not in node.log


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    """Which of several disks or folders it lies in is what its operator looks for."""
    node = Node(tmp_path / "node", workers=1)
    node.data.mkdir(parents=True)
    (node.data / "tallygate.db").write_text("no database\n" * 1000)
    status, line = node.refusal()
    assert status == 1
    assert str(node.data / "tallygate.db") in line and "not an SQLite database" in line


def test_an_unreachable_database_is_named_and_its_password_is_not(tmp_path: Path) -> None:
    url = f"postgresql://somebody:hunter2@127.0.0.1:{free_port()}/tallygate"
    node = Node(tmp_path / "node", database_url=url)
    status, line = node.refusal()
    assert status == 1
    assert "DATABASE_URL" in line
    assert "hunter2" not in node.log
    assert "Traceback" not in node.log


def test_the_servers_doctor_looks_at_what_the_server_was_started_with(
    make_node: MakeNode, postgresql_url: str
) -> None:
    """Its store and its provider come from the environment, which its roles do not have."""
    node = make_node(workers=1, database_url=postgresql_url)
    said = node.admin("GET", "/api/doctor")
    found = {one["subject"]: one["text"] for one in said["findings"]}
    assert said["ok"]
    assert found["providers"] == "deepseek"
    assert "PostgreSQL" in found["store"]
    assert found["server"] == "running"


def test_an_unknown_setting_only_warns(make_node: MakeNode) -> None:
    """A slip in a name must not go unseen, nor keep the node from serving."""
    node = make_node(workers=1, settings={"TALLYGATE_PROT": "1"})
    assert "TALLYGATE_PROT is not a setting" in node.log


def test_metrics_name_what_workers_and_clerk_report(make_node: MakeNode) -> None:
    """What a dashboard is built on: requests by outcome, refusals, the journal's lag."""
    node = make_node(workers=1)
    key = node.make_key(1)
    assert [node.chat(key)[0] for _ in range(2)] == [200, 429]
    wanted = (b'tallygate_requests_total{provider="deepseek",outcome="ok"', b'{code="')
    until(lambda: all(one in node.admin("GET", "/metrics") for one in wanted), "both are counted")
    assert b"tallygate_clerk_journal_lag_bytes" in node.admin("GET", "/metrics")


def test_the_admin_token_is_shown_once_and_kept_for_its_owner(
    tmp_path: Path, upstream: RunningUpstream
) -> None:
    """The first start prints it; later starts do not write it into every log."""
    node = Node(tmp_path / "node", upstream=upstream.base_url, settings={"ADMIN_TOKEN": ""})
    with node:
        kept = node.data / "admin-token"
        token = kept.read_text().strip()
        assert kept.stat().st_mode & 0o777 == 0o600
        assert token in node.log
        assert node.ask("GET", "/admin/keys", headers={"x-admin-token": token})[0] == 200
    (node.folder / "log").unlink()
    with node:
        assert token not in node.log


def test_the_old_servers_database_is_taken_over_at_the_first_start(
    make_node: MakeNode, tmp_path: Path
) -> None:
    """Whoever runs the seed's server stops it, starts this one, and their users notice nothing."""
    old = tmp_path / "quota-proxy.db"
    today = time.strftime("%Y-%m-%d", time.gmtime())
    key = "roc_7d9f8e7c6b5a4d3c2b1a0f9e8d7c6b5a"
    with sqlite3.connect(old) as connection:
        connection.executescript(
            """
            CREATE TABLE trial_keys (key TEXT PRIMARY KEY, label TEXT, created_at INTEGER,
                daily_limit INTEGER DEFAULT 200, is_active INTEGER DEFAULT 1);
            CREATE TABLE usage_stats (id INTEGER PRIMARY KEY AUTOINCREMENT, trial_key TEXT,
                day TEXT, requests INTEGER DEFAULT 0, updated_at INTEGER,
                UNIQUE(trial_key, day), FOREIGN KEY (trial_key) REFERENCES trial_keys(key));
            """
        )
        connection.execute("INSERT INTO trial_keys VALUES (?, 'old', 1739299200000, 5, 1)", (key,))
        connection.execute(
            "INSERT INTO usage_stats (trial_key, day, requests, updated_at) VALUES (?, ?, 3, ?)",
            (key, today, 1739299300000),
        )
    connection.close()
    before = old.read_bytes()
    node = make_node(workers=1, settings={"SQLITE_DB_PATH": str(old)})
    assert node.requests_of(key) == 3
    assert [node.chat(key)[0] for _ in range(3)] == [200, 200, 429]
    assert node.requests_of(key) == 5
    assert old.read_bytes() == before
    assert (tmp_path / "quota-proxy.tallygate.db").exists()
