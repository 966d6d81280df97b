"""/dify-test in a real Chromium against real nodes on SQLite: console/e2e/dify.e2e.ts.

One node for each rule of what a browser's word is worth, for settings are read at the start.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from scripts import web
from tests.system.harness import ADMIN_TOKEN, Node
from tests.web.conftest import Npm

pytestmark = pytest.mark.slow

WEBHOOK_KEY = "webhook-key-of-the-browser-tests"
RULES = {
    "HINT": {"VITE_ENABLE_DIFY_INTEGRATION": "true"},  # the default of what a browser is worth
    "CHARGE": {
        "TALLYGATE_ENABLE_DIFY_INTEGRATION": "true",
        "TALLYGATE_DIFY_BROWSER_TRUST": "charge",
        "TALLYGATE_MAX_CHARGE_POINTS": "10000",
    },
    "DISABLED": {},
}


@pytest.fixture
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        found = {}
        for name, rule in RULES.items():
            settings = {"TALLYGATE_DIFY_WEBHOOK_KEY": WEBHOOK_KEY, **rule}
            folder = tmp_path_factory.mktemp(name.lower())
            node = stack.enter_context(Node(folder, workers=1, settings=settings))
            found[f"E2E_{name}_URL"] = node.url
        yield found


def test_what_is_posted_is_decided_by_the_server_and_nothing_costs_more_than_its_rules(
    npm: Npm, chromium: str, addresses: dict[str, str]
) -> None:
    """Simulated, hinted, charged; forged, replayed, flooded, from strangers."""
    web.build_console()
    npm(
        *("exec", "--workspace", "@tallygate/console", "--"),
        *("vitest", "run", "--config", "e2e/dify.config.ts"),
        E2E_CHROMIUM=chromium,
        E2E_ADMIN_TOKEN=ADMIN_TOKEN,
        E2E_WEBHOOK_KEY=WEBHOOK_KEY,
        **addresses,
    )
