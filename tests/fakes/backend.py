"""A fake private service on 127.0.0.1: echoes, streams, speaks WebSocket, and misbehaves on demand.

What it does is in the path: `/echo`, `/bytes/N`, `/events/N`, `/status/N`, `/garbage`, `/nothing`,
`/cut`, `/ws`. It serves from a thread of its own, so that blocking clients can use it.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PIECE = 1 << 18


@dataclass
class Request:
    method: str
    target: str
    headers: list[tuple[str, str]]
    length: int = 0
    digest: str = ""

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known.lower() == name), None)

    def as_json(self) -> bytes:
        shown = {"method": self.method, "target": self.target, "length": self.length}
        return json.dumps(shown | {"digest": self.digest, "headers": self.headers}).encode()


@dataclass
class Backend:
    """A running one, and the requests that reached it."""

    port: int = 0
    seen: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


async def serve(backend: Backend, reader: Reader, writer: Writer) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while await serve_one(backend, reader, writer):
            pass
    writer.close()


async def serve_one(backend: Backend, reader: Reader, writer: Writer) -> bool:
    """Whether the connection goes on."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    request = Request(method, target, [tuple(line.split(": ", 1)) for line in lines])  # type: ignore[misc]  # each has two parts
    await read_body(request, reader)
    backend.seen.append(request)
    name, _, number = target.partition("?")[0].strip("/").rpartition("/")
    name, number = (name.rpartition("/")[2], number) if number.isdigit() else (number, "")
    answers: dict[str, Callable[[], Any]] = {
        "garbage": lambda: writer.write(b"\x00\x01 this is not HTTP\r\n\r\n"),
        "nothing": writer.close,
        "cut": lambda: writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
    }
    if name in answers:
        answers[name]()
        return False
    if name == "ws":
        await speak(request, reader, writer)
        return False
    if name == "bytes":
        await send_bytes(writer, int(number))
    elif name == "events":
        await send_events(writer, int(number))
    else:
        status = int(number) if name == "status" else 200
        send(writer, status, b"" if method == "HEAD" else request.as_json())
    await writer.drain()
    return True


async def read_body(request: Request, reader: Reader) -> None:
    digest = hashlib.sha256()
    missing = int(request.header("content-length") or 0)
    is_chunked = request.header("transfer-encoding") == "chunked"
    while missing or is_chunked:
        if is_chunked:
            missing = int(await reader.readuntil(b"\r\n"), 16)
            if not missing:
                await reader.readexactly(2)
                break
        while missing:
            data = await reader.read(min(PIECE, missing))
            if not data:
                raise ConnectionError("cut")
            digest.update(data)
            missing -= len(data)
            request.length += len(data)
        if is_chunked:
            await reader.readexactly(2)
    request.digest = digest.hexdigest()


def send(writer: Writer, status: int, body: bytes) -> None:
    lines = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nserver: fake\r\n"
    cookies = "set-cookie: theirs=1\r\nset-cookie: tallygate_session=stolen; Path=/\r\n"
    writer.write(f"HTTP/1.1 {status} Fine\r\n{lines}{cookies}\r\n".encode() + body)


async def send_bytes(writer: Writer, count: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % count)
    piece = bytes(range(256)) * (PIECE // 256)
    while count:
        writer.write(piece[:count] if count < PIECE else piece)
        count -= min(count, PIECE)
        await writer.drain()


async def send_events(writer: Writer, count: int) -> None:
    kind = b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    writer.write(b"HTTP/1.1 200 OK\r\n" + kind)
    for number in range(count):
        event = b"data: %d\n\n" % number
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


async def speak(request: Request, reader: Reader, writer: Writer) -> None:
    """Agree to WebSocket, then send back whatever comes."""
    key = (request.header("sec-websocket-key") or "").encode()
    proof = base64.b64encode(hashlib.sha1(key + GUID).digest())
    fields = b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: %b\r\n" % proof
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\n" + fields + b"\r\n")
    while data := await reader.read(PIECE):
        writer.write(data)
        await writer.drain()


@contextlib.contextmanager
def running() -> Iterator[Backend]:
    """Serves until the end of the block."""
    backend = Backend()
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def begin() -> None:
        server = await asyncio.start_server(
            lambda reader, writer: serve(backend, reader, writer), "127.0.0.1", 0
        )
        backend.port = server.sockets[0].getsockname()[1]
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(begin())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield backend
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


if __name__ == "__main__":
    with running() as fake:
        print(fake.port, flush=True)
        threading.Event().wait()
