"""Tallygate as the bench runs it: a real `tallygate serve`, with nothing switched off."""

import http.client
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load.ports import free_port
from bench.load.processes import BenchFailed, Child
from tests.fakes.certificates import Certificates

ROOT = Path(__file__).resolve().parents[2]
ADMIN_TOKEN = "bench-admin-token-of-enough-length"
LARGE = 10**12
LIMITS = [
    {"dimension": "requests", "span": "minute", "amount": LARGE},
    {"dimension": "tokens", "span": "day", "amount": LARGE * 1000},
]
ENTRY = "from tallygate.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Gate:
    """A running Tallygate with one key that has three large limits."""

    port: int
    key: str
    data: Path
    pid: int

    def groups(self) -> dict[str, list[int]]:
        """Process ids by role, as the supervisor writes them down."""
        roles: dict[str, list[int]] = {"gateway": [], "clerk": [], "control": []}
        for path in (self.data / "run").glob("*.pid"):
            roles[path.stem.partition("-")[0]].append(int(path.read_text()))
        return roles | {"supervisor": [self.pid]}

    def admin(self, method: str, path: str, body: object = None) -> Any:
        return call(self.port, method, path, body)


@contextmanager
def running(
    folder: Path,
    workers: int,
    base_url: str,
    certificates: Certificates | None = None,
    **settings: str,
) -> Iterator[Gate]:
    folder.mkdir(exist_ok=True)
    data, port = folder / "data", free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TALLYGATE_")}
    env = {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), kept.get("PYTHONPATH", "")]).rstrip(":"),
        "TALLYGATE_DATA": str(data),
        "TALLYGATE_CONFIG": str(folder / "none.toml"),
        "TALLYGATE_WORKERS": str(workers),
        "PORT": str(port),
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "DEEPSEEK_API_KEY": "sk-bench",
        "DEEPSEEK_BASE_URL": base_url,
        **settings,
    }
    if certificates is not None:
        env["SSL_CERT_FILE"] = str(certificates.authority)
    command = [sys.executable, "-c", ENTRY, "serve"]
    with Child(command, folder / "log", env=env) as child:
        child.wait_until(lambda: is_ready(port))
        yield Gate(port, make_key(port), data, child.pid)


def is_ready(port: int) -> bool:
    try:
        return call(port, "GET", "/healthz") == {"ok": True}
    except (OSError, http.client.HTTPException, BenchFailed):
        return False


def make_key(port: int) -> str:
    asked = {"label": "bench", "daily_limit": LARGE, "limits": LIMITS}
    secret: str = call(port, "POST", "/api/keys", asked)["secret"]
    return secret


def call(port: int, method: str, path: str, body: object = None) -> Any:
    return json.loads(answered(port, method, path, body))


def text(port: int, path: str) -> str:
    return answered(port, "GET", path).decode()


def answered(port: int, method: str, path: str, body: object = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"X-Admin-Token": ADMIN_TOKEN, "Content-Type": "application/json"}
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise BenchFailed(f"{method} {path} answered {answer.status}: {content[:500]!r}")
        return content
    finally:
        connection.close()
