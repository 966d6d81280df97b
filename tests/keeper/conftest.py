"""The keeper's commands in this process, as a shell meets them, and the upstreams they ask."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallygate.cli import main
from tests.fakes.credential_upstream import CredentialUpstream, running


class Shell:
    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data = data
        self._capsys = capsys

    def run(self, *words: str, secret: str = "") -> tuple[int, str, str]:
        stdin, sys.stdin = sys.stdin, io.StringIO(secret)
        try:
            with pytest.raises(SystemExit) as ended:
                main(["keeper", *words, "--data", str(self.data)])
        finally:
            sys.stdin = stdin
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return int(ended.value.code or 0), said.out, said.err

    def json(self, *words: str, status: int = 0) -> list[dict[str, object]]:
        ended, out, err = self.run(*words, "--json")
        assert ended == status, err
        return list(json.loads(out))

    def add(self, token: str, url: str, *more: str, kind: str = "baoming") -> None:
        variable = {"baoming": "base_url", "bearer-probe": "url", "oauth2": "token_url"}[kind]
        words = ("add", "--kind", kind, "--name", f"名片 {token}", "--user", "张三")
        status, _, err = self.run(*words, "--var", f"{variable}={url}", *more, secret=token)
        assert status == 0, err

    def states(self) -> dict[str, str]:
        return {
            str(row["name"]).removeprefix("名片 "): str(row["state"]) for row in self.json("list")
        }


@pytest.fixture
def shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shell:
    for name in ("DATABASE_URL", "SQLITE_DB_PATH", "LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path / "data", capsys)


@pytest.fixture(scope="module")
def servers() -> Iterator[CredentialUpstream]:
    with running(hosts=12) as upstream:
        yield upstream


@pytest.fixture
def upstream(servers: CredentialUpstream) -> CredentialUpstream:
    servers.seen.clear()
    return servers
