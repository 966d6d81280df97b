"""Prometheus' text format, out of what the workers and the clerk report.

Series of a worker bear its slot, because their counts begin anew when it is restarted. No label
names a key or a user: their number has no bound, and metrics are no place for personal data.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tallygate.telemetry import counters
from tallygate.telemetry.counters import Figures, decode
from tallygate.telemetry.keeper_page import keeper_lines
from tallygate.telemetry.lines import PREFIX, as_page, family, line

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_GAUGE_HELP = {
    "connections_open": "Client connections that are open.",
    "requests_running": "Requests let through whose answers have not ended.",
    "upstream_connections_open": "Connections to upstreams, used and idle.",
    "buffered_bytes": "Bytes of request bodies held in memory.",
    "leases_held": "Leases of limits that are held.",
    "keys_known": "Keys in the cache.",
    "journal_room_bytes": "Bytes that may still be written before admission stops.",
}
_SUM_HELP = {
    "lease_refills": "Exchanges with the clerk that asked for units.",
    "journal_bytes": "Bytes written to the journal.",
    "journal_failures": "Writes to the journal that failed.",
    "connections_accepted": "Client connections that were accepted.",
    "usage_reports": "Requests to /api/usage-log that were taken.",
    "usage_events": "Uses that those reported.",
    "usage_reports_refused": "Requests to /api/usage-log that were refused.",
}

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


def render_inspection(inspection: Mapping[str, Any]) -> bytes:
    """The page out of what the clerk answers to `core.commands.Inspect`."""
    workers = {int(worker["slot"]): worker["gauges"] for worker in inspection.get("workers", ())}
    page = render(workers, dict(_numbers("", inspection.get("figures", {}))))
    return page + as_page(keeper_lines(inspection.get("keeper") or {}))


def _numbers(path: str, value: Any) -> Iterator[tuple[str, int]]:
    """Every number of nested maps, under the names that lead to it."""
    if isinstance(value, int):
        yield _NOT_IN_A_NAME.sub("_", path), int(value)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(f"{path}_{name}" if path else str(name), inner)


def render(gauges_by_worker: Mapping[int, bytes], clerk_figures: Mapping[str, int]) -> bytes:
    """The page at /metrics: `gauges_by_worker` by slot, `clerk_figures` by name."""
    workers = {slot: decode(values) for slot, values in sorted(gauges_by_worker.items())}
    reporting = {str(slot): figures for slot, figures in workers.items() if figures}
    lines = [
        *family("workers", "gauge", "Workers that report.", [({}, len(reporting))]),
        *_requests(reporting),
        *_durations(reporting),
        *_measured(reporting),
        *_clerk(clerk_figures),
    ]
    return as_page(lines)


def _requests(workers: Mapping[str, Figures]) -> Iterator[str]:
    yield from family(
        "requests_total",
        "counter",
        "Requests that were let through, by how they ended.",
        [
            ({"provider": provider, "outcome": outcome, "status": status, "worker": slot}, count)
            for slot, provider, row in _rows(workers)
            for outcome, status, count in _cells(row)
            if count
        ],
    )
    yield from family(
        "refusals_total",
        "counter",
        "Requests that were not let through, by the code of the refusal.",
        [
            ({"code": code, "worker": slot}, count)
            for slot, figures in workers.items()
            for code, count in figures.refusals.items()
            if count
        ],
    )
    yield from family(
        "tokens_total",
        "counter",
        "Tokens of answers, as metered.",
        [
            ({"provider": provider, "direction": direction, "worker": slot}, row[index])
            for slot, provider, row in _rows(workers)
            for direction, index in (("input", counters.INPUT), ("output", counters.OUTPUT))
        ],
    )


def _rows(workers: Mapping[str, Figures]) -> Iterator[tuple[str, str, list[int]]]:
    for slot, figures in workers.items():
        for provider, row in figures.by_provider.items():
            yield slot, provider, row


def _cells(row: list[int]) -> Iterator[tuple[str, str, int]]:
    cells = iter(row)
    for outcome in counters.OUTCOMES:
        for status, count in zip(counters.STATUS_CLASSES, cells, strict=False):
            yield outcome.value, status, count


def _durations(workers: Mapping[str, Figures]) -> Iterator[str]:
    """A histogram whose bounds are powers of two of a millisecond."""
    name = f"{PREFIX}request_duration_seconds"
    yield f"# HELP {name} From admission to the end of the answer."
    yield f"# TYPE {name} histogram"
    for slot, provider, row in _rows(workers):
        labels = {"provider": provider, "worker": slot}
        total = 0
        for index in range(counters.BUCKET_COUNT):
            total += row[counters.BUCKETS + index]
            is_last = index == counters.BUCKET_COUNT - 1
            # Bucket i holds whole milliseconds below 2^i, which is at most 2^i - 1.
            bound = "+Inf" if is_last else repr(((1 << index) - 1) / 1000)
            yield line(f"{name}_bucket", {**labels, "le": bound}, total)
        yield line(f"{name}_sum", labels, row[counters.DURATION_MS] / 1000)
        yield line(f"{name}_count", labels, total)


def _measured(workers: Mapping[str, Figures]) -> Iterator[str]:
    for name, meaning in _GAUGE_HELP.items():
        samples = [
            ({"worker": slot}, figures.gauges.get(name, 0)) for slot, figures in workers.items()
        ]
        yield from family(name, "gauge", meaning, samples)
    for name, meaning in _SUM_HELP.items():
        samples = [
            ({"worker": slot}, figures.sums.get(name, 0)) for slot, figures in workers.items()
        ]
        yield from family(f"{name}_total", "counter", meaning, samples)
    yield from family(
        "upstream_healthy",
        "gauge",
        "0 while a worker leaves an upstream alone because it kept failing.",
        [
            ({"provider": provider, "worker": slot}, int(provider not in figures.unhealthy))
            for slot, figures in workers.items()
            for provider in sorted({*figures.by_provider, *figures.unhealthy})
        ],
    )


def _clerk(figures: Mapping[str, int]) -> Iterator[str]:
    for name, value in sorted(figures.items()):
        meaning = f"The clerk's figure `{name}`."
        yield from family(f"clerk_{name}", "gauge", meaning, [({}, value)])
