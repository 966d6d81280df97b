"""Results as JSON for machines and as a table for people, side by side under bench/results/."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "results"
CPU_BAR = 3.0
TRANSFER_BAR = 2.0
ADDED_P50_MS_BAR, ADDED_P99_MS_BAR = 0.5, 3.0
PAID_PERCENT_BAR = 10
CHARGES_BAR, FLOOR_BAR = 2_000, 5.0
USES_BAR, SETTLED_BAR = 20_000, 20_000
IDLE_MB_BAR, STREAMS_MB_BAR = 60, 120
VERIFY_S_BAR = 60
KEEPER_MB_BAR = 100
FOUND_BAR, FALSE_ALARMS_BAR = 95, 1
ANSWER_MS_BAR = 100
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
        *paid_table(result),
        *latency_table(result),
        *memory_table(result),
        *routes_table(result),
        *keys_table(result),
        *webhook_table(result),
        *usage_log_table(result),
        *ledger_table(result),
        *questions_table(result),
        *usage_table(result),
        *keeper_table(result),
        *anomalies_table(result),
    ]
    return "\n".join(lines).rstrip() + "\n"


def anomalies_table(result: Result) -> Iterator[str]:
    if "anomalies" not in result:
        return
    row = result["anomalies"]
    yield f"| anomalies, {row['weeks']} weeks of each token | of | measured | bar |"
    yield "|---|--:|--:|--:|"
    for kind, one in row["kinds"].items():
        yield f"| found: {kind} | {one['injected']} | {one['found_percent']} % | |"
    yield f"| found, all kinds | {row['injected']} | {row['found_percent']} % | ≥ {FOUND_BAR} % |"
    yield (
        f"| false alarms per 100 token-weeks | {row['token_weeks']:,} | "
        f"{row['false_alarms_per_100_token_weeks']} | ≤ {FALSE_ALARMS_BAR} |"
    )
    yield ""


def usage_table(result: Result) -> Iterator[str]:
    if "usage" not in result:
        return
    row = result["usage"]
    names = list(row)
    yield f"| usage | {' | '.join(names)} | bar |"
    yield f"|---|{'--:|' * (len(names) + 1)}"
    for what in ("rows", "summed_per_s", "cpu_us", "rollup_hour", "rollup_day"):
        yield f"| {what} | {' | '.join(f'{row[name][what]:,}' for name in names)} | |"
    for question in row[names[0]]["ms"]:
        both = ((row[name]["ms"][question], row[name]["slowest_ms"][question]) for name in names)
        figures = " | ".join(f"{middle} ({slowest})" for middle, slowest in both)
        yield f"| {question}, ms | {figures} | {ANSWER_MS_BAR} |"
    yield ""


def keeper_table(result: Result) -> Iterator[str]:
    if "keeper" not in result:
        return
    row = result["keeper"]
    yield f"| keeper: {row['credentials']:,} credentials, {row['hosts']} hosts | measured | bar |"
    yield "|---|--:|--:|"
    floor_s = row["floor_s"]
    yield f"| seconds, of which {floor_s:g} are politeness | {row['seconds']} | {floor_s * 1.1:g} |"
    yield f"| peak memory, MB | {row['peak_mb']} | {KEEPER_MB_BAR} |"
    yield f"| CPU seconds | {row['cpu_s']} | |"
    yield ""


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


def webhook_table(result: Result) -> Iterator[str]:
    if "webhook" not in result:
        return
    yield "| charges by webhook | a second | p50 ms | p99 ms | in a batch |"
    yield "|---|--:|--:|--:|--:|"
    for store, row in result["webhook"].items():
        figures = (row["per_second"], row["p50_ms"], row["p99_ms"], row["charges_in_a_batch"])
        yield f"| {store} | {' | '.join(map(str, figures))} |"
    yield f"| bar | {CHARGES_BAR} | | | |"
    yield ""
    yield "| CPU µs per charge | gateway | clerk | control | supervisor | all | floor | × floor |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    roles = ("gateway", "clerk", "control", "supervisor", "all")
    for store, row in result["webhook"].items():
        shown = " | ".join(str(row[f"{role}_us"]) for role in roles)
        yield f"| {store} | {shown} | {row['floor_us']} | {row['to_floor']} |"
    yield f"| bar | | | | | | | {FLOOR_BAR} |"
    yield ""
    yield "| with the store's server | its CPU µs | its floor µs | × floor, both together |"
    yield "|---|--:|--:|--:|"
    for store, row in result["webhook"].items():
        if "floor_server_us" in row:
            figures = (row["store_server_us"], row["floor_server_us"], row["to_floor_with_server"])
            yield f"| {store} | {' | '.join(map(str, figures))} |"
    yield ""


def usage_log_table(result: Result) -> Iterator[str]:
    if "usage-log" not in result:
        return
    yield "| reported uses | gateway µs | clerk µs | gateway / s | clerk / s | settled / s |"
    yield "|---|--:|--:|--:|--:|--:|"
    for store, row in result["usage-log"].items():
        for one in row.values():
            title = f"{store}, {one['in_a_report']} in a report"
            rate = f"{one['settled_per_second']:,}" if one["settled_per_second"] else "no backlog"
            cores = f"{one['per_worker_core']:,} | {one['per_clerk_core']:,}"
            yield f"| {title} | {one['gateway_us']} | {one['clerk_us']} | {cores} | {rate} |"
    yield f"| bar, in batches | | | {USES_BAR:,} | | {SETTLED_BAR:,} |"
    yield ""
    yield "µs are CPU time of an event; a role's / s is what one core of it takes. Settled / s is"
    yield "what the clock says of what had piled up when the load ended."
    yield ""


def ledger_table(result: Result) -> Iterator[str]:
    if "ledger" not in result:
        return
    row = result["ledger"]
    yield "| `ledger verify` | charges | seconds | bar | said |"
    yield "|---|--:|--:|--:|---|"
    figures = f"{row['charges']:,} | {row['verified_s']} | {VERIFY_S_BAR}"
    yield f"| a store of {row['store_mb']} MB | {figures} | {row['said']} |"
    yield ""


def questions_table(result: Result) -> Iterator[str]:
    if "questions" not in result:
        return
    row = result["questions"]
    yield "| asked 500 times a second | p50 ms | p99 ms | bar | gateway µs | control µs |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name in ("estimate", "check_balance"):
        one = row[name]
        figures = (one["p50_ms"], one["p99_ms"], 5, one["gateway_us"], one["control_us"])
        yield f"| {name}, {row['charges']:,} charges | {' | '.join(map(str, figures))} |"
    yield ""
