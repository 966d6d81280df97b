"""Dashboards of other products beside our console, opened by the same browser in the same run.

Each is installed as it comes from PyPI, started with its defaults and filled with usage; its own
first range of time is what is opened. What cannot be installed, started or filled is left out, and
the table says so. LiteLLM's needs a database through a program that no package holds, so only the
frame of its page can be opened: nothing in it waits for an answer, and it is named as a frame.
"""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import dashboard_rows, peers
from bench.load.installed import bare_environment, from_pypi
from bench.load.ports import free_port, is_listening
from bench.load.processes import BenchFailed, Child

PHOENIX = "20.26.1"
MLFLOW = "3.17.2"
ROWS_MAX = 1_000_000  # of each: filled in half a minute, in about a gigabyte
START_S_MAX = 180.0
ANSWER_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Served:
    """A dashboard that waits to be opened: how console/e2e/dashboards.ts calls it, and where."""

    name: str
    url: str
    rows: int
    token: str = ""


Opened = dict[str, Any]


def measure(
    folder: Path, rows: int, paint: Callable[[Served], Opened]
) -> tuple[dict[str, Opened], dict[str, str]]:
    """What was opened, by name; and what was left out, with the reason."""
    found: dict[str, Opened] = {}
    left_out: dict[str, str] = {}
    for title, serve in _PRODUCTS.items():
        own = folder / serve.__name__.strip("_")
        own.mkdir()
        try:
            with serve(own, min(rows, ROWS_MAX)) as served:
                found[title] = {"rows": served.rows, **paint(served)}
        except (BenchFailed, subprocess.SubprocessError, OSError) as error:
            left_out[title] = str(error)[:300]
    return found, left_out


@contextmanager
def _phoenix(folder: Path, rows: int) -> Iterator[Served]:
    program = from_pypi(f"phoenix-{PHOENIX}", f"arize-phoenix=={PHOENIX}", "phoenix")
    at = free_port()
    settings = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(at),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    environment = bare_environment(folder) | settings
    with Child([str(program), "serve"], folder / "log", env=environment) as child:
        child.wait_until(lambda: is_listening(at), START_S_MAX)
        dashboard_rows.fill_phoenix(folder / "phoenix.db", rows)
        yield Served("phoenix", f"http://127.0.0.1:{at}", rows)


@contextmanager
def _mlflow(folder: Path, rows: int) -> Iterator[Served]:
    program = from_pypi(f"mlflow-{MLFLOW}", f"mlflow=={MLFLOW}", "mlflow")
    at, path = free_port(), folder / "mlflow.db"
    command = [str(program), "server", "--backend-store-uri", f"sqlite:///{path}"]
    command += ["--default-artifact-root", str(folder / "artifacts")]
    command += ["--host", "127.0.0.1", "--port", str(at)]
    environment = bare_environment(folder) | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    with Child(command, folder / "log", env=environment) as child:
        child.wait_until(lambda: is_listening(at), START_S_MAX)
        endpoint = _endpoint(f"http://127.0.0.1:{at}/ajax-api/3.0/mlflow/gateway")
        dashboard_rows.fill_mlflow(
            path,
            rows,
            experiment=int(endpoint["experiment_id"]),
            endpoint=endpoint["endpoint_id"],
        )
        yield Served("mlflow", f"http://127.0.0.1:{at}", rows)


def _endpoint(api: str) -> dict[str, Any]:
    """Of its gateway, made as its own pages make one; its usage page shows nothing without."""
    wanted = {"secret_name": "bench", "secret_value": {"api_key": "sk-none"}, "provider": "openai"}
    secret = _posted(f"{api}/secrets/create", wanted)["secret"]["secret_id"]
    wanted = {"name": "bench", "secret_id": secret, "provider": "openai", "model_name": "bench"}
    made = _posted(f"{api}/model-definitions/create", wanted)["model_definition"]
    model = {"model_definition_id": made["model_definition_id"], "weight": 1}
    configs = [model | {"linkage_type": "PRIMARY"}]
    wanted = {"name": "bench", "model_configs": configs, "usage_tracking": True}
    endpoint: dict[str, Any] = _posted(f"{api}/endpoints/create", wanted)["endpoint"]
    return endpoint


@contextmanager
def _litellm(folder: Path, _: int) -> Iterator[Served]:
    with peers.litellm(folder, []) as (_child, at):
        yield Served("litellm", f"http://127.0.0.1:{at}", 0, peers.KEY)


_PRODUCTS: dict[str, Callable[[Path, int], AbstractContextManager[Served]]] = {
    f"Phoenix {PHOENIX}, a project's metrics": _phoenix,
    f"MLflow {MLFLOW}, its gateway's usage": _mlflow,
    f"LiteLLM {peers.LITELLM}, the empty frame of its usage": _litellm,
}


def _posted(address: str, body: object) -> Any:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S_MAX) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise BenchFailed(f"{address} answered {error.code}: {error.read()[:300]!r}") from error
