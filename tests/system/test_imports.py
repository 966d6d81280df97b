"""`tallygate import` beside a running server."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.conftest import MakeNode

pytestmark = pytest.mark.slow

KEY = "roc_7d9f8e7c6b5a4d3c2b1a0f9e8d7c6b5a"
CLI = (sys.executable, "-c", "from tallygate.cli import main; main()")


def test_keys_imported_beside_a_running_server_work_at_once(
    make_node: MakeNode, tmp_path: Path
) -> None:
    """The server's clerk is the store's one writer, and its gateways hear of it."""
    old = tmp_path / "old.db"
    today = time.strftime("%Y-%m-%d", time.gmtime())
    with sqlite3.connect(old) as connection:
        connection.execute("CREATE TABLE trial_keys (key, label, created_at, daily_limit)")
        connection.execute("INSERT INTO trial_keys VALUES (?, 'old', 1739299200000, 5)", (KEY,))
        connection.execute("CREATE TABLE usage_stats (trial_key, day, requests, updated_at)")
        connection.execute("INSERT INTO usage_stats VALUES (?, ?, 4, 1739299300000)", (KEY, today))
    connection.close()
    node = make_node(workers=2)
    assert {node.chat(KEY)[0] for _ in range(4)} == {401}
    ended = subprocess.run(
        [*CLI, "import", "quota-proxy", str(old), "--json"],
        env={**os.environ, **node.settings},
        capture_output=True,
        check=True,
    )
    assert json.loads(ended.stdout)["keys"] == 1
    deadline = time.monotonic() + 5
    while (status := node.chat(KEY)[0]) == 401 and time.monotonic() < deadline:
        pass
    assert status == 200
    assert {node.chat(KEY)[0] for _ in range(4)} == {429}
    audited = node.admin("GET", "/api/audit")["items"]
    done = [one["action"] for one in audited if one["action"] != "price.import"]
    assert done == ["import.quota_proxy"]
