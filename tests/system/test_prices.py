"""Prices through the public port of a running server, and by the command line beside it."""

import json
import os
import subprocess
import sys

import pytest

from tests.system.conftest import MakeNode

pytestmark = pytest.mark.slow

CLI = (sys.executable, "-c", "from tallygate.cli import main; main()")


def test_prices_are_there_at_the_first_start_and_changed_beside_it(make_node: MakeNode) -> None:
    """Names with slashes go through the gateway as they are; the CLI's change is seen at once."""
    node = make_node(workers=2)
    assert node.admin("GET", "/api/exchange-rate")["rate"] == 10000
    assert node.admin("GET", "/api/models?limit=1000")["total"] > 200
    body = {"model_name": "org/one", "input_token_price": 30, "output_token_price": 60}
    node.admin("POST", "/api/models", {**body, "currency": "points"})
    ended = subprocess.run(
        [*CLI, "prices", "set", "org/one", "--output", "61", "--json"],
        env={**os.environ, **node.settings},
        capture_output=True,
        check=True,
    )
    made = json.loads(ended.stdout)
    shown = node.admin("PATCH", "/api/models/org/one", {"input_token_price": "31"})
    assert (shown["input_token_price"], shown["output_token_price"]) == ("31", "61")
    history = node.admin("GET", "/api/models/org/one/history")["items"]
    assert [one["admin_id"] for one in history] == ["admin", "cli", "admin"]
    assert history[1]["version"] == made["version"]
    use = {"model": "org/one", "input_tokens": 1000, "output_tokens": 1000}
    assert node.admin("POST", "/api/prices/calculate", use)["points"] == 92
