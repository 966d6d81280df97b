"""tallygate tokens and routes, beside no server: what an operator types, and what comes of it."""

import pytest

from tests.cli.test_commands import Shell, shell  # noqa: F401 - a fixture

READING = [
    ("tokens", "list"),
    ("tokens", "revoke", "1"),
    ("tokens", "rotate", "1"),
    ("tokens", "enable", "1"),
    ("routes", "list"),
    ("routes", "delete", "1"),
    ("routes", "enable", "1"),
]


@pytest.mark.parametrize("words", READING)
def test_a_folder_without_a_store_is_named_and_left_empty(
    shell: Shell,  # noqa: F811 - the fixture
    words: tuple[str, ...],
) -> None:
    status, _, said = shell.run(*words)
    assert status == 3
    assert str(shell.data) in said
    assert not shell.data.exists()


def test_a_token_lives_from_creation_to_revocation(shell: Shell) -> None:  # noqa: F811
    status, out, said = shell.run("tokens", "create", "n8n", "--scope", "a", "--scope", "b")
    assert status == 0
    token = out.strip()
    assert token.startswith("ntk_")
    assert token not in said
    (listed,) = shell.json("tokens", "list", "--sort", "-last_used")
    assert (listed["name"], listed["scopes"], listed["models"]) == ("n8n", ["a", "b"], [])
    assert "token" not in listed
    assert "no tokens" not in shell.run("tokens", "list")[1]
    assert shell.json("tokens", "enable", token, "--off")["is_active"] is False
    rotated = shell.json("tokens", "rotate", token)
    assert rotated["token"] != token
    assert shell.run("tokens", "revoke", rotated["id"])[0] == 0
    assert shell.json("tokens", "list") == []
    assert shell.run("tokens", "revoke", rotated["id"])[0] == 1


def test_a_key_for_models_is_no_token(shell: Shell) -> None:  # noqa: F811
    shell.run("keys", "create")
    assert shell.json("tokens", "list") == []
    assert shell.run("tokens", "revoke", "1")[0] == 1
    assert len(shell.json("keys", "list")) == 1


def test_a_route_lives_from_creation_to_deletion(shell: Shell) -> None:  # noqa: F811
    words = ("routes", "create", "/api/test", "http://127.0.0.1:9000", "--method", "get")
    words += ("--credentials", "cards", "--credential-query", "key")
    more = ("--header", "Authorization: Bearer s3cret", "--limit", "60/minute/token")
    made = shell.json(*words, *more, "--scope", "read", "--strip-prefix")
    assert (made["path"], made["methods"], made["scope"]) == ("/api/test", ["GET"], "read")
    assert (made["credentials"], made["credential_query"]) == ("cards", "key")
    assert made["request_headers"]["add"] == {"authorization": None}
    assert [(one["amount"], one["per"]) for one in made["limits"]] == [(60, "token")]
    assert shell.json("routes", "list") == [made]
    out = shell.run("routes", "list")[1]
    assert "/api/test" in out
    assert "s3cret" not in out
    assert shell.run(*words)[0] == 1  # there is one
    assert shell.json("routes", "enable", made["id"], "--off")["is_active"] is False
    assert shell.run("routes", "delete", made["id"])[0] == 0
    assert shell.run("routes", "delete", made["id"])[0] == 1


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("tokens", "list", "--sort", "secret"), 2),
        (("tokens", "create", "x", "--team", "nobody"), 1),
        (("routes", "create", "/admin", "http://b"), 1),
        (("routes", "create", "/x", "http://169.254.169.254"), 1),
        (("routes", "create", "/x", "http://127.0.0.1:8787"), 1),
        (("routes", "create", "/x", "http://b", "--header", "nonsense"), 2),
        (("routes", "create", "/x", "http://b", "--limit", "many"), 2),
        (("routes", "create", "/x", "http://b", "--credential-query", "key"), 1),
        (("routes", "create", "/x", "http://b", "--limit", "5/week"), 2),
        (("routes", "create", "/x", "http://b", "--limit", "5/day/team"), 2),
    ],
)
def test_a_mistake_is_one_line_and_a_status(
    shell: Shell,  # noqa: F811 - the fixture
    words: tuple[str, ...],
    status: int,
) -> None:
    shell.run("tokens", "create", "first")
    ended, out, said = shell.run(*words)
    assert ended == status
    assert out == ""
    assert len(said.strip().splitlines()) == 1
