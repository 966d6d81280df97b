"""An upstream of credentials on this machine: what a token is called says how it is treated.

`with running() as upstream:` serves from a thread of its own; as a process: `python -m
tests.fakes.credential_upstream`, which prints its port. Every request is remembered with its time.
"""

import argparse
import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Seen:
    token: str
    host: str
    at_s: float


@dataclass
class CredentialUpstream:
    """`refresh_tokens` are single-use: the one that is asked with is gone, a new one comes."""

    seen: list[Seen] = field(default_factory=list)
    refresh_tokens: set[str] = field(default_factory=set)
    access_tokens: set[str] = field(default_factory=set)
    spent: Counter[str] = field(default_factory=Counter)
    expires_in: int = 3600
    slow_s: float = 0.3
    ports: list[int] = field(default_factory=list)
    keeps_seen: bool = True
    _made: int = 0

    def base_url(self, number: int = 0) -> str:
        """Each of its ports is another host to whoever asks politely."""
        return f"http://127.0.0.1:{self.ports[number]}"

    def hits(self) -> Counter[str]:
        return Counter(one.token for one in self.seen)

    async def start(self, host: str = "127.0.0.1", port: int = 0, hosts: int = 1) -> web.AppRunner:
        application = web.Application()
        application.router.add_get("/get_enroll_detail", self._enroll)
        application.router.add_get("/v1/models", self._bearer)
        application.router.add_get("/me", self._bearer)
        application.router.add_post("/token", self._token)
        application.router.add_get("/_seen", self._tell)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        for _ in range(hosts):
            await web.TCPSite(runner, host, port, backlog=2048).start()
        self.ports = [address[1] for address in runner.addresses]
        return runner

    async def _enroll(self, request: web.Request) -> web.StreamResponse:
        return await self._treat(request, request.query.get("access_token", ""))

    async def _bearer(self, request: web.Request) -> web.StreamResponse:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token in self.access_tokens:
            return web.json_response({"ok": True})
        return await self._treat(request, token)

    async def _treat(self, request: web.Request, token: str) -> web.StreamResponse:
        number = sum(one.token == token for one in self.seen) if self.keeps_seen else 0
        if self.keeps_seen:
            self.seen.append(Seen(token, request.host, time.monotonic()))
        word = token.split("-")[0]
        if word == "flapping":
            word = "down" if number % 2 == 0 else "valid"
        if word in ("slow", "hanging"):
            await asyncio.sleep(self.slow_s if word == "slow" else 3600)
            word = "valid"
        if word == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return _ANSWERS.get(word, _ANSWERS["unauthorized"])()

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        token = str(form.get("refresh_token", ""))
        self.seen.append(Seen(token, request.host, time.monotonic()))
        self.spent[token] += 1
        if token not in self.refresh_tokens:
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.refresh_tokens.discard(token)
        await asyncio.sleep(self.slow_s)
        self._made += 1
        access, following = f"access-{self._made}", f"refresh-{self._made}"
        self.refresh_tokens.add(following)
        self.access_tokens.add(access)
        answer = {"access_token": access, "refresh_token": following}
        return web.json_response({**answer, "expires_in": self.expires_in})

    async def _tell(self, request: web.Request) -> web.Response:
        return web.json_response([[one.token, one.host, one.at_s] for one in self.seen])


def _json(value: Any, status: int = 200) -> web.Response:
    return web.json_response(value, status=status)


_ANSWERS = {
    "valid": lambda: _json({"code": 0, "msg": "ok", "data": {"title": "报名"}}),
    "invalid": lambda: _json({"code": 40001, "msg": "Invalid access_token."}),
    "invalid403": lambda: _json({"error": "invalid access_token"}, 403),
    "unauthorized": lambda: _json({"error": "who are you"}, 401),
    "down": lambda: _json({"msg": "invalid access_token"}, 503),
    "broken": lambda: web.Response(status=500, text="<html>oops</html>"),
    "limited": lambda: web.Response(status=429, headers={"retry-after": "1"}),
    "garbage": lambda: web.Response(text="{not json", content_type="application/json"),
    "html": lambda: web.Response(text="<html>log in</html>", content_type="text/html"),
    "redirect": lambda: web.Response(status=302, headers={"location": "/get_enroll_detail"}),
    "missing": lambda: _json({"msg": "no such page"}, 404),
    "endless": lambda: web.Response(body=b"[" + b"0," * (1 << 18)),
}


@contextlib.contextmanager
def running(hosts: int = 1) -> Iterator[CredentialUpstream]:
    upstream = CredentialUpstream()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="credential-upstream", daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(upstream.start(hosts=hosts), loop).result(10)
    try:
        yield upstream
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def serve(host: str, port: int) -> None:
    upstream = CredentialUpstream(keeps_seen=False)
    await upstream.start(host, port)
    print(json.dumps({"port": upstream.ports[0]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.host, arguments.port))
