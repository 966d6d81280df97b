"""The usage log through real processes: the seed's own guide, and a burst that outlives roles."""

import hashlib
import json
import shutil
import subprocess
import threading
import time
from typing import Any

import pytest

from tests.system.conftest import MakeNode
from tests.system.harness import ADMIN_TOKEN, Node, until

pytestmark = pytest.mark.slow

BATCHES = 60
OPERATOR = {"authorization": f"Bearer {ADMIN_TOKEN}"}
SEEDS_REPORT = """{
    "token_hash": "test_hash_123",
    "route": "/api/test",
    "timestamp": 1699000000000
  }"""


def curl(node: Node, path: str, *options: str) -> str:
    """As the seed's guide has it, but for the port."""
    done = subprocess.run(
        ["curl", "-sS", "-X", "POST", f"{node.url}{path}", *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


def make_token(node: Node, name: str) -> str:
    """The hash that reports call it by."""
    made = node.admin("POST", "/api/tokens", {"name": name})
    return hashlib.sha256(made["token"].encode()).hexdigest()


def post(node: Node, events: Any, **headers: str) -> tuple[int, Any]:
    while True:
        try:
            status, _, answer = node.ask("POST", "/api/usage-log", events, headers)
        except OSError:
            continue  # a sender tries again
        if status != 503:
            return status, answer


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_seeds_guide_works_to_the_letter(make_node: MakeNode) -> None:
    """Its backend takes reports from anybody, its worker sends neither secret nor event_id."""
    node = make_node(workers=1, settings={"TALLYGATE_USAGE_OPEN": "true"})
    said = curl(node, "/api/usage-log", "-H", "Content-Type: application/json", "-d", SEEDS_REPORT)
    assert said == '{"status":"logged"}'
    at_ms = int(time.time() * 1000) - 5000
    event = {"token_hash": make_token(node, "Test Token"), "route": "/api/test", "timestamp": at_ms}
    assert curl(node, "/api/usage-log", "-d", json.dumps(event)) == '{"status":"logged"}'
    shown = node.admin("GET", "/api/usage/reports")
    assert (shown["logged"], shown["unknown"]) == (1, 1)
    [token] = node.admin("GET", "/api/tokens?sort=-last_used")["items"]
    assert (token["name"], token["last_used"] is None) == ("Test Token", False)


def test_a_burst_of_batches_outlives_every_role_and_counts_once(
    make_node: MakeNode, database_url: str | None
) -> None:
    """Each batch is sent until it is answered; a worker and the clerk are killed meanwhile.

    The secret is the one that the node has made; whoever does not know it is turned away and seen.
    """
    node = make_node(workers=2, database_url=database_url)
    secret = {"X-Usage-Secret": (node.data / "usage-secret").read_text().strip()}
    hashes = [make_token(node, f"token-{number}") for number in range(3)]
    last_ms = int(time.time() * 1000) - 1000
    batches = [
        [
            {
                "token_hash": hashes[batch % 2],
                "route": "/api/x",
                "timestamp": last_ms - batch * 100 - number,
                "event_id": f"{batch}-{number}",
            }
            for number in range(100)
        ]
        for batch in range(BATCHES)
    ]
    statuses: list[int] = []

    def send(mine: list[Any]) -> None:
        for batch in mine:
            statuses.append(post(node, batch, **secret)[0])

    senders = [threading.Thread(target=send, args=(batches[n::3],)) for n in range(3)]
    for sender in senders:
        sender.start()
    until(lambda: len(statuses) > BATCHES // 5, "some are answered")
    for name in ("gateway-0", "clerk"):
        node.kill(name)
    for sender in senders:
        sender.join(60)
    assert statuses == [200] * BATCHES
    assert post(node, batches[7], **secret) == (200, {"status": "logged"})
    assert post(node, batches[0])[0] == 401

    def reported() -> dict[str, Any]:
        status, _, answer = node.ask("GET", "/api/usage/reports", None, OPERATOR)
        return answer if status == 200 else {"logged": 0, "refused": 0}

    until(lambda: reported()["logged"] >= 100 * BATCHES, "all of it is settled")
    assert reported()["logged"] == 100 * BATCHES
    until(lambda: reported()["refused"], "who was turned away is seen")
    listed = node.admin("GET", "/api/tokens?sort=-last_used")["items"]
    assert [one["name"] for one in listed] == ["token-0", "token-1", "token-2"]
    assert listed[2]["last_used"] is None
