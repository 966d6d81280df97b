"""Other gateways beside us: CPU time per request of all their processes, as they come.

Each is driven with the same request, has the same upstream, one worker, and neither a database nor
limits: they do less than Tallygate beside them. What cannot be installed or started is left out and
named.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import gate, nginx, wrk
from bench.load.installed import NODE, bare_environment, from_npm, from_pypi
from bench.load.options import Options
from bench.load.ports import free_port, is_listening
from bench.load.processes import BenchFailed, Child, CpuReading, tree_of, wait_until_quiet
from bench.load.traffic import MODEL, request_bytes

Row = dict[str, Any]
LITELLM = "1.106.2"
PORTKEY = "1.15.2"
KEY = "sk-bench"
START_S_MAX = 120.0
WARM_UP_S = 10  # the slowest answers its first requests after seconds
REQUESTS = 20_000  # at most; a slow one is given SECONDS_MAX
SECONDS_MAX = 20


def measure(options: Options, folder: Path) -> Row:
    row: Row = {}
    with nginx.upstream(folder / "upstream", options.workers) as (_, port):
        for name, running in _targets(folder, port):
            try:
                with running as target:
                    row[name] = _driven(folder, target)
            except (BenchFailed, subprocess.SubprocessError, OSError) as error:
                print(f"{name} is left out: {error}", file=sys.stderr)
    if "nginx" not in row:
        raise BenchFailed("without nginx there is nothing to compare with")
    for one in row.values():
        one["to_nginx"] = round(one["us"] / row["nginx"]["us"], 1)
    return row


@dataclass(frozen=True, slots=True)
class Target:
    """What is driven: its processes, where it listens, and its request."""

    processes: Callable[[], Sequence[int]]
    port: int
    request: bytes


def _targets(folder: Path, port: int) -> Iterator[tuple[str, Any]]:
    yield "nginx", _nginx(folder, port)
    yield "Tallygate", _tallygate(folder, port)
    yield f"Portkey {PORTKEY}", _portkey(folder, port)
    yield f"LiteLLM {LITELLM}", _litellm(folder, port)


def _driven(folder: Path, target: Target) -> Row:
    warm = wrk.drive(target.port, target.request, folder, seconds=WARM_UP_S)
    everyone = {"all": list(target.processes())}
    wait_until_quiet(everyone["all"])
    before = CpuReading.take(everyone)
    seconds = max(1, min(SECONDS_MAX, round(REQUESTS / warm.per_second)))
    load = wrk.drive(target.port, target.request, folder, seconds=seconds)
    wait_until_quiet(everyone["all"])
    used_us = before.since()["all"] / load.requests * 1e6
    return {"us": round(used_us, 1), "requests": load.requests, "p50_ms": load.p50_ms}


@contextmanager
def _nginx(folder: Path, port: int) -> Iterator[Target]:
    with nginx.proxy(folder / "proxy", 1, port) as (child, front):
        yield Target(lambda: tree_of(child.pid), front, request_bytes(KEY))


@contextmanager
def _tallygate(folder: Path, port: int) -> Iterator[Target]:
    with gate.running(folder / "gate", 1, f"http://127.0.0.1:{port}/v1") as running:

        def processes() -> list[int]:
            return [pid for pids in running.groups().values() for pid in pids]

        yield Target(processes, running.port, request_bytes(running.key))


@contextmanager
def _portkey(folder: Path, port: int) -> Iterator[Target]:
    name, requirement = f"portkey-{PORTKEY}", f"@portkey-ai/gateway@{PORTKEY}"
    script = from_npm(name, requirement, "@portkey-ai/gateway/build/start-server.js")
    at = free_port()
    command = [str(NODE), str(script)]
    command += ["--headless", f"--port={at}"]
    with Child(command, folder / "portkey.log", env=bare_environment(folder)) as child:
        child.wait_until(lambda: is_listening(at), START_S_MAX)
        asked = request_bytes(KEY).decode()
        more = f"x-portkey-provider: openai\r\nx-portkey-custom-host: http://127.0.0.1:{port}/v1"
        request = asked.replace("\r\n\r\n", f"\r\n{more}\r\n\r\n", 1).encode()
        yield Target(lambda: tree_of(child.pid), at, request)


@contextmanager
def _litellm(folder: Path, port: int) -> Iterator[Target]:
    upstream = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{port}/v1"}
    models = [{"model_name": MODEL, "litellm_params": upstream | {"api_key": "sk-up"}}]
    with litellm(folder, models) as (child, at):
        yield Target(lambda: tree_of(child.pid), at, request_bytes(KEY))


@contextmanager
def litellm(folder: Path, models: Sequence[Row]) -> Iterator[tuple[Child, int]]:
    """Its proxy with these models and no database, and the port it listens on."""
    program = from_pypi(f"litellm-{LITELLM}", f"litellm[proxy]=={LITELLM}", "litellm")
    settings = folder / "litellm.yaml"  # JSON is YAML
    settings.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": KEY}}))
    at = free_port()
    command = [str(program), "--config", str(settings), "--host", "127.0.0.1"]
    command += ["--port", str(at), "--num_workers", "1"]
    # Nothing but the upstream here is asked: neither a list of prices nor telemetry.
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    with Child(command, folder / "litellm.log", env=bare_environment(folder) | quiet) as child:
        child.wait_until(lambda: is_listening(at), START_S_MAX)
        yield child, at
