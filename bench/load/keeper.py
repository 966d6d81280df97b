"""The keeper over ten thousand credentials of a hundred hosts: how near it comes to politeness.

Each host is an address of 127.0.0.0/8, asked once a second at most; so the floor is credentials by
hosts in seconds. A fake upstream in a process of its own answers at once.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.load.options import Options
from bench.load.processes import BenchFailed
from tallygate.core.credential_commands import NewCredential
from tallygate.store import credentials
from tallygate.store.database import Database
from tallygate.store.migrations import migrate
from tallygate.supervisor import folder as folders

POLL_S = 0.1
KEEPER = "from tallygate.cli import main; main()"


def measure(options: Options, folder: Path) -> dict[str, Any]:
    data = folder / "data"
    with _upstream() as port:
        asyncio.run(_fill(data, port, options.credentials, options.credential_hosts))
        seconds, peak_mb, cpu_s, said = _run(data)
    if f"Refreshed: {options.credentials}\n" not in said:
        raise BenchFailed(f"not all {options.credentials} were refreshed: {said[-400:]}")
    floor_s = options.credentials / options.credential_hosts
    return {
        "credentials": options.credentials,
        "hosts": options.credential_hosts,
        "floor_s": floor_s,
        "seconds": round(seconds, 1),
        "over_floor_percent": round((seconds / floor_s - 1) * 100, 1),
        "peak_mb": round(peak_mb, 1),
        "cpu_s": round(cpu_s, 1),
    }


@contextmanager
def _upstream() -> Iterator[int]:
    command = [sys.executable, "-m", "tests.fakes.credential_upstream", "--host", "0.0.0.0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(json.loads(process.stdout.readline())["port"])
        finally:
            process.terminate()


async def _fill(data: Path, port: int, number: int, hosts: int) -> None:
    folders.open_folder(data)
    ring = folders.master_key(data, None)
    db = Database(f"sqlite:///{data}/tallygate.db")
    await db.open()
    await migrate(db)
    async with db.writing(deadline_s=120) as tx:
        for one in range(number):
            url = f"http://127.0.{one % hosts // 250}.{one % hosts % 250 + 1}:{port}"
            new = NewCredential(
                kind="baoming",
                name=f"card {one}",
                variables={"base_url": url},
                parts={"secret": f"valid-{one}"},
                given="secret",
            )
            await credentials.insert(tx, ring, new, 1_770_800_000_000)
    await db.close()


def _run(data: Path) -> tuple[float, float, float, str]:
    """Seconds, peak memory, CPU and the last words of one `keeper refresh`."""
    out = data / "said"
    environ = {**os.environ, "TALLYGATE_DATA": str(data)}
    started_s, peak_mb = time.monotonic(), 0.0
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", KEEPER, "keeper", "refresh", "--lang", "en"],
            stdout=file,
            stderr=subprocess.DEVNULL,
            env=environ,
        )
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        while not ended:
            # Its own word, for what `wait4` says counts the memory of whoever started it, too.
            peak_mb = max(peak_mb, _peak_mb(process.pid))
            time.sleep(POLL_S)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
    seconds = time.monotonic() - started_s
    if status:
        raise BenchFailed(f"keeper refresh ended with {status}")
    cpu_s = used.ru_utime + used.ru_stime
    return seconds, peak_mb, cpu_s, out.read_text("utf-8")[-2000:]


def _peak_mb(pid: int) -> float:
    """The most that it ever held; 0 when it has just ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
