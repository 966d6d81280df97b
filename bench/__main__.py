"""`python -m bench [names…]`: the measurements of bench/README.md, all of them by default."""

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.load import (
    anomalies,
    keeper,
    latency,
    ledger,
    machine,
    many_keys,
    memory,
    nginx,
    paid,
    peers,
    plain,
    questions,
    report,
    routes,
    streams,
    usage,
    usage_log,
    webhook,
)
from bench.load.options import Options
from bench.load.processes import BenchFailed, raise_file_limit
from bench.micro import runner

ROWS: dict[str, Callable[[Options, Path], dict[str, Any]]] = {
    "plain": plain.measure,
    "tls": plain.measure_tls,
    "streams": streams.measure,
    "paid": paid.measure,
    "latency": latency.measure,
    "memory": memory.measure,
    "keeper": keeper.measure,
    "peers": peers.measure,
    "routes": routes.measure,
    "keys": many_keys.measure,
    "webhook": webhook.measure,
    "usage-log": usage_log.measure,
    "ledger": ledger.measure,
    "anomalies": anomalies.measure,
    "questions": questions.measure,
    "usage": usage.measure,
}


def main() -> int:
    arguments = parsed()
    names = arguments.names or [*ROWS, "micro"]
    unknown = [name for name in names if name not in ROWS and name != "micro"]
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; use {', '.join([*ROWS, 'micro'])}")
        return 2
    try:
        return run(names, options_of(arguments), arguments)
    except BenchFailed as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join([*ROWS, "micro"]))
    parser.add_argument("--workers", type=int, help="of Tallygate and of nginx alike")
    parser.add_argument("--requests", type=int, help="per measurement of ordinary answers")
    parser.add_argument("--uses", type=int, help="reported in batches, of each store")
    parser.add_argument("--charges", type=int, help="in the ledger that is verified")
    parser.add_argument("--usage-rows", type=int, help="of usage, in each store")
    parser.add_argument("--full", action="store_true", help="a million requests for memory")
    parser.add_argument("--dry", action="store_true", help="write nothing under bench/results")
    parser.add_argument("--only", default="", help="of micro: names that contain this")
    return parser.parse_args()


def options_of(arguments: argparse.Namespace) -> Options:
    options = Options()
    if arguments.workers:
        options = dataclasses.replace(options, workers=arguments.workers)
    if arguments.requests:
        options = dataclasses.replace(options, requests=arguments.requests)
    if arguments.uses:
        options = dataclasses.replace(options, uses=arguments.uses)
    if arguments.charges:
        options = dataclasses.replace(options, charges=arguments.charges)
    if arguments.usage_rows:
        options = dataclasses.replace(options, usage_rows=arguments.usage_rows)
    if arguments.full:
        options = dataclasses.replace(options, growth_requests=1_000_000, seconds_max=300)
    return options


def run(names: list[str], options: Options, arguments: argparse.Namespace) -> int:
    result: dict[str, Any] = {}
    rows = [name for name in names if name != "micro"]
    if rows:
        nginx.install_if_missing()
        raise_file_limit()
        result = {"machine": machine.describe(), "options": dataclasses.asdict(options)}
    for name in rows:
        started_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="tallygate-bench-") as folder:
            result[name] = ROWS[name](options, Path(folder))
        print(f"{name}: {time.monotonic() - started_s:.0f} s", file=sys.stderr)
    if rows:
        print(report.as_markdown(result))
    if rows and not arguments.dry:
        print("\n".join(str(path) for path in report.write(result)))
    return runner.run(arguments.only) if "micro" in names else 0


if __name__ == "__main__":
    sys.exit(main())
