"""The master key is rotated beside a server that goes on: nothing fails and nothing is lost."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fakes import backend as fake_backend
from tests.fakes import credential_upstream
from tests.fakes.backend import Backend
from tests.fakes.upstream import RunningUpstream
from tests.system.conftest import MakeNode
from tests.system.harness import Node, until

pytestmark = pytest.mark.slow

OPENAI = {"kind": "openai-key", "pool": "keys", "secret": "sk-of-the-pool"}


def tallygate(node: Node, *words: str, secret: str = "") -> tuple[int, str]:
    """Another command on the same folder."""
    command = [sys.executable, "-c", "from tallygate.cli import main; main()", *words]
    done = subprocess.run(
        [*command, "--data", str(node.data)], input=secret, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


class Traffic:
    """Every way that a sealed secret is used, again and again, and what went wrong."""

    def __init__(self, node: Node, key: str, token: str) -> None:
        self._node = node
        self._key = key
        self._token = token
        self.rounds = 0
        self.failures: list[str] = []
        self._is_over = threading.Event()

    def once(self) -> None:
        answers = {
            "own": self._node.chat(self._key, "fake-own")[0],
            "pooled": self._node.chat(self._key, "fake-pooled")[0],
            "route": self._node.ask("GET", "/svc", headers={"x-api-key": self._token})[0],
        }
        self.failures += [f"{name}: {status}" for name, status in answers.items() if status != 200]
        self.rounds += 1

    @contextmanager
    def flowing(self) -> Iterator[None]:
        def flow() -> None:
            while not self._is_over.is_set():
                self.once()

        thread = threading.Thread(target=flow)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def wait_for_more(self) -> None:
        seen = self.rounds
        until(lambda: self.rounds > seen + 3, "requests go on")


def furnish(node: Node, backend: Backend, upstream_url: str, token_url: str) -> tuple[str, str]:
    """A provider with a secret of its own, one with a pool, a route with both; a key, a token."""
    base = {"base_url": upstream_url}
    node.admin("POST", "/api/credentials", {**OPENAI, "name": "c", "variables": base})
    pooled = {"name": "pooled", **base, "credentials": "keys", "models": ["fake-pooled"]}
    own = {"name": "own", **base, "secret": "sk-own", "models": ["fake-own"]}
    for provider in (pooled, own):
        node.admin("POST", "/api/providers", provider)
    route = {"path": "/svc", "backend_url": backend.url, "credentials": "keys"}
    headers = {"add": {"x-team-key": "s3cret-of-the-route"}}
    node.admin("POST", "/api/routes", {**route, "request_headers": headers})
    words = ("keeper", "add", "--kind", "oauth2", "--name", "o", "--var", f"token_url={token_url}")
    assert tallygate(node, *words, secret="refresh-0")[0] == 0
    token = str(node.admin("POST", "/api/tokens", {"name": "t"})["token"])
    until(lambda: node.ask("GET", "/svc", headers={"x-api-key": token})[0] == 200, "it is served")
    return node.make_key(None), token


def rotate(node: Node, traffic: Traffic) -> list[str]:
    """What each step said, until none is left; HUP where it asks for one."""
    said = []
    for _ in range(5):
        status, text = tallygate(node, "secrets", "rotate")
        said.append(text)
        traffic.wait_for_more()
        if status == 0:
            return said
        assert "HUP" in text, text
        clerk = node.pids()["clerk"]
        node.send(signal.SIGHUP)
        node.wait_refilled("clerk", clerk)
        until(node.is_listening_or_ended)
        traffic.wait_for_more()
    raise AssertionError(said)


def test_everything_is_served_while_the_master_key_is_rotated(
    make_node: MakeNode, upstream: RunningUpstream
) -> None:
    """And afterwards, without the old key, by a node that was started anew."""
    with fake_backend.running() as backend, credential_upstream.running() as issuer:
        issuer.slow_s = 0.0
        issuer.refresh_tokens.add("refresh-0")
        node = make_node(workers=1, settings={"TALLYGATE_KEEPER_INTERVAL_H": "0"})
        key, token = furnish(node, backend, upstream.base_url, f"{issuer.base_url()}/token")
        before = (node.data / "master.key").read_text()
        traffic = Traffic(node, key, token)
        with traffic.flowing():
            steps = rotate(node, traffic)
            assert len(steps) == 3, "the new key is made known, then used, then the only one"
        assert traffic.failures == []
        assert (node.data / "master.key").read_text() != before
        assert not (node.data / "master.key.old").exists()
        status, said = tallygate(node, "keeper", "refresh", "--lang", "en")
        assert status == 0 and "renewed" in said, said
        node.stop()
        node.start()
        traffic.once()
        assert traffic.failures == []
        shown = {(one.header("authorization"), one.header("x-team-key")) for one in backend.seen}
        assert shown == {("Bearer sk-of-the-pool", "s3cret-of-the-route")}
