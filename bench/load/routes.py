"""Private services beside nginx: CPU of a generic request, and of 100 MB each way.

The token has two large limits and the route one for each token, a scope and a stripped prefix; a
thousand other routes are there. Nothing is off: every use is a journal entry.
"""

import contextlib
import http.client
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.load import gate, nginx
from bench.load.options import Options
from bench.load.plain import Row, Target
from bench.load.processes import BenchFailed, CpuReading, rss_bytes, tree_of, wait_until_quiet

ROUTES = 1_000
SIZE = 100 << 20
PIECE = b"x" * (1 << 18)
TIMEOUT_S = 60
STREAMED = ("client_max_body_size 0;", "proxy_request_buffering off;")

Transfer = Callable[[int, str], None]


def measure(options: Options, folder: Path) -> Row:
    """The generic request as `plain` measures one, then transfers one after another."""
    with (
        nginx.upstream(folder / "upstream", options.workers) as (_, port),
        nginx.file_server(folder / "files", options.workers, SIZE) as (_, files),
        nginx.proxy(folder / "proxy", options.workers, port) as (child, front),
        nginx.proxy(folder / "streamed", 1, files, more=STREAMED) as (streaming, streamed),
        gate.running(folder / "gate", options.workers, f"http://127.0.0.1:{port}/v1") as running,
    ):
        token = _prepare(running, port, files)
        rows = _generic(options, folder, (child.pid, front), running, token)
        yardstick = ({"nginx": tree_of(streaming.pid)}, streamed, "/files/large", "/put")
        ours = (running.groups(), running.port, "/bench/files/large", "/bench/put")
        for name, transfer in (("download", _download), ("upload", _upload)):
            rows[name] = _transfers(options, transfer, token, yardstick, ours)
        rows["memory_mb"] = round(max(map(rss_bytes, running.groups()["gateway"])) / 1e6, 1)
    return rows


def _prepare(running: gate.Gate, port: int, files: int) -> str:
    """A token, the two routes that are driven, and many that are not."""
    backend = f"http://127.0.0.1:{port}"
    for number in range(ROUTES):
        path = f"/services/team-{number}/api"
        running.admin("POST", "/api/routes", {"path": path, "backend_url": backend})
    limits = [{"span": "minute", "amount": gate.LARGE, "per": "token"}]
    generic = {"path": "/generic", "backend_url": backend, "scope": "bench", "limits": limits}
    running.admin("POST", "/api/routes", generic | {"strip_prefix": True})
    large = {"path": "/bench", "backend_url": f"http://127.0.0.1:{files}", "strip_prefix": True}
    running.admin("POST", "/api/routes", large)
    own = [{"dimension": "requests", "span": "day", "amount": gate.LARGE}]
    asked = {"name": "bench", "scopes": ["bench"], "limits": own}
    token: str = running.admin("POST", "/api/tokens", asked)["token"]
    return token


def _generic(
    options: Options, folder: Path, proxy: tuple[int, int], running: gate.Gate, token: str
) -> Row:
    pid, front = proxy
    yardstick = Target(folder, front, token, {"nginx": tree_of(pid)}, "/things/7?page=2")
    groups = running.groups()
    ours = Target(folder, running.port, token, groups, "/generic/things/7?page=2")
    for _ in range(options.rounds):
        for target in (yardstick, ours):
            target.drive(options)
    rows: Row = {"nginx": yardstick.row(), "tallygate": ours.row()}
    ratio = rows["tallygate"]["gateway_us"] / rows["nginx"]["nginx_us"]
    return rows | {"gateway_to_nginx": round(ratio, 2), "routes": ROUTES}


def _transfers(
    options: Options,
    transfer: Transfer,
    token: str,
    *targets: tuple[dict[str, list[int]], int, str, str],
) -> Row:
    """Milliseconds of CPU for 100 MB; both take turns."""
    used_s: Counter[str] = Counter()
    count = max(1, options.transfers // options.rounds)
    for _ in range(options.rounds):
        for groups, port, down, up in targets:
            path = down if transfer is _download else up
            transfer(port, f"{path} {token}")
            everyone = [pid for pids in groups.values() for pid in pids]
            wait_until_quiet(everyone)
            before = CpuReading.take(groups)
            for _ in range(count):
                transfer(port, f"{path} {token}")
            wait_until_quiet(everyone)
            used_s.update(before.since())
    total = count * options.rounds
    row: Row = {f"{name}_ms": round(s / total * 1e3, 1) for name, s in used_s.items()}
    return row | {"gateway_to_nginx": round(row["gateway_ms"] / row["nginx_ms"], 2)}


def _download(port: int, what: str) -> None:
    path, token = what.split()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"X-API-Key": token})
        answer = connection.getresponse()
        count = 0
        while data := answer.read(1 << 18):
            count += len(data)
    if answer.status != 200 or count != SIZE:
        raise BenchFailed(f"{path} answered {answer.status} with {count} bytes")


def _upload(port: int, what: str) -> None:
    path, token = what.split()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    with contextlib.closing(connection):
        pieces = (PIECE for _ in range(SIZE // len(PIECE)))
        headers: dict[str, Any] = {"X-API-Key": token, "Content-Length": str(SIZE)}
        connection.request("PUT", path, pieces, headers)
        answer = connection.getresponse()
        answer.read()
    if answer.status not in (201, 204):
        raise BenchFailed(f"{path} answered {answer.status} to an upload")
