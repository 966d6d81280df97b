"""A node of tiny roles, as the tests start it and speak to it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import tallygate

PATIENCE_S = 120
IMPORTED_FROM = (Path(__file__).parents[2], Path(tallygate.__file__).parents[1])


def until(claim: Callable[[], bool]) -> None:
    """Other processes are asked again and again; how long it takes is not asserted."""
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, f"never came true: {claim}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether the process still runs; a zombie, which nobody has waited for yet, does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


class TinyNode:
    """`tests/supervisor/tiny_node.py` in a process of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.data.mkdir(parents=True, exist_ok=True)
        self.tell({})

    def tell(self, briefs: dict) -> None:
        (self.data / "briefs.json").write_text(json.dumps(briefs))

    def start(self) -> "TinyNode":
        """Start it; returns when its doors are open or when it has given up."""
        self.start_soon()
        self.opened = self.process.stdout.readline()
        return self

    def start_soon(self) -> None:
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, IMPORTED_FROM))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.supervisor.tiny_node", str(self.data)],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=(self.data / "log").open("w"),
            text=True,
        )

    @property
    def port(self) -> int:
        assert self.opened, self.log
        return int(self.opened.split()[1])

    @property
    def log(self) -> str:
        return (self.data / "log").read_text()

    def pid(self, name: str) -> int:
        return int((self.data / "run" / f"{name}.pid").read_text())

    def pids(self) -> set[int]:
        return {int(path.read_text()) for path in (self.data / "run").glob("*.pid")}

    def ask(self) -> str:
        """One connection to the public port; which slot answers is the kernel's choice."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            return connection.makefile().readline().strip()

    def ask_private(self, role: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            path = self.data / "run" / f"{role}.sock"
            connection.connect(str(path.readlink() if path.is_symlink() else path))
            return connection.makefile().readline().strip()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)
