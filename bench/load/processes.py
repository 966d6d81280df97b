"""Processes as the bench sees them: started, watched in /proc, and ended by their id alone."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

FILES_WANTED = 65_536
STOP_TIMEOUT_S = 15
IDLE_SHARE = 0.1  # of a core: ticks, sweeps and feeds of all roles, on a busy machine
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class BenchFailed(Exception):
    """The measurement cannot be made, and why; never a figure that means nothing."""


def raise_file_limit() -> int:
    """2,000 streams are 4,000 sockets in a worker; children inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def cpu_s(pid: int) -> float:
    """User and system time of a process, its threads included and its children not.

    The kernel's own sum in nanoseconds where it is offered (`schedstat` of every thread), else the
    same sum in ticks of 10 ms from `stat`.
    """
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except FileNotFoundError:
        return ticks_s(pid)


def ticks_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        raise BenchFailed(f"process {pid} ended in the middle of the measurement") from None
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def family_s(pid: int) -> float:
    """User and system time of a process and all its children, those that have ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ended_s = (int(fields[13]) + int(fields[14])) * _TICK_S
    return ended_s + cpu_s(pid) + sum(map(cpu_s, children_of(pid)))


def rss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise BenchFailed(f"process {pid} has no memory to measure")


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def tree_of(pid: int) -> list[int]:
    return [pid, *(one for child in children_of(pid) for one in tree_of(child))]


@dataclass(frozen=True, slots=True)
class CpuReading:
    """CPU time used so far by groups of processes."""

    groups: Mapping[str, Sequence[int]]
    used_s: Mapping[str, float]

    @classmethod
    def take(cls, groups: Mapping[str, Sequence[int]]) -> "CpuReading":
        used = {name: sum(map(cpu_s, pids)) for name, pids in groups.items()}
        return cls(groups, used)

    def since(self) -> dict[str, float]:
        """Seconds of CPU that each group has used since this reading."""
        now = CpuReading.take(self.groups)
        return {name: now.used_s[name] - was for name, was in self.used_s.items()}


def wait_until_quiet(pids: Iterable[int], timeout_s: float = 180.0) -> None:
    """Work put off until after the answers (settling) belongs to the requests that made it."""
    pids = list(pids)
    ends_s = time.monotonic() + timeout_s
    while time.monotonic() < ends_s:
        before = sum(map(cpu_s, pids))
        time.sleep(0.5)
        if sum(map(cpu_s, pids)) - before < 0.5 * IDLE_SHARE:
            return
    raise BenchFailed(f"the processes are still at work {timeout_s:.0f} s after the load")


class Child:
    """A process of ours, ended when the block is left."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.command = command
        self.log = log
        self.env = dict(env) if env is not None else None
        self.stop_signal = stop_signal
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None, "the process is started by entering the block"
        return self.process.pid

    def __enter__(self) -> "Child":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.env
            )
        return self

    def wait_until(self, is_ready: Callable[[], bool], timeout_s: float = 30.0) -> None:
        assert self.process is not None
        ends_s = time.monotonic() + timeout_s
        while not is_ready():
            if self.process.poll() is not None or time.monotonic() > ends_s:
                tail = self.log.read_text(errors="replace")[-2000:]
                raise BenchFailed(f"{self.command[0]} did not become ready:\n{tail}")
            time.sleep(0.05)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
