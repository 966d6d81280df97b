"""What the gate adds to the time of an answer at 1,000 requests a second.

Open loop: requests are due by the clock, whatever became of those before, and their time runs from
the tick in which they were due, so that waiting for a free connection counts. Direct, through nginx
and through Tallygate take turns within one run, so that a busy machine disturbs all three alike.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter  # uvloop's own clock counts whole milliseconds
from typing import Any

import uvloop

from bench.load import gate, nginx
from bench.load.options import Options
from bench.load.processes import BenchFailed
from bench.load.traffic import request_bytes

Row = dict[str, Any]
PER_SECOND = 1_000
CONNECTIONS = 64
WARM_UP_REQUESTS = 1_000


@dataclass
class Times:
    """Durations in seconds, and how many requests found every connection busy."""

    durations: list[float] = field(default_factory=list)
    waited: int = 0

    def percentile_ms(self, percent: float) -> float:
        ordered = sorted(self.durations)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


class Caller(asyncio.Protocol):
    """One connection; `free` is where it waits for its next request."""

    def __init__(self, free: "deque[Caller]", times: Times) -> None:
        self.free = free
        self.times = times
        self.transport: Any = None
        self.due_s = 0.0
        self.received = b""
        self.failure: str | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.free.append(self)

    def call(self, request: bytes, due_s: float) -> None:
        self.due_s = due_s
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.received = received = self.received + data
        end = received.find(b"\r\n\r\n")
        if end < 0 or len(received) < end + 4 + length_of(received[:end]):
            return
        self.times.durations.append(perf_counter() - self.due_s)
        if not received.startswith(b"HTTP/1.1 200"):
            self.failure = received[:200].decode("latin-1")
        self.received = b""
        self.free.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self.free:
            self.free.remove(self)


def length_of(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.find(b"\r\ncontent-length:")
    if start < 0:
        raise BenchFailed(f"an answer without a length: {head[:200]!r}")
    return int(lowered[start + 17 :].split(b"\r\n", 1)[0])


async def call_at_rate(
    port: int, asked: Sequence[bytes], requests: int, per_second: int = PER_SECOND
) -> Times:
    """`asked` in turn, as often as it takes."""
    loop = asyncio.get_running_loop()
    times = Times()
    free: deque[Caller] = deque()
    made = [
        await loop.create_connection(lambda: Caller(free, times), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    start_s = perf_counter()
    waiting: deque[float] = deque()
    turn = itertools.cycle(asked)
    sent = 0
    while len(times.durations) < requests:
        due = min(requests, int((perf_counter() - start_s) * per_second))
        while sent < due:
            waiting.append(perf_counter())
            sent += 1
        times.waited += max(0, len(waiting) - len(free))
        while waiting and free:
            free.popleft().call(next(turn), waiting.popleft())
        if perf_counter() - start_s > requests / per_second + 30:
            raise BenchFailed("the requests were not answered in time")
        await asyncio.sleep(0.001)
    failures = [caller.failure for _, caller in made if caller.failure]
    if failures:
        raise BenchFailed(f"not every answer was a 200: {failures[0]}")
    for transport, _ in made:
        transport.close()
    return times


def measure(options: Options, folder: Path) -> Row:
    with (
        nginx.upstream(folder / "upstream", options.workers) as (_, direct),
        nginx.proxy(folder / "proxy", options.workers, direct) as (_, front),
        gate.running(folder / "gate", options.workers, f"http://127.0.0.1:{direct}/v1") as running,
    ):
        targets = {"direct": direct, "nginx": front, "tallygate": running.port}
        rounds: dict[str, list[Times]] = {name: [] for name in targets}
        request = request_bytes(running.key)
        each = options.latency_requests // options.latency_rounds
        for port in targets.values():
            uvloop.run(call_at_rate(port, [request], WARM_UP_REQUESTS))
        for _ in range(options.latency_rounds):
            for name, port in targets.items():
                rounds[name].append(uvloop.run(call_at_rate(port, [request], each)))
    return _summed_up(rounds)


def _summed_up(rounds: dict[str, list[Times]]) -> Row:
    """Percentiles of all rounds together; what is added is the difference to direct."""
    row: Row = {}
    for name, times in rounds.items():
        together = Times([one for part in times for one in part.durations])
        row[name] = {
            "requests": len(together.durations),
            "p50_ms": round(together.percentile_ms(50), 3),
            "p99_ms": round(together.percentile_ms(99), 3),
            "waited": sum(part.waited for part in times),
        }
    for name in ("nginx", "tallygate"):
        for percentile in ("p50_ms", "p99_ms"):
            added = row[name][percentile] - row["direct"][percentile]
            row[name][f"added_{percentile}"] = round(added, 3)
    return row
