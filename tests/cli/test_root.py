"""What the command line loads, and what it says of the groups that it has not loaded."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tallygate.cli.root import GROUPS, build, whole

HEAVY = {"sqlalchemy", "alembic", "fastapi", "aiohttp", "cryptography", "rich", "asyncpg"}
LISTED = "import sys; {}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh process has after a statement."""
    command = [sys.executable, "-c", LISTED.format(statement)]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_the_supervisor_loads_nothing_that_only_roles_need() -> None:
    """It lives as long as the node: what it loads by the way is memory that nobody uses."""
    loaded = loaded_by("from tallygate.cli import main; import tallygate.cli.serve")
    assert loaded & (HEAVY | {"asyncio", "structlog"}) == set()


def test_help_waits_for_no_store_and_no_settings() -> None:
    run = "from tallygate.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass"
    assert loaded_by(f"exec({run!r})") & (HEAVY | {"pydantic", "msgspec"}) == set()


def test_structlog_is_loaded_without_what_only_draws_tracebacks() -> None:
    """And rich is still there for the commands that draw tables."""
    assert "rich" not in loaded_by("import tallygate.telemetry.logs")
    assert "rich" in loaded_by("import tallygate.telemetry.logs; import rich.table")


def test_a_group_is_described_alike_whether_loaded_or_not() -> None:
    """The line of help is the one thing that is known of a group without importing it."""
    shown = [CliRunner().invoke(app, ["--help"]).output for app in (build(()), whole())]
    assert shown[0] == shown[1]
    assert all(name in shown[0] for name in GROUPS)


@pytest.mark.parametrize("name", GROUPS)
def test_every_group_can_be_loaded_by_itself(name: str) -> None:
    ended = CliRunner().invoke(build({name}), [name, "--help"])
    assert ended.exit_code == 0 and "Usage" in ended.output
