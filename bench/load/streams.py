"""CPU time per event of streamed answers beside nginx without buffering.

The upstream writes one event each 10 ms on each of 32 streams, so that nearly every event is a read
of its own, as with a model that is thinking; `reads_per_event` says how nearly.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from bench.load import gate, nginx
from bench.load.options import Options
from bench.load.ports import free_port, is_listening
from bench.load.processes import BenchFailed, Child, CpuReading, tree_of, wait_until_quiet
from bench.load.traffic import request_bytes, stream_body

Row = dict[str, Any]
CHUNKS = 200
STREAMS = 32
UPSTREAM = "from tests.fakes.upstream import main; main()"


@dataclass(slots=True)
class Counted:
    answers: int = 0
    events: int = 0
    reads: int = 0


class Listener(asyncio.Protocol):
    """Asks for one stream after the other and counts what comes."""

    def __init__(self, request: bytes, rounds: int, counted: Counted) -> None:
        self.request = request
        self.rounds = rounds
        self.counted = counted
        self.tail = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        counted = self.counted
        counted.reads += 1
        counted.events += data.count(b"\n\n")
        self.tail = (self.tail + data)[-200:]
        if self.tail.endswith(b"\r\n0\r\n\r\n"):
            self.end_round()

    def end_round(self) -> None:
        assert self.transport is not None
        self.counted.answers += 1
        self.rounds -= 1
        self.tail = b""
        if self.rounds:
            self.transport.write(self.request)
        else:
            self.ended.set_result(None)
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(BenchFailed(f"a stream was cut: {self.tail!r}"))


async def listen(port: int, key: str, rounds: int) -> Counted:
    request = request_bytes(key, stream_body(CHUNKS))
    counted = Counted()
    loop = asyncio.get_running_loop()
    listeners = []
    for _ in range(STREAMS):
        made = await loop.create_connection(
            lambda: Listener(request, rounds, counted), "127.0.0.1", port
        )
        listeners.append(made[1])
    timeout_s = 30 + rounds * CHUNKS * 0.05
    await asyncio.wait_for(asyncio.gather(*(one.ended for one in listeners)), timeout_s)
    if counted.events < counted.answers * CHUNKS:
        raise BenchFailed(f"events are missing: {counted}")
    return counted


@contextmanager
def fake_upstream(folder: Path) -> Iterator[int]:
    """The fake upstream as a process: what it costs is not counted."""
    port = free_port()
    command = [sys.executable, "-c", UPSTREAM, "--port", str(port)]
    with Child(command, folder / "upstream.log") as child:
        child.wait_until(lambda: is_listening(port))
        yield port


def measure(options: Options, folder: Path) -> Row:
    with fake_upstream(folder) as port:
        with nginx.proxy(folder / "proxy", options.workers, port, is_buffering=False) as (
            child,
            front,
        ):
            groups = {"nginx": tree_of(child.pid)}
            yardstick = _listened(options, front, "sk-bench", groups)
        url = f"http://127.0.0.1:{port}/v1"
        with gate.running(folder / "gate", options.workers, url) as running:
            ours = _listened(options, running.port, running.key, running.groups())
    ratio = ours["gateway_us"] / yardstick["nginx_us"]
    return {"nginx": yardstick, "tallygate": ours, "gateway_to_nginx": round(ratio, 2)}


def _listened(options: Options, port: int, key: str, groups: dict[str, list[int]]) -> Row:
    """Microseconds of CPU per event, for each group of processes."""
    uvloop.run(listen(port, key, 1))
    everyone = [pid for pids in groups.values() for pid in pids]
    wait_until_quiet(everyone)
    before = CpuReading.take(groups)
    counted = uvloop.run(listen(port, key, options.stream_rounds))
    wait_until_quiet(everyone)
    row: Row = {
        f"{name}_us": round(used / counted.events * 1e6, 2) for name, used in before.since().items()
    }
    reads = round(counted.reads / counted.events, 3)
    return row | {"events": counted.events, "answers": counted.answers, "reads_per_event": reads}
