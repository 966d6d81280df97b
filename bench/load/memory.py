"""Memory of one worker: idle, holding open streams, and after very many requests.

One worker holds all streams, so that the figure is a worker's and not an average.
"""

import asyncio
from pathlib import Path
from typing import Any

import uvloop

from bench.load import gate, nginx, wrk
from bench.load.options import Options
from bench.load.processes import BenchFailed, rss_bytes
from bench.load.streams import fake_upstream
from bench.load.traffic import request_bytes, stream_body

Row = dict[str, Any]
OPENING_TOGETHER = 50
SETTLED_SHARE = 0.1  # of the requests; what a worker keeps for reuse is allocated by then
WARM_UP_S = 2


class Waiter(asyncio.Protocol):
    """A client of a stream that has begun and does not end."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.received = b""
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if b"\n\n" in self.received and not self.begun.done():
            self.begun.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.begun.done():
            seen = self.received[:300]
            self.begun.set_exception(BenchFailed(f"a stream did not begin: {seen!r}"))


def measure(options: Options, folder: Path) -> Row:
    return {**_with_streams(options, folder), **_with_requests(options, folder)}


def _with_streams(options: Options, folder: Path) -> Row:
    settings = {"TALLYGATE_UPSTREAM_CONNECTIONS_MAX": str(options.streams_open * 2)}
    with fake_upstream(folder) as port:
        url = f"http://127.0.0.1:{port}/v1"
        with gate.running(folder / "streaming", 1, url, **settings) as running:
            (worker,) = running.groups()["gateway"]
            idle = rss_bytes(worker)
            open_bytes = uvloop.run(_hold(running, options.streams_open, worker))
    return {
        "idle_mb": _mb(idle),
        "streams_open": options.streams_open,
        "with_streams_mb": _mb(open_bytes),
    }


async def _hold(running: gate.Gate, count: int, worker: int) -> int:
    """The worker's memory while every stream is open."""
    body = stream_body(1).replace("paced-chunks-1", "stall-stream")
    request = request_bytes(running.key, body)
    loop = asyncio.get_running_loop()
    made: list[tuple[asyncio.BaseTransport, Waiter]] = []
    while len(made) < count:
        batch = [
            await loop.create_connection(lambda: Waiter(request), "127.0.0.1", running.port)
            for _ in range(min(OPENING_TOGETHER, count - len(made)))
        ]
        made += batch
        await asyncio.wait_for(asyncio.gather(*(waiter.begun for _, waiter in batch)), 60)
    await asyncio.sleep(1)
    held = rss_bytes(worker)
    for transport, _ in made:
        transport.close()
    return held


def _with_requests(options: Options, folder: Path) -> Row:
    with (
        nginx.upstream(folder / "upstream", options.workers) as (_, port),
        gate.running(folder / "growing", 1, f"http://127.0.0.1:{port}/v1") as running,
    ):
        (worker,) = running.groups()["gateway"]
        request = request_bytes(running.key)
        warm = wrk.drive(running.port, request, folder, seconds=WARM_UP_S)
        done, samples = warm.requests, [(warm.requests, rss_bytes(worker))]
        while done < options.growth_requests:
            wanted = min(options.growth_requests - done, options.growth_requests // 10)
            seconds = options.seconds_for(wanted, warm.per_second)
            done += wrk.drive(running.port, request, folder, seconds=seconds).requests
            samples.append((done, rss_bytes(worker)))
    early = next(rss for count, rss in samples if count >= done * SETTLED_SHARE)
    return {
        "requests": done,
        "early_mb": _mb(early),
        "late_mb": _mb(samples[-1][1]),
        "samples_mb": [[count, _mb(rss)] for count, rss in samples],
    }


def _mb(count: int) -> float:
    return round(count / 1e6, 1)
