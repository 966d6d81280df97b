"""CPU time per request beside nginx: ordinary answers, with a plain and with a TLS upstream."""

from pathlib import Path
from typing import Any

from bench.load import gate, nginx, wrk
from bench.load.options import Options
from bench.load.processes import BenchFailed, CpuReading, tree_of, wait_until_quiet
from bench.load.traffic import request_bytes
from tests.fakes.certificates import Certificates, make_certificates

Row = dict[str, Any]
WARM_UP_S = 2


def measure(options: Options, folder: Path) -> Row:
    """Keep-alive, 32 connections, 16 request and 14 answer headers, an answer of 430 bytes."""
    return _measured(options, folder, None)


def measure_tls(options: Options, folder: Path) -> Row:
    """The same with an upstream behind TLS, its certificate verified, its connections kept."""
    return _measured(options, folder, make_certificates(folder))


def _measured(options: Options, folder: Path, certificates: Certificates | None) -> Row:
    scheme = "https" if certificates else "http"
    with nginx.upstream(folder / "upstream", options.workers, certificates) as (_, port):
        with nginx.proxy(folder / "proxy", options.workers, port, certificates) as (child, front):
            groups = {"nginx": tree_of(child.pid)}
            yardstick = _driven(options, folder, front, "sk-bench", groups)
        with gate.running(
            folder / "gate", options.workers, f"{scheme}://127.0.0.1:{port}/v1", certificates
        ) as running:
            ours = _driven(options, folder, running.port, running.key, running.groups())
            ours["requests_on_the_books"] = _booked(running, ours["requests_answered"])
    ratio = ours["gateway_us"] / yardstick["nginx_us"]
    return {"nginx": yardstick, "tallygate": ours, "gateway_to_nginx": round(ratio, 2)}


def _booked(running: gate.Gate, answered: int) -> int:
    """What was let through: all that was answered, and what wrk broke off at the end of a run."""
    booked: int = running.admin("GET", "/admin/usage")["total_requests"]
    if not answered <= booked <= answered + 2 * wrk.CONNECTIONS:
        raise BenchFailed(f"{answered} requests were answered, {booked} are on the books")
    return booked


def _driven(
    options: Options, folder: Path, port: int, key: str, groups: dict[str, list[int]]
) -> Row:
    """Microseconds of CPU per request, for each group of processes."""
    request = request_bytes(key)
    warm = wrk.drive(port, request, folder, seconds=WARM_UP_S)
    everyone = [pid for pids in groups.values() for pid in pids]
    wait_until_quiet(everyone)
    before = CpuReading.take(groups)
    seconds = options.seconds_for(options.requests, warm.per_second)
    load = wrk.drive(port, request, folder, seconds=seconds)
    wait_until_quiet(everyone)
    row: Row = {
        f"{name}_us": round(used / load.requests * 1e6, 2) for name, used in before.since().items()
    }
    row["requests_answered"] = warm.requests + load.requests
    row |= {"requests": load.requests, "per_second": round(load.per_second)}
    return row | {"p50_ms": load.p50_ms, "p99_ms": load.p99_ms}
