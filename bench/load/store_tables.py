"""Tables of results that are about the store: money, usage, anomalies, credentials."""

from collections.abc import Iterator
from typing import Any

CHARGES_BAR, FLOOR_BAR = 2_000, 5.0
USES_BAR, SETTLED_BAR = 20_000, 20_000
VERIFY_S_BAR = 60
KEEPER_MB_BAR = 100
FOUND_BAR, FALSE_ALARMS_BAR = 95, 1
ANSWER_MS_BAR = 100

Result = dict[str, Any]


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
