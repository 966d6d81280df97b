"""The keeper's commands beside a running server: its clerk makes the changes, its page counts."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from tests.system.conftest import MakeNode
from tests.system.harness import Node
from tests.system.test_rotation import tallygate

pytestmark = pytest.mark.slow

ADDRESS = "base_url=http://127.0.0.1:9/api"


def rows(node: Node, query: str) -> list[Any]:
    with closing(sqlite3.connect(node.data / "tallygate.db")) as connection:
        return connection.execute(query).fetchall()


def test_changes_are_the_clerks_and_figures_are_on_its_page(make_node: MakeNode) -> None:
    """One writer on a node: what a command changes is in force, and told, as any other change."""
    node = make_node(workers=1, settings={"TALLYGATE_KEEPER_INTERVAL_H": "0"})
    words = ("keeper", "add", "--kind", "baoming", "--name", "n", "--var", ADDRESS)
    assert tallygate(node, *words, secret="s3cret-1")[0] == 0
    status, said = tallygate(node, *words, secret="s3cret-1")
    assert status == 1 and "credential 1" in said and "s3cret" not in said
    file = node.folder / "rows.jsonl"
    file.write_text('{"token":"s3cret-1","name":"n"}\n{"token":"s3cret-2","name":"m"}\n', "utf-8")
    status, said = tallygate(node, "keeper", "import", str(file))
    assert status == 0 and "1 credentials taken in" in said and "lack a variable" in said
    status, said = tallygate(node, "keeper", "import", str(file), "--var", ADDRESS)
    assert status == 0 and "1 of them got variables" in said
    status, said = tallygate(node, "keeper", "restore", "n")
    assert status == 1 and "not quarantined" in said
    page = node.admin("GET", "/metrics").decode()
    assert 'tallygate_keeper_credentials{kind="baoming",state="fresh"} 2\n' in page
    assert "tallygate_keeper_last_run" not in page
    assert tallygate(node, "keeper", "delete", "n")[0] == 0
    page = node.admin("GET", "/metrics").decode()
    assert 'tallygate_keeper_credentials{kind="baoming",state="deleted"} 1\n' in page
    told = {row[0] for row in rows(node, "SELECT DISTINCT node FROM feed")}
    assert told and "cli" not in told
    audited = rows(node, "SELECT action, COUNT(*) FROM audit GROUP BY action ORDER BY action")
    assert dict(audited)["credential.create"] == 2 and dict(audited)["credential.patch"] == 1
    assert "s3cret" not in str(rows(node, "SELECT * FROM audit"))
