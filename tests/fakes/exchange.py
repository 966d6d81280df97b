"""One request as the fake upstream saw it, and the means to answer it well or badly."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

Header = tuple[bytes, bytes]

REASONS = {200: b"OK", 204: b"No Content", 400: b"Bad Request", 401: b"Unauthorized"}
HEADERS = (
    b"openai-organization: fake\r\n"
    b"openai-processing-ms: 12\r\n"
    b"openai-version: 2020-10-01\r\n"
    b"x-request-id: req_fake\r\n"
    b"x-content-type-options: nosniff\r\n"
    b"server: fake\r\n"
)


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class Asked(msgspec.Struct):
    """What of a request's JSON decides how it is answered."""

    model: str = ""
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    input: msgspec.Raw = msgspec.Raw(b'""')

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


_DECODER = msgspec.json.Decoder(Asked)


@dataclass(slots=True)
class Seen:
    """A request that reached the upstream, kept for the test to look at."""

    method: bytes
    target: bytes
    headers: list[Header]
    connection: int
    body: bytes = b""
    is_whole: bool = False  # its last byte arrived
    faults: list[str] = field(default_factory=list)

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its lower-case name."""
        return next((value for known, value in self.headers if known.lower() == name), None)

    @property
    def key(self) -> str:
        bearer = self.header(b"authorization") or b""
        return (bearer.removeprefix(b"Bearer ") or self.header(b"x-api-key") or b"").decode()

    @property
    def path(self) -> str:
        return self.target.partition(b"?")[0].decode("latin-1")


class Exchange:
    """A request being answered. `finish` frees the connection for the next one."""

    def __init__(
        self, seen: Seen, transport: asyncio.Transport, finish: Callable[[], None]
    ) -> None:
        self.seen = seen
        self.transport = transport
        self.finish = finish
        self.timers: list[asyncio.TimerHandle] = []

    @cached_property
    def asked(self) -> Asked:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            return _DECODER.decode(self.seen.body or b"{}")
        return Asked()

    @cached_property
    def operation(self) -> str:
        """`/v1/chat/completions` and `/chat/completions` are the same."""
        path = self.seen.path
        return path.rpartition("/v1")[2] if "/v1/" in path else path

    def answer(
        self, status: int, body: bytes, *, kind: bytes = b"application/json", more: bytes = b""
    ) -> None:
        length = b"content-length: %d\r\n" % len(body)
        self.write(self.head(status, length + more, kind) + body)
        self.finish()

    def head(self, status: int, framing: bytes, kind: bytes = b"application/json") -> bytes:
        reason = REASONS.get(status, b"Status")
        line = b"HTTP/1.1 %d %b\r\n" % (status, reason)
        return line + b"content-type: " + kind + b"\r\n" + HEADERS + framing + b"\r\n"

    def start_chunked(self, kind: bytes = b"text/event-stream", more: bytes = b"") -> None:
        self.write(self.head(200, b"transfer-encoding: chunked\r\n" + more, kind))

    def chunk(self, data: bytes) -> None:
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_chunked(self, trailers: bytes = b"") -> None:
        self.write(b"0\r\n" + trailers + b"\r\n")
        self.finish()

    def stream(self, events: Iterable[bytes], *, every_s: float = 0.0) -> None:
        """One event a write: all at once, or one each `every_s`."""
        self.start_chunked()
        if every_s:
            self._pace(iter(events), every_s, asyncio.get_running_loop().time())
            return
        for one in events:
            self.chunk(one)
        self.end_chunked()

    def _pace(self, events: "Iterable[bytes]", every_s: float, due_s: float) -> None:
        for one in events:
            self.chunk(one)
            self.later_at(due_s + every_s, lambda: self._pace(events, every_s, due_s + every_s))
            return
        self.end_chunked()

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self.later_at(asyncio.get_running_loop().time() + seconds, act)

    def later_at(self, when_s: float, act: Callable[[], None]) -> None:
        self.timers = [asyncio.get_running_loop().call_at(when_s, act)]

    def close(self) -> None:
        """An orderly end: what was written still arrives."""
        self.transport.close()

    def reset(self) -> None:
        """A TCP reset."""
        plain = self.transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def drop(self) -> None:
        """The connection is gone: nothing more is sent."""
        for timer in self.timers:
            timer.cancel()
