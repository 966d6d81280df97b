"""Results as JSON for machines and as a table for people, side by side under bench/results/."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.load import console_table, store_tables

RESULTS = Path(__file__).resolve().parents[1] / "results"
CPU_BAR = 3.0
TRANSFER_BAR = 2.0
ADDED_P50_MS_BAR, ADDED_P99_MS_BAR = 0.5, 3.0
PAID_PERCENT_BAR = 10
IDLE_MB_BAR, STREAMS_MB_BAR = 60, 120
KEY_BYTES_BAR = 1_000

Result = dict[str, Any]


def write(result: Result) -> list[Path]:
    RESULTS.mkdir(exist_ok=True)
    stamp = result["machine"]["date"].replace(":", "").replace("-", "")
    name = f"{stamp}-{result['machine']['commit']}"
    raw, table = RESULTS / f"{name}.json", RESULTS / f"{name}.md"
    raw.write_text(json.dumps(result, indent=2) + "\n")
    table.write_text(as_markdown(result))
    return [raw, table]


def as_markdown(result: Result) -> str:
    machine = result["machine"]
    dirty = "" if machine["is_tree_clean"] else " with uncommitted changes"
    lines = [
        f"# Measured {machine['date']}, commit {machine['commit']}{dirty}",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, load average {machine['load_average']} at "
        f"the start, Linux {machine['kernel']}, Python {machine['python']}, "
        f"nginx {machine['nginx']}. Method: bench/README.md.",
        "",
        *cpu_table(result),
        *peers_table(result),
        *paid_table(result),
        *latency_table(result),
        *memory_table(result),
        *routes_table(result),
        *keys_table(result),
        *store_tables.webhook_table(result),
        *store_tables.usage_log_table(result),
        *store_tables.ledger_table(result),
        *store_tables.questions_table(result),
        *store_tables.usage_table(result),
        *console_table.console_table(result),
        *store_tables.keeper_table(result),
        *store_tables.anomalies_table(result),
    ]
    return "\n".join(lines).rstrip() + "\n"


def cpu_table(result: Result) -> Iterator[str]:
    names = {
        "plain": "request, plain upstream",
        "tls": "request, TLS upstream",
        "streams": "event of a stream",
    }
    if not result.keys() & names.keys():
        return
    yield "| CPU µs per | nginx | gateway | × nginx | bar | clerk | control | supervisor |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for row, name in names.items():
        if row in result:
            ours = result[row]["tallygate"]
            others = " | ".join(str(ours[f"{role}_us"]) for role in OTHERS)
            yield (
                f"| {name} | {result[row]['nginx']['nginx_us']} | {ours['gateway_us']} | "
                f"{result[row]['gateway_to_nginx']} | {CPU_BAR} | {others} |"
            )
    yield ""
    if "streams" in result:
        reads = [result["streams"][name]["reads_per_event"] for name in ("nginx", "tallygate")]
        yield f"Reads per event at the client: nginx {reads[0]}, Tallygate {reads[1]}."
        yield ""


OTHERS = ("clerk", "control", "supervisor")


def peers_table(result: Result) -> Iterator[str]:
    if "peers" not in result:
        return
    yield "| one worker of | CPU µs of a request, all processes | × nginx | p50 ms |"
    yield "|---|--:|--:|--:|"
    for name, one in result["peers"].items():
        yield f"| {name} | {one['us']:,} | {one['to_nginx']:,} | {one['p50_ms']} |"
    yield ""


def paid_table(result: Result) -> Iterator[str]:
    if "paid" not in result:
        return
    row = result["paid"]
    yield "| CPU µs per request | gateway | clerk |"
    yield "|---|--:|--:|"
    for name, title in (("limits", "with limits alone"), ("wallet", "paid by a wallet")):
        yield f"| {title} | {row[name]['gateway_us']} | {row[name]['clerk_us']} |"
    yield f"| added | {row['added']['gateway_us']} | {row['added']['clerk_us']} |"
    share = row["added_percent_of_gateway"]
    yield f"| of the gateway's | {share} % (bar {PAID_PERCENT_BAR} %) | |"
    yield ""


def latency_table(result: Result) -> Iterator[str]:
    if "latency" not in result:
        return
    row = result["latency"]
    yield "| at 1,000 requests/s | p50 ms | p99 ms | added p50 | added p99 |"
    yield "|---|--:|--:|--:|--:|"
    yield f"| direct | {row['direct']['p50_ms']} | {row['direct']['p99_ms']} | | |"
    for name in ("nginx", "tallygate"):
        one = row[name]
        added = f"{one['added_p50_ms']} | {one['added_p99_ms']}"
        yield f"| {name} | {one['p50_ms']} | {one['p99_ms']} | {added} |"
    yield f"| bar | | | {ADDED_P50_MS_BAR} | {ADDED_P99_MS_BAR} |"
    yield ""


def memory_table(result: Result) -> Iterator[str]:
    if "memory" not in result:
        return
    row = result["memory"]
    yield "| a worker's memory | MB | bar |"
    yield "|---|--:|--:|"
    yield f"| idle | {row['idle_mb']} | {IDLE_MB_BAR} |"
    yield f"| {row['streams_open']:,} open streams | {row['with_streams_mb']} | {STREAMS_MB_BAR} |"
    first, last = row["samples_mb"][0], row["samples_mb"][-1]
    yield f"| after {first[0]:,} requests | {first[1]} | |"
    yield f"| after {last[0]:,} requests | {last[1]} | no growth |"
    yield ""


def routes_table(result: Result) -> Iterator[str]:
    if "routes" not in result:
        return
    row = result["routes"]
    yield "| private services | nginx | gateway | × nginx | bar | clerk |"
    yield "|---|--:|--:|--:|--:|--:|"
    ours = row["tallygate"]
    yield (
        f"| CPU µs of a request, {row['routes']:,} routes | {row['nginx']['nginx_us']} | "
        f"{ours['gateway_us']} | {row['gateway_to_nginx']} | {CPU_BAR} | {ours['clerk_us']} |"
    )
    for name in ("download", "upload"):
        one = row[name]
        yield (
            f"| CPU ms of 100 MB, {name} | {one['nginx_ms']} | {one['gateway_ms']} | "
            f"{one['gateway_to_nginx']} | {TRANSFER_BAR} | {one['clerk_ms']} |"
        )
    yield ""
    yield f"The largest worker held {row['memory_mb']} MB afterwards."
    yield ""


def keys_table(result: Result) -> Iterator[str]:
    if "keys" not in result:
        return
    row = result["keys"]
    yield "| CPU µs of a request, another key each time | keys in use | gateway | clerk |"
    yield "|---|--:|--:|--:|"
    many = f"{row['keys']:,} keys, {row['routes']:,} routes"
    for name, title in (("alone", "few keys, one route"), ("beside_many", many), ("in_use", many)):
        one = row[name]
        yield f"| {title} | {one['keys_in_use']:,} | {one['gateway_us']} | {one['clerk_us']} |"
    yield ""
    remembered = f"{row['bytes_per_key']:,} bytes of a key in use (bar {KEY_BYTES_BAR:,})"
    yield f"A worker remembers {remembered}."
    yield ""
