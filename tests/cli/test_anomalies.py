"""tallygate anomalies, beside no server: what an operator types, and what comes of it."""

import asyncio

import pytest

from tallygate.core.anomalies import Evidence
from tallygate.store import anomalies
from tallygate.store.database import Database
from tests.cli.test_commands import Shell, shell  # noqa: F401 - a fixture


def happened(place: Shell, key_id: int) -> None:
    async def insert() -> None:
        db = Database(f"sqlite:///{place.data}/tallygate.db")
        await db.open()
        evidence = Evidence(what="uses in an hour", expected=2.0, seen=80, chance=-12.5)
        async with db.writing() as tx:
            await anomalies.insert(tx, "volume", key_id, 1_770_800_000_000, evidence, 0)
        await db.close()

    asyncio.run(insert())


@pytest.mark.parametrize("words", [("list",), ("show", "1"), ("acknowledge", "1")])
def test_a_folder_without_a_store_is_named_and_left_empty(
    shell: Shell,  # noqa: F811 - the fixture
    words: tuple[str, ...],
) -> None:
    """Looking at a mistyped folder must not make one."""
    status, _, said = shell.run("anomalies", *words)
    assert status == 3
    assert str(shell.data) in said
    assert not shell.data.exists()


def test_an_anomaly_is_listed_shown_and_acknowledged(shell: Shell) -> None:  # noqa: F811
    """From the terminal as from the API."""
    token = shell.run("tokens", "create", "n8n")[1].strip()
    happened(shell, 1)
    (listed,) = shell.json("anomalies", "list", "--state", "open", "--key", token)
    assert (listed["kind"], listed["key_label"]) == ("volume", "n8n")
    assert "80 uses in an hour, usually 2" in shell.run("anomalies", "list")[1]
    assert "10^-12.5" in shell.run("anomalies", "show", "1")[1]
    assert shell.json("anomalies", "acknowledge", "1", "--note", "a test")["note"] == "a test"
    assert shell.json("anomalies", "list", "--state", "open") == []
    assert shell.run("anomalies", "acknowledge", "1")[0] == 1
    assert shell.run("anomalies", "show", "2")[0] == 1
    assert shell.run("anomalies", "list", "--kind", "strange")[0] == 2


def test_a_token_is_told_what_an_anomaly_does_to_it(shell: Shell) -> None:  # noqa: F811
    """`default` goes back to what the setting says."""
    token = shell.run("tokens", "create", "n8n")[1].strip()
    assert shell.json("anomalies", "throttle", token, "stop")["throttle"] == "stop"
    assert shell.json("anomalies", "throttle", "1", "default")["throttle"] is None
    assert shell.run("anomalies", "throttle", token, "faster")[0] == 2
