"""What the tests of the browser side need: npm's packages, the built console, and a Chromium."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import web

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = "chromium"
Npm = Callable[..., None]


@pytest.fixture(scope="session")
def npm() -> Npm:
    """Runs `npm …` at the root with every workspace installed; a failure shows what it said."""
    with (ROOT / ".venv" / "npm.lock").open("w") as lock:  # tests run in two processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        web.install(web.EVERYTHING)

    def run(*arguments: str, **variables: str) -> None:
        ran = subprocess.run(
            ["npm", *arguments],
            cwd=ROOT,
            env={**web.environment(), "CI": "1", "NO_COLOR": "1", **variables},
            capture_output=True,
            text=True,
        )
        if ran.returncode:
            said = (ran.stdout + ran.stderr)[-8000:]
            pytest.fail(f"npm {' '.join(arguments)} failed:\n{said}", pytrace=False)

    return run


@pytest.fixture(scope="session")
def chromium() -> str:
    """A real browser: installed by apt where we may, asked for where we may not."""
    found = shutil.which(CHROMIUM)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "--no-install-recommends", CHROMIUM]
        if subprocess.run(install, capture_output=True).returncode:  # its lists may be missing
            subprocess.run(["apt-get", "update"], capture_output=True)
            subprocess.run(install, capture_output=True)
        found = shutil.which(CHROMIUM)
    if found is None:
        pytest.fail(
            f"these tests need a {CHROMIUM} on the PATH: install it, for example with "
            f"`apt-get install {CHROMIUM}` as root, and run them again",
            pytrace=False,
        )
    return found
