"""Alerts where cron is all there is: sent by the run itself, once, and by no server again."""

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.clerk.test_notices import SECRET
from tests.fakes.credential_upstream import CredentialUpstream
from tests.fakes.receiver import Receiver, receiving
from tests.keeper.conftest import Shell

HOUR_MS = 3_600_000
LACKING = '{"token":"%s","name":"%s"}\n'  # without an address: its check fails at once


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A webhook's receiver in a thread of its own, and the settings that name it."""
    ready, ending = threading.Event(), asyncio.Event()
    found: list[Receiver] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with receiving() as one:
            found.append(one)
            ready.set()
            await ending.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    monkeypatch.setenv("TALLYGATE_NOTIFY_WEBHOOK_URL", found[0].url)
    monkeypatch.setenv("TALLYGATE_NOTIFY_WEBHOOK_SECRET", SECRET)
    yield found[0]
    loop.call_soon_threadsafe(ending.set)
    thread.join(10)
    loop.close()


def told(receiver: Receiver) -> list[str]:
    """What came since the last look, by kind."""
    kinds = [json.loads(body)["type"] for _, body in receiver.received]
    receiver.received.clear()
    return kinds


def in_store(shell: Shell, statement: str, *values: Any) -> list[Any]:
    (file,) = shell.data.glob("*.db")
    with closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def take_in(shell: Shell, *tokens: str) -> None:
    """Credentials that can not be checked, for they lack their address."""
    file = shell.data.parent / "rows.jsonl"
    file.write_text("".join(LACKING % (token, token) for token in tokens), "utf-8")
    assert shell.run("import", str(file))[0] == 0


def test_a_credential_that_died_is_told_once(
    shell: Shell,
    receiver: Receiver,
    upstream: CredentialUpstream,
) -> None:
    """Signed as always; the next run of the same cron line has nothing to tell."""
    shell.add("invalid-s3cret", upstream.base_url())
    assert shell.run("refresh")[0] == 0
    ((headers, body),) = receiver.received
    assert headers["webhook-signature"].startswith("v1,")
    assert json.loads(body)["type"] == "credential.died"
    receiver.received.clear()
    assert shell.run("refresh")[0] == 0
    assert told(receiver) == []
    ((sent, next_ms),) = in_store(shell, "SELECT sent, next_ms FROM notice")
    assert (sent, next_ms) == ("webhook", None)


@pytest.mark.parametrize(
    ("lang", "environ", "title"),
    [
        ("", {}, "1 of 1 credentials could not be checked"),
        ("", {"LANG": "zh_CN.UTF-8"}, "1 个凭证中有 1 个无法检查"),
        ("", {"LANG": "zh_TW.UTF-8"}, "1 個憑證中有 1 個無法檢查"),
        ("zh", {}, "1 个凭证中有 1 个无法检查"),
        ("zh", {"TALLYGATE_NOTICE_LANGUAGE": "zh-TW"}, "1 個憑證中有 1 個無法檢查"),
        ("", {"TALLYGATE_NOTICE_LANGUAGE": "zh-TW"}, "1 個憑證中有 1 個無法檢查"),
        ("en", {"LANG": "zh_CN.UTF-8"}, "1 of 1 credentials could not be checked"),
        (
            "",
            {"LANG": "zh_CN.UTF-8", "TALLYGATE_NOTICE_LANGUAGE": "en"},
            "1 of 1 credentials could not be checked",
        ),
    ],
)
def test_an_alert_speaks_the_language_of_its_run(
    shell: Shell,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    lang: str,
    environ: dict[str, str],
    title: str,
) -> None:
    """`--lang` first, then the setting, then the locale; what programs read stays the same."""
    take_in(shell, "a")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert shell.run("refresh", *(("--lang", lang) if lang else ()))[0] == 1
    ((_, body),) = receiver.received
    said = json.loads(body)
    assert (said["type"], said["title"]) == ("keeper.failing", title)
    assert (said["data"]["failed"], said["data"]["total"]) == (1, 1)


def test_each_run_that_fails_too_often_is_told(shell: Shell, receiver: Receiver) -> None:
    """But runs over a few, which come every few minutes, tell it once in a while."""
    take_in(shell, "a", "b")
    for _ in range(2):
        assert shell.run("refresh")[0] == 1
        assert told(receiver) == ["keeper.failing"]
    in_store(shell, "UPDATE credential SET wanted_ms = 1")
    assert shell.run("refresh", "--due")[0] == 1
    assert told(receiver) == []
    assert shell.run("refresh", "--dry-run")[0] == 0
    assert told(receiver) == []


def test_a_day_without_a_run_is_told_by_the_next_one(shell: Shell, receiver: Receiver) -> None:
    """A crontab that was lost and found again; whoever cleans only notices it, too."""
    take_in(shell, "a")
    shell.run("refresh")
    assert told(receiver) == ["keeper.failing"]
    for table, columns in (
        ("keeper_run", ("started_ms", "alive_ms", "finished_ms", "since_ms")),
        ("credential", ("created_ms",)),
    ):
        moved = ", ".join(f"{name} = {name} - {25 * HOUR_MS}" for name in columns)
        in_store(shell, f"UPDATE {table} SET {moved}")
    for kinds in (["keeper.idle"], []):
        assert shell.run("refresh", "--cleanup-days", "30")[0] == 0
        assert told(receiver) == kinds


def test_what_could_not_be_sent_is_sent_by_a_later_run(shell: Shell, receiver: Receiver) -> None:
    take_in(shell, "a")
    receiver.statuses = [500]
    shell.run("refresh")
    assert told(receiver) == ["keeper.failing"]
    shell.run("refresh", "--cleanup-days", "30")
    assert told(receiver) == [], "not at once again"
    in_store(shell, "UPDATE notice SET next_ms = 1")
    shell.run("refresh", "--cleanup-days", "30")
    assert told(receiver) == ["keeper.failing"]


def test_where_a_server_uses_the_store_it_is_left_to_that_one(
    shell: Shell,
    receiver: Receiver,
) -> None:
    """It has more ways to tell, perhaps; and when it is gone the alert is not lost."""
    take_in(shell, "a")
    node = "INSERT INTO node (uuid, name, first_seen_ms, last_seen_ms, settled_seq) VALUES"
    in_store(shell, f"{node} ('u', 'other', 1, ?, 0)", int(time.time() * 1000))
    shell.run("refresh")
    assert told(receiver) == []
    in_store(shell, "UPDATE node SET last_seen_ms = 1")
    shell.run("refresh", "--cleanup-days", "30")
    assert told(receiver) == ["keeper.failing"]


def test_without_an_address_alerts_wait(
    shell: Shell,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A shell without the settings must not take them for told."""
    take_in(shell, "a")
    with monkeypatch.context() as bare:
        bare.delenv("TALLYGATE_NOTIFY_WEBHOOK_URL")
        bare.delenv("TALLYGATE_NOTIFY_WEBHOOK_SECRET")
        shell.run("refresh")
    shell.run("refresh", "--cleanup-days", "30")
    assert told(receiver) == ["keeper.failing"]


def test_other_notices_are_not_the_keepers_to_send(shell: Shell, receiver: Receiver) -> None:
    take_in(shell, "a")
    columns = "kind, title, body, data, created_ms, attempts, next_ms, sent, error"
    in_store(
        shell, f"INSERT INTO notice ({columns}) VALUES ('wallet.low','','','{{}}',1,0,1,'','')"
    )
    shell.run("refresh", "--cleanup-days", "30")
    assert told(receiver) == []
