"""A bad setting of the edge stops the start with one line that names it and no secret."""

import pytest

from tallygate.config import BadSettings, load

NAMESPACE = "TALLYGATE_EDGE_KV_NAMESPACE_ID"
ACCOUNT, TOKEN = "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({NAMESPACE: "abc"}, ACCOUNT),
        ({NAMESPACE: "abc", ACCOUNT: "abc"}, TOKEN),
        ({NAMESPACE: "a/../b", ACCOUNT: "abc", TOKEN: "very-secret"}, NAMESPACE),
        ({ACCOUNT: "a b"}, ACCOUNT),
        ({"TALLYGATE_CLOUDFLARE_API_URL": "api.example"}, "TALLYGATE_CLOUDFLARE_API_URL"),
        ({"TALLYGATE_EDGE_WRITES_PER_DAY": "-1"}, "TALLYGATE_EDGE_WRITES_PER_DAY"),
    ],
)
def test_an_edge_that_could_not_be_published_to_stops_the_start(
    given: dict[str, str], named: str
) -> None:
    """A server that looks well and tells the edge nothing lets revoked tokens through."""
    with pytest.raises(BadSettings) as bad:
        load(given)
    assert named in str(bad.value) and "very-secret" not in str(bad.value)


def test_the_edges_settings_are_taken_and_its_secrets_not_shown() -> None:
    given = {NAMESPACE: "abc", ACCOUNT: "def", TOKEN: "very-secret"}
    settings, warnings = load({**given, "TALLYGATE_EDGE_SECRET": "another-secret"})
    assert warnings == []
    assert (settings.edge_kv_namespace_id, settings.edge_writes_per_day) == ("abc", 1000)
    assert "very-secret" not in repr(settings) and "another-secret" not in repr(settings)


def test_an_account_that_other_programs_use_makes_no_edge() -> None:
    """CLOUDFLARE_API_TOKEN is in the environment of many a machine."""
    settings, _ = load({ACCOUNT: "def", TOKEN: "very-secret"})
    assert settings.edge_kv_namespace_id == ""
