"""Closed-loop load by wrk: so many connections, kept alive, for a bounded time.

wrk ends by the clock only, so a count is reached by way of the rate seen while warming up.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load.processes import BenchFailed

SCRIPT = Path(__file__).with_name("post.lua")
CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk has counted."""

    requests: int
    duration_s: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.duration_s


def drive(
    port: int,
    request: bytes,
    folder: Path,
    *,
    seconds: int,
    connections: int = CONNECTIONS,
    script: Path = SCRIPT,
    arguments: Sequence[str] = (),
) -> Load:
    """Send for a time; any answer but a 2xx makes the run void."""
    wire = folder / "request"
    wire.write_bytes(request)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", str(script), f"http://127.0.0.1:{port}", "--", str(wire), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    if run.returncode != 0:
        raise BenchFailed(f"wrk failed: {run.stderr or run.stdout}")
    counted: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    wrong = {
        name: counted[name]
        for name in ("connect", "read", "write", "timeout", "status")
        if counted[name]
    }
    if wrong or not counted["requests"]:
        raise BenchFailed(f"not every request was answered with 2xx: {counted}")
    return Load(counted["requests"], counted["duration_s"], counted["p50_ms"], counted["p99_ms"])
