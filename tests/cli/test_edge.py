"""tallygate edge, beside no server: what would be published, and how publishing stands."""

import json

import pytest

from tallygate.core import edge
from tallygate.core.keys import hash_key
from tests.cli.test_commands import Shell, shell  # noqa: F401 - a fixture
from tests.fakes.cloudflare import NAMESPACE, playing_apart


@pytest.mark.parametrize("word", ["status", "publish", "show"])
def test_a_folder_without_a_store_is_named_and_left_empty(
    shell: Shell,  # noqa: F811 - the fixture
    word: str,
) -> None:
    status, _, said = shell.run("edge", word)
    assert (status, shell.data.exists()) == (3, False)
    assert str(shell.data) in said


def test_what_would_be_published_is_shown_without_a_token_in_it(shell: Shell) -> None:  # noqa: F811
    """Its JSON is what `npm run dev` fills a KV with, and never holds a token."""
    token = shell.run("tokens", "create", "n8n", "--scope", "read")[1].strip()
    shell.run("routes", "create", "/api/test", "http://127.0.0.1:9000", "--scope", "read")
    shown = shell.json("edge", "show")
    assert isinstance(shown, dict)
    by_name = {one["name"]: one["value"] for one in shown["entries"]}
    name = edge.token_name(hash_key(token.encode()))
    assert by_name.keys() == {edge.ROUTES, name}
    assert json.loads(by_name[name]) == {"scopes": ["read"]}
    assert json.loads(by_name[edge.ROUTES])["routes"][0]["path"] == "/api/test"
    assert token not in json.dumps(shown)
    assert name in shell.run("edge", "show")[1]


def test_without_a_namespace_the_edge_is_off(shell: Shell) -> None:  # noqa: F811
    """Nobody who has no edge should find a failure in their scripts."""
    shell.run("tokens", "create", "n8n")
    status, out, _ = shell.run("edge", "status")
    assert (status, out.startswith("off")) == (0, True)
    assert shell.run("edge", "publish")[0] == 1


def test_it_is_published_without_a_server(
    shell: Shell,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A status that a script can go by: 1 until all of it lies there."""
    token = shell.run("tokens", "create", "n8n")[1].strip()
    with playing_apart() as cloudflare:
        for name, value in cloudflare.settings.items():
            monkeypatch.setenv(f"TALLYGATE_{name.upper()}", value)
        cloudflare.faults = [503]
        status, out, _ = shell.run("edge", "publish")
        assert (status, "answered 503" in out) == (1, True)
        assert shell.run("edge", "status")[0] == 1
        assert "warn  edge" in shell.run("doctor")[1]
        done = shell.json("edge", "publish", "--reconcile")
        assert isinstance(done, dict)
        assert (done["state"], done["namespace_id"], done["entries"]) == ("current", NAMESPACE, 2)
        assert shell.run("edge", "status")[0] == 0
        assert "ok    edge         current: 2 entries, 0 wait" in shell.run("doctor")[1]
        assert edge.token_name(hash_key(token.encode())) in cloudflare.values
