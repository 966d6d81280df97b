"""tallygate usage reports, and what doctor says of the usage log."""

import asyncio
from pathlib import Path

import pytest

from tallygate.core.usage_report import RefusedReports, ReportedUse
from tallygate.store import usage_intake
from tallygate.store.database import Database
from tallygate.store.usage_intake import Intake
from tests.cli.test_commands import Shell, shell  # noqa: F401 - a fixture


async def add(data: Path) -> None:
    intake = Intake(logged=7, repeated=2)
    intake.add_unknown(ReportedUse(b"", "/api/test", 0, "", "", 0, 0, b""))
    db = Database(f"sqlite:///{data / 'tallygate.db'}")
    await db.open()
    now_ms = await db.clock_ms()
    intake.add_refused([RefusedReports("unauthorized", 3, now_ms, "192.0.2.9")])
    async with db.writing() as tx:
        await usage_intake.add(tx, intake, now_ms)
    await db.close()


@pytest.fixture
def reported(shell: Shell) -> Shell:  # noqa: F811 - the fixture
    shell.run("keys", "create", "--label", "any")
    asyncio.run(add(shell.data))
    return shell


def test_what_was_reported_and_refused_is_shown(reported: Shell) -> None:
    status, out, _ = reported.run("usage", "reports", "--days", "2")
    assert status == 0
    assert "unknown token not a SHA-256: 1 uses" in out
    assert "refused, unauthorized: 3 reports, the last from 192.0.2.9" in out
    shown = reported.json("usage", "reports")
    assert isinstance(shown, dict)
    assert (shown["logged"], shown["repeated"], shown["unknown"], shown["refused"]) == (7, 2, 1, 3)
    assert len(shown["days"]) == 7


def findings(shell: Shell) -> list[tuple[str, str]]:  # noqa: F811
    shown = shell.json("doctor")
    assert isinstance(shown, dict)
    found = [one for one in shown["findings"] if one["subject"] == "usage log"]
    return [(one["verdict"], one["text"]) for one in found]


def test_doctor_tells_of_refused_reports(reported: Shell) -> None:
    [(verdict, text)] = findings(reported)
    assert verdict == "warn"
    assert "7 uses, 3 reports refused: GET /api/usage/reports says why" in text


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"TALLYGATE_USAGE_OPEN": "true"}, "lets anybody report"),
        ({"TALLYGATE_USAGE_SECRET": "short"}, "5 characters"),
        ({"TALLYGATE_USAGE_OPEN": "true", "TALLYGATE_USAGE_ALLOW": "cloudflare"}, ""),
        ({"TALLYGATE_USAGE_SECRET": "long-enough-not-to-be-guessed"}, ""),
    ],
)
def test_doctor_warns_of_a_log_that_strangers_can_write_to(
    shell: Shell,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    warned: str,
) -> None:
    shell.run("keys", "create", "--label", "any")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    *warnings, (verdict, _) = findings(shell)
    assert verdict == "ok"
    assert [warned in text for _, text in warnings] == ([True] if warned else [])
