"""Kinds of the data folder take the place of bundled ones; a broken one takes down nobody else."""

from pathlib import Path

import pytest

from tallygate.core.credential_kind import BadKind
from tallygate.kinds import load

SOUND = """
name = "{name}"
[probe]
url = "https://own.example/check"
headers = {{ x-token = "{{secret}}" }}
[[probe.valid]]
status = [204]
[[probe.invalid]]
status = [401, 403]
"""


def test_a_file_takes_the_place_of_a_bundled_kind(tmp_path: Path) -> None:
    """An operator's upstream may differ from the one that we know."""
    (tmp_path / "baoming.toml").write_text(SOUND.format(name="baoming"), "utf-8")
    (tmp_path / "mine.toml").write_text(SOUND.format(name="mine"), "utf-8")
    kinds = load(tmp_path)
    assert kinds.find("mine").probe == kinds.find("baoming").probe
    assert kinds.find("oauth2").refresh is not None
    assert not kinds.broken


@pytest.mark.parametrize(
    "text",
    [
        "name = ",
        "\x00",
        SOUND.format(name="another"),
        SOUND.format(name="baoming").replace("[[probe.invalid]]", "[[probe.valid]]"),
    ],
)
def test_a_broken_file_is_named_and_never_falls_back(tmp_path: Path, text: str) -> None:
    """Falling back to the bundled kind would judge by rules that the operator replaced."""
    path = tmp_path / "baoming.toml"
    path.write_text(text, "utf-8")
    kinds = load(tmp_path)
    with pytest.raises(BadKind) as said:
        kinds.find("baoming")
    assert str(path) in str(said.value) and "\n" not in str(said.value)
    assert kinds.find("openai-key").probe is not None


def test_an_unknown_kind_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(BadKind, match="baoming, bearer-probe, oauth2, openai-key"):
        load(tmp_path / "not there").find("telnet")
