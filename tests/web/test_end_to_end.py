"""The console in a real Chromium against a real server on SQLite, nothing faked: `console/e2e/`."""

import sys

import pytest

from scripts import web
from tests.web.conftest import Npm

pytestmark = pytest.mark.slow


def test_everything_that_people_do_in_the_console_works(npm: Npm, chromium: str) -> None:
    """What is right in each part may still be wrong where the parts meet."""
    web.build_console()
    npm(
        *("run", "e2e", "--workspace", "console"),
        TALLYGATE_PYTHON=sys.executable,
        TALLYGATE_CHROMIUM=chromium,
    )
