"""`tallygate dify`: an app is added from a script, and its key is on no command line."""

import io
import json
from pathlib import Path

import pytest

from tallygate.cli import main

KEY = "app-very-secret"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "SQLITE_DB_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TALLYGATE_DATA", str(tmp_path / "data"))


def run(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *words: str,
    typed: str = "",
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    said = capsys.readouterr()
    assert "Traceback" not in said.err and KEY not in said.out + said.err
    return int(ended.value.code or 0), said.out, said.err


def test_an_app_is_added_listed_and_removed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add = ("dify", "add", "help", "--url", "https://dify.example", "--hold", "2.5")
    status, out, err = run(capsys, monkeypatch, *add, typed=f"{KEY}\n")
    assert status == 0, err
    public, secret = out.split()
    assert public.startswith("pk-lf-") and secret.startswith("sk-lf-")
    assert run(capsys, monkeypatch, *add, typed=KEY)[0] == 1
    status, out, _ = run(capsys, monkeypatch, "dify", "list", "--json")
    [listed] = json.loads(out)
    assert (listed["api_url"], listed["hold_points"]) == ("https://dify.example/v1", 2.5)
    assert listed["tracing"] == {"public_key": public, "secret_key": None}
    status, out, _ = run(capsys, monkeypatch, "dify", "renew-tracing", "help")
    assert status == 0 and secret not in out
    assert run(capsys, monkeypatch, "dify", "remove", "help")[0] == 0
    assert run(capsys, monkeypatch, "dify", "remove", "help")[0] == 1


@pytest.mark.parametrize(
    ("words", "typed", "status"),
    [
        (("dify", "add", "help", "--url", "https://dify.example"), "", 2),
        (("dify", "add", "help", "--url", "https://dify.example", "--hold", "x"), KEY, 2),
        (("dify", "add", "help", "--url", "nowhere"), KEY, 1),
        (("dify", "list"), "", 3),
    ],
)
def test_a_slip_is_one_line(
    words: tuple[str, ...],
    typed: str,
    status: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    got, out, err = run(capsys, monkeypatch, *words, typed=typed)
    assert (got, out) == (status, "")
    assert err.count("\n") == 1
