"""A client that sends whatever bytes it is given and reads answers strictly.

It knows nothing of what a request should be; of an answer it accepts only what RFC 9112 allows.
"""

import contextlib
import random
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import httptools

PATIENCE_S = 60.0
SILENCE_S = 0.05  # after a whole answer: time for a second one that nobody asked for


@dataclass
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""

    def header(self, name: bytes) -> bytes | None:
        return next((value for known, value in self.headers if known.lower() == name), None)


@dataclass
class Reply:
    """All that came back on one connection."""

    answers: list[Answer] = field(default_factory=list)
    informational: list[int] = field(default_factory=list)
    raw: bytes = b""
    is_closed: bool = False  # by the server
    is_partial: bool = False  # it ended in the middle of an answer
    has_hung: bool = False

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.answers]

    def __str__(self) -> str:
        end = "closed" if self.is_closed else "hung" if self.has_hung else "open"
        return f"{self.statuses} {end}: {self.raw[:600]!r}"


class AnswerReader:
    """Cuts what arrives into answers; bytes that are no answer raise."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.begin()

    def begin(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.is_inside = False

    def on_message_begin(self) -> None:
        self.headers, self.body, self.is_inside = [], [], True

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, part: bytes) -> None:
        self.body.append(part)

    def on_message_complete(self) -> None:
        status = self.parser.get_status_code()
        self.is_inside = False
        if status < 200:
            self.reply.informational.append(status)
        else:
            self.reply.answers.append(Answer(status, self.headers, b"".join(self.body)))

    def feed(self, data: bytes) -> None:
        self.reply.raw += data
        self.parser.feed_data(data)


def talk(
    port: int, pieces: Iterable[bytes], *, answers: int = 1, half_close: bool = False
) -> Reply:
    """Send all pieces, read until so many answers have come or the server has closed."""
    reply = Reply()
    reader = AnswerReader(reply)
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A server that refuses early closes while we still send: what it said is read all the same.
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        ends_s = time.monotonic() + PATIENCE_S
        while not reply.is_closed and not reply.has_hung:
            is_enough = len(reply.answers) >= answers
            left_s = SILENCE_S if is_enough else ends_s - time.monotonic()
            connection.settimeout(max(0.001, left_s))
            try:
                data = connection.recv(1 << 20)
            except TimeoutError:
                if is_enough:
                    break
                reply.has_hung = True
            except ConnectionResetError:
                reply.is_closed = True
            else:
                reply.is_closed = not data
                if data:
                    reader.feed(data)
    reply.is_partial = reader.is_inside
    return reply


def request(
    *lines: str | bytes,
    body: bytes = b"",
    target: str | bytes = "/v1/chat/completions",
    method: str = "POST",
    version: str = "HTTP/1.1",
    host: str | None = "gate",
) -> bytes:
    """A request with exactly these header lines besides its Host."""
    encoded = [line.encode() if isinstance(line, str) else line for line in lines]
    if host is not None:
        encoded.insert(0, f"Host: {host}".encode())
    path = target.encode() if isinstance(target, str) else target
    first = method.encode() + b" " + path + b" " + version.encode()
    return b"\r\n".join([first, *encoded, b"", body])


INSERTED = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b" ",
    b"\t",
    b":",
    b"\r\n\r\n",
    b"\r\n folded",
    b"\xff\xfe",
    b"Content-Length: 5\r\n",
    b"Content-Length: 99999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Host: other\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: websocket\r\nConnection: upgrade\r\n",
    b"GET /smuggled HTTP/1.1\r\nHost: gate\r\n\r\n",
    b"0\r\n\r\n",
    b"%2e%2e/",
    b"/../",
    b"HTTP/1.0",
]


def mutated(valid: bytes, chance: random.Random) -> bytes:
    """One to four small changes, of the kinds that parsers have been fooled by."""
    data = bytearray(valid)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        size = chance.randint(1, 12)
        match chance.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at : at + size]
            case 2:
                data[at:at] = data[at : at + size * 4]
            case 3:
                data[at:at] = bytes(chance.randrange(256) for _ in range(size))
            case 4:
                data[at:at] = chance.choice(INSERTED)
            case 5:
                lines = data.split(b"\r\n")
                first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
                lines[first], lines[second] = lines[second], lines[first]
                data = bytearray(b"\r\n".join(lines))
            case _:
                lines = data.split(b"\r\n")
                lines.insert(chance.randrange(len(lines)), chance.choice(lines))
                data = bytearray(b"\r\n".join(lines))
    if chance.random() < 0.05:
        del data[chance.randrange(len(data) + 1) :]
    return bytes(data)
