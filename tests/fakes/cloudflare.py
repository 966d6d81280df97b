"""Cloudflare's KV API as far as the publisher speaks it: it answers as told, and counts writes."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "cf-api-token"
ACCOUNT, NAMESPACE = "account1", "namespace1"
PATH = f"/accounts/{ACCOUNT}/storage/kv/namespaces/{NAMESPACE}"
PAGE = 3  # so that lists come in pages


@dataclass
class Cloudflare:
    """`faults` are answered in turn before anything is done: a status, or a whole answer.

    A status of 0 never answers; "lost" does the work and then says nothing of it.
    """

    url: str = ""
    values: dict[str, str] = field(default_factory=dict)
    digests: dict[str, Any] = field(default_factory=dict)
    faults: list[Any] = field(default_factory=list)
    untaken: set[str] = field(default_factory=set)  # names that are not taken
    calls: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)  # each name as often as it was written
    deletes: list[str] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "cloudflare_account_id": ACCOUNT,
            "cloudflare_api_token": TOKEN,
            "cloudflare_api_url": self.url,
            "edge_kv_namespace_id": NAMESPACE,
        }

    def document(self, name: str) -> Any:
        return json.loads(self.values[name])

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.calls.append(f"{request.method} {request.path.removeprefix(PATH)}")
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        fault = self.faults.pop(0) if self.faults else None
        if fault is None or fault == "lost":
            answer = self._do(request, json.loads(body) if body else None)
            return answer if fault is None else web.Response(status=200, body=b"")
        if isinstance(fault, web.StreamResponse):
            return fault
        if not fault:
            await asyncio.Event().wait()
        errors = [{"code": 10000, "message": f"fault {fault}"}]
        return web.json_response({"success": False, "errors": errors, "result": None}, status=fault)

    def _do(self, request: web.Request, body: Any) -> web.Response:
        match request.method, request.path.removeprefix(PATH):
            case "PUT", "/bulk":
                return self._write(body)
            case "POST", "/bulk/delete":
                return self._delete(body)
            case "GET", "/keys":
                return self._list(request.query.get("cursor", ""))
        return web.json_response({"success": False, "errors": [], "result": None}, status=404)

    def _write(self, body: Any) -> web.Response:
        names = [one["key"] for one in body]
        assert len(set(names)) == len(names)
        for one in body:
            if one["key"] not in self.untaken:
                self.writes.append(one["key"])
                self.values[one["key"]] = one["value"]
                self.digests[one["key"]] = one["metadata"]
        return _done({"unsuccessful_keys": [name for name in names if name in self.untaken]})

    def _delete(self, names: list[str]) -> web.Response:
        for name in names:
            if name not in self.untaken:
                self.deletes.append(name)
                self.values.pop(name, None)
                self.digests.pop(name, None)
        return _done({"unsuccessful_keys": [name for name in names if name in self.untaken]})

    def _list(self, cursor: str) -> web.Response:
        names = sorted(name for name in self.values if name > cursor)
        page = [{"name": name, "metadata": self.digests.get(name)} for name in names[:PAGE]]
        following = names[PAGE - 1] if len(names) > PAGE else ""
        return _done(page, {"count": len(page), "cursor": following})


def _done(result: Any, info: Any = None) -> web.Response:
    return web.json_response(
        {"success": True, "errors": [], "messages": [], "result": result, "result_info": info}
    )


@asynccontextmanager
async def playing() -> AsyncIterator[Cloudflare]:
    cloudflare = Cloudflare()
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", cloudflare.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    cloudflare.url = f"http://{host}:{port}"
    yield cloudflare
    await runner.cleanup()


@contextmanager
def playing_apart() -> Iterator[Cloudflare]:
    """In a loop of its own, for tests that have none."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    played = playing()
    try:
        yield asyncio.run_coroutine_threadsafe(played.__aenter__(), loop).result(30)
        asyncio.run_coroutine_threadsafe(played.__aexit__(None, None, None), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
