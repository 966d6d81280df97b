"""A real `tallygate serve` in processes of its own, and what a test asks of it.

    with Node(tmp_path / "node", workers=4, upstream=upstream.base_url) as node:
        key = node.make_key(daily_limit=10)

The node's log is shown when it does not start, and kept in `log` for the test to read.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import tallygate

ADMIN_TOKEN = "admin-token-of-the-system-tests"
PATIENCE_S = 120.0
SERVE = (sys.executable, "-c", "from tallygate.cli import main; main()", "serve")
IMPORTED_FROM = Path(tallygate.__file__).parents[1]


def until(claim: Callable[[], object], what: str = "") -> None:
    """Ask other processes again and again; how long they take is not asserted."""
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, f"never came true: {what or claim}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and waits to be noticed does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Node:
    """One node with its folder, its port and its settings; started by `start` or `with`."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 2,
        upstream: str | None = None,
        database_url: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        environ = {
            "TALLYGATE_DATA": str(self.data),
            "TALLYGATE_PORT": str(self.port),
            "TALLYGATE_WORKERS": str(workers),
            "TALLYGATE_LOG_FORMAT": "json",
            "ADMIN_TOKEN": ADMIN_TOKEN,
        }
        if upstream:
            environ |= {"DEEPSEEK_API_KEY": "sk-of-the-fake", "DEEPSEEK_BASE_URL": upstream}
        if database_url:
            environ["DATABASE_URL"] = database_url
        self.settings = environ | dict(settings or {})
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store_url(self) -> str:
        return self.settings.get("DATABASE_URL") or f"sqlite:///{self.data / 'tallygate.db'}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", errors="replace")

    # --- its life ---

    def __enter__(self) -> "Node":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is not None:
            sys.stderr.write(f"--- log of {self.folder.name} ---\n{self.log[-8000:]}\n")

    def start(self) -> "Node":
        """Returns when the node listens."""
        self.spawn()
        until(self.is_listening_or_ended, "the node listens")
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the node ended with {self.process.returncode}:\n{self.log}")
        return self

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start it without waiting for anything."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("TALLYGATE_") and name not in ("PORT", "DATABASE_URL")
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                SERVE,
                env={**inherited, "PYTHONPATH": str(IMPORTED_FROM), **self.settings},
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        return self.process

    def refusal(self) -> tuple[int, str]:
        """Start a node that cannot start: its exit status and the line that it said last."""
        status = self.spawn().wait(PATIENCE_S)
        lines = self.log.strip().splitlines()
        return status, lines[-1] if lines else ""

    def is_listening_or_ended(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            return True
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> int:
        """SIGTERM, and the exit status; whatever is left after a while is killed."""
        if self.process is None:
            return 0
        pids = self.pids()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self._kill_left(pids)
            self.process = None

    def _kill_left(self, pids: Mapping[str, int]) -> None:
        for pid in pids.values():
            with contextlib.suppress(OSError):
                if b"tallygate.app" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    # --- its roles ---

    def pids(self) -> dict[str, int]:
        """Who fills each post: clerk, control, gateway-0 …"""
        found = {}
        for path in (self.data / "run").glob("*.pid"):
            with contextlib.suppress(FileNotFoundError, ValueError):
                found[path.stem] = int(path.read_text())
        return found

    def kill(self, post: str) -> int:
        """kill -9; the pid that died."""
        pid = self.pids()[post]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid

    def wait_refilled(self, post: str, killed: int) -> None:
        until(lambda: self.pids().get(post) not in (None, killed), f"{post} is filled again")

    # --- its API ---

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,  # any JSON value
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, str], Any]:
        """One request on a connection of its own: status, headers by lower-case name, JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, dict(headers or {}))
            answer = connection.getresponse()
            text = answer.read()
            named = {name.lower(): value for name, value in answer.getheaders()}
            is_json = "json" in named.get("content-type", "")
            return answer.status, named, json.loads(text) if is_json else text

    def admin(self, method: str, path: str, body: Any = None) -> Any:  # any JSON value
        """A call by the operator that must succeed."""
        status, _, answer = self.ask(method, path, body, {"authorization": f"Bearer {ADMIN_TOKEN}"})
        assert status in (200, 201), f"{method} {path}: {status} {answer}"
        return answer

    def make_key(self, daily_limit: int | None) -> str:
        made = self.admin("POST", "/admin/keys", {"label": "test", "daily_limit": daily_limit})
        return str(made["key"])

    def chat(self, key: str, model: str = "fake-chat") -> tuple[int, dict[str, str], Any]:
        body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
        return self.ask("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {key}"})

    def requests_of(self, key: str) -> int:
        """What /admin/usage says of a key today."""
        usage = self.admin("GET", "/admin/usage")
        return int(next(row["requests"] for row in usage["keys"] if row["key"] == key))
