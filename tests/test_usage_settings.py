"""Settings of the usage log, and the secret that is made when none is set."""

import stat
from pathlib import Path

import pytest

from tallygate.app import briefs
from tallygate.config import BadSettings, load
from tallygate.supervisor import folder
from tallygate.supervisor.failure import Failure
from tallygate.supervisor.folder import Node


def test_by_default_the_log_is_closed_and_bounded(tmp_path: Path) -> None:
    settings, warnings = load({"TALLYGATE_CONFIG": str(tmp_path / "none")})
    assert (settings.usage_open, settings.usage_allow, settings.usage_secret) == (False, "", None)
    assert (settings.usage_events_max, settings.usage_event_keep_h) == (1000, 72)
    assert warnings == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TALLYGATE_USAGE_ALLOW", "10.0.0.0/40"),
        ("TALLYGATE_USAGE_ALLOW", "cloudfare"),
        ("TALLYGATE_USAGE_SECRET", "whsec_!"),
        ("TALLYGATE_USAGE_OPEN", "perhaps"),
        ("TALLYGATE_USAGE_EVENTS_MAX", "0"),
        ("TALLYGATE_USAGE_BODY_BYTES_MAX", str(1 << 30)),
        ("TALLYGATE_USAGE_EVENT_KEEP_H", "0"),
    ],
)
def test_a_bad_setting_is_named_and_no_secret_is_shown(name: str, value: str) -> None:
    with pytest.raises(BadSettings) as refused:
        load({name: value, "TALLYGATE_CONFIG": "/nonexistent"})
    assert str(refused.value).startswith(f"{name}: ")
    if "SECRET" in name:
        assert value not in str(refused.value)


def test_a_secret_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    made = folder.usage_secret(tmp_path, None)
    path = tmp_path / "usage-secret"
    assert len(made) >= 32
    assert path.read_text().strip() == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert folder.usage_secret(tmp_path, None) == made
    assert folder.usage_secret(tmp_path, "set") == "set"


def test_an_empty_file_of_a_secret_is_no_secret(tmp_path: Path) -> None:
    """An empty secret would be everybody's."""
    (tmp_path / "usage-secret").write_text("\n")
    with pytest.raises(Failure, match="is empty"):
        folder.usage_secret(tmp_path, None)


def test_a_gateway_is_told_what_it_checks_reports_by(tmp_path: Path) -> None:
    settings, _ = load({"TALLYGATE_USAGE_ALLOW": "cloudflare", "TALLYGATE_DATA": str(tmp_path)})
    node = Node(uuid="u", name="n")
    told = briefs.of_node(
        settings, node, master_key=b"m" * 32, admin_token="admin", usage_secret="made"
    )
    gateway = briefs.for_gateway(told, slot=0, boot=1, port=1)
    assert (gateway["usage_secret"], gateway["usage_allow"]) == ("made", "cloudflare")
    assert "admin_token" not in gateway
