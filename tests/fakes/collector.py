"""An OpenTelemetry collector that takes traces by OTLP/HTTP in JSON, and answers as it is told."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Told:
    """A span as it came, its attributes as plain values."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    is_error: bool
    attributes: dict[str, Any]


@dataclass
class Collector:
    """`answers` are given in turn, then 200; a status of 0 never answers."""

    url: str = ""
    answers: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)
    spans: list[Told] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        body = await request.read()  # unpacked by the server
        answer = self.answers.pop(0) if self.answers else 200
        if not answer:
            await asyncio.Event().wait()
        if isinstance(answer, web.Response):
            answer_status = answer.status
        else:
            answer_status, answer = answer, web.json_response({}, status=answer)
        if answer_status == 200:
            self._keep(json.loads(body))
        return answer

    def named(self, name: str) -> list[Told]:
        return [one for one in self.spans if one.name == name]

    def _keep(self, body: Any) -> None:
        for resource in body["resourceSpans"]:
            self.resource = attributes_of(resource["resource"])
            for scope in resource["scopeSpans"]:
                self.spans += [told(span) for span in scope["spans"]]


def told(span: Any) -> Told:
    return Told(
        name=span["name"],
        kind=span["kind"],
        trace_id=span["traceId"],
        span_id=span["spanId"],
        parent_id=span.get("parentSpanId", ""),
        start_ns=int(span["startTimeUnixNano"]),
        end_ns=int(span["endTimeUnixNano"]),
        is_error=span["status"].get("code") == 2,
        attributes=attributes_of(span),
    )


def attributes_of(holder: Any) -> dict[str, Any]:
    found = {}
    for one in holder["attributes"]:
        ((kind, value),) = one["value"].items()
        assert kind != "intValue" or isinstance(value, str), "OTLP writes 64 bits as a text"
        found[one["key"]] = int(value) if kind == "intValue" else value
    return found


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", collector.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    collector.url = f"http://{host}:{port}"
    yield collector
    await runner.cleanup()


@contextmanager
def collecting_apart() -> Iterator[Collector]:
    """In a loop of its own, for tests that have none."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    collected = collecting()
    try:
        yield asyncio.run_coroutine_threadsafe(collected.__aenter__(), loop).result(30)
        asyncio.run_coroutine_threadsafe(collected.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
