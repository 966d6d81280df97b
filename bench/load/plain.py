"""CPU time per request beside nginx: ordinary answers, with a plain and with a TLS upstream."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.load import gate, nginx, wrk
from bench.load.options import Options
from bench.load.processes import BenchFailed, CpuReading, tree_of, wait_until_quiet
from bench.load.traffic import request_bytes
from tests.fakes.certificates import Certificates, make_certificates

Row = dict[str, Any]
WARM_UP_S = 1


def measure(options: Options, folder: Path) -> Row:
    """Keep-alive, 32 connections, 16 request and 14 answer headers, an answer of 430 bytes."""
    return _measured(options, folder, None)


def measure_tls(options: Options, folder: Path) -> Row:
    """The same with an upstream behind TLS, its certificate verified, its connections kept."""
    return _measured(options, folder, make_certificates(folder))


def _measured(options: Options, folder: Path, certificates: Certificates | None) -> Row:
    """nginx and Tallygate take turns, so that a busy moment of the machine weighs on both."""
    url = f"http{'s' if certificates else ''}://127.0.0.1"
    with (
        nginx.upstream(folder / "upstream", options.workers, certificates) as (_, port),
        nginx.proxy(folder / "proxy", options.workers, port, certificates) as (child, front),
        gate.running(folder / "gate", options.workers, f"{url}:{port}/v1", certificates) as running,
    ):
        yardstick = Target(folder, front, "sk-bench", {"nginx": tree_of(child.pid)})
        ours = Target(folder, running.port, running.key, running.groups())
        for _ in range(options.rounds):
            for target in (yardstick, ours):
                target.drive(options)
        booked = _booked(running, ours.answered, options.rounds)
    rows = {"nginx": yardstick.row(), "tallygate": ours.row() | {"requests_on_the_books": booked}}
    ratio = rows["tallygate"]["gateway_us"] / rows["nginx"]["nginx_us"]
    return {**rows, "gateway_to_nginx": round(ratio, 2)}


def _booked(running: gate.Gate, answered: int, rounds: int) -> int:
    """What was let through: all that was answered, and what wrk broke off at the end of a run."""
    booked: int = running.admin("GET", "/admin/usage")["total_requests"]
    broken_off_max = 2 * rounds * wrk.CONNECTIONS
    if not answered <= booked <= answered + broken_off_max:
        raise BenchFailed(f"{answered} requests were answered, {booked} are on the books")
    return booked


@dataclass
class Target:
    """What is driven, and what that has cost each group of its processes so far."""

    folder: Path
    port: int
    key: str
    groups: dict[str, list[int]]
    path: str = "/v1/chat/completions"
    used_s: Counter[str] = field(default_factory=Counter)
    loads: list[wrk.Load] = field(default_factory=list)
    answered: int = 0  # warming up included

    def drive(self, options: Options) -> None:
        request = request_bytes(self.key, path=self.path)
        warm = wrk.drive(self.port, request, self.folder, seconds=WARM_UP_S)
        everyone = [pid for pids in self.groups.values() for pid in pids]
        wait_until_quiet(everyone)
        before = CpuReading.take(self.groups)
        seconds = options.seconds_for(options.requests // options.rounds, warm.per_second)
        load = wrk.drive(self.port, request, self.folder, seconds=seconds)
        wait_until_quiet(everyone)
        self.used_s.update(before.since())
        self.loads.append(load)
        self.answered += warm.requests + load.requests

    def row(self) -> Row:
        """Microseconds of CPU per request, for each group of processes."""
        requests = sum(load.requests for load in self.loads)
        row: Row = {f"{name}_us": round(s / requests * 1e6, 2) for name, s in self.used_s.items()}
        seconds = sum(load.duration_s for load in self.loads)
        worst_ms = max(load.p99_ms for load in self.loads)
        return row | {
            "requests": requests,
            "per_second": round(requests / seconds),
            "p99_ms_of_the_worst_round": worst_ms,
        }
